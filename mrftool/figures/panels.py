"""One map on a figure: its slices, colour bar, and marks of orientation. matplotlib, for `figures`
only.

Windows and colours are the same from run to run, so that pictures can be laid beside each other;
only M0, whose unit is the scanner's, has a window of its own, which its colour bar shows.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from mrftool.arrays import Array, BoolArray, FloatArray, Range
from mrftool.figures.colours import colour_table, coloured
from mrftool.figures.views import View, chosen_slices, montage, montage_columns
from mrftool.quantities import FLAGS, UNFLAGGED, FlagDescription, quantity

MOST_SLICES = 12
_MOST_PIXELS = 1500  # of a montage's longer side, about what the page resolves


@dataclass(frozen=True)
class Style:
    """How a picture shows numbers.

    Parameters
    ----------
    title
        With the unit that is shown.
    table
        256 rows of RGB from 0 to 1.
    window
        Ends of the colour scale, in the unit that is shown.
    scale
        Number in the unit that is shown / number in memory.

    """

    title: str
    table: FloatArray
    window: Range
    scale: float = 1.0


ERROR_STYLE = Style("error [%]", colour_table("coolwarm"), (-20, 20))


def style_of(name: str, image: Array | None = None) -> Style:
    """How to show the map `name`.

    The window of a quantity that has none of its own ends at the 99th percentile of the magnitude
    of `image`.

    Raises
    ------
    ArgumentError
        If there is no map of that name.

    """
    shown = quantity(name)
    window = shown.window
    if window is None:
        window = (0.0, _largest(image) * shown.unit.factor)
    return Style(shown.title, colour_table(shown.colours), window, shown.unit.factor)


def _largest(image: Array | None) -> float:
    """The 99th percentile of the magnitude of what is finite and not 0; 1 without such voxels."""
    if image is None:
        return 1.0
    size = np.abs(image[np.isfinite(image) & (image != 0)])
    if not size.size:
        return 1.0
    return float(np.percentile(size, 99))


def draw_map(
    figure: Figure,
    axes: Axes,
    image: Array,
    view: View,
    style: Style,
    masked: BoolArray | None = None,
) -> None:
    """A map with its colour bar. image: `(x, y, z)` in the unit in memory. masked: drawn black, by
    default all 0.
    """
    outside = _pages(image == 0 if masked is None else masked, view)
    values = np.abs(image) if np.iscomplexobj(image) else np.asarray(image, np.float64)
    low, high = style.window
    _show(
        axes,
        coloured(_pages(values, view) * style.scale, style.table, style.window, outside),
        view,
        style.title,
    )
    scale = ScalarMappable(Normalize(low, high), ListedColormap(style.table))
    bar = figure.colorbar(
        scale, cax=axes.inset_axes((1.02, 0, 0.05, 1)), extend="both" if low < 0 else "max"
    )
    bar.ax.tick_params(labelsize=9)


def draw_flags(axes: Axes, flags: Array, view: View) -> None:
    """The flags of each voxel, with a legend of those that occur."""
    pages = _pages(flags, view)
    picture = np.tile(np.array(UNFLAGGED.colour), (*pages.shape, 1))
    for flag in reversed(list(FLAGS)):
        picture[(pages & flag) != 0] = FLAGS[flag].colour
    legend = [
        Patch(facecolor=each.colour, edgecolor="0.5", label=each.label) for each in flags_in(pages)
    ]
    _show(axes, picture, view, quantity("flags").caption)
    axes.legend(
        handles=legend,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=3,
        frameon=False,
        fontsize=8,
        columnspacing=1,
    )


def flags_in(flags: Array) -> list[FlagDescription]:
    """What the legend of a picture of these flags lists: unflagged, then the flags that occur."""
    return [UNFLAGGED, *(each for flag, each in FLAGS.items() if (flags & flag).any())]


def panel_height(shape: tuple[int, ...], view: View) -> float:
    """Height / width of a panel."""
    n, height, width = _page_shape(shape, view)
    columns = montage_columns(n, height * view.aspect, width)
    return float(-(-n // columns) * height * view.aspect / (columns * width))


def slices_text(shape: tuple[int, ...], view: View) -> str:
    """Which slices are shown, counted from 1, in words."""
    n = shape[view.axes[0]]
    numbers = chosen_slices(n, MOST_SLICES) + 1
    if view.flips[0]:
        numbers = n + 1 - numbers
    if n == 1:
        return "one slice"
    if len(numbers) == n:
        return f"slices {numbers[0]} to {numbers[-1]}"
    return f"slices {', '.join(map(str, numbers))} of {n}"


def _page_shape(shape: tuple[int, ...], view: View) -> tuple[int, int, int]:
    n, height, width = (shape[axis] for axis in view.axes)
    return min(n, MOST_SLICES), height, width


def _pages(image: Array, view: View) -> Array:
    pages = view.planes(image)
    return pages[chosen_slices(len(pages), MOST_SLICES)]


def _show(axes: Axes, pages: FloatArray, view: View, title: str) -> None:
    """Coloured pages `(page, row, column, channel)` as a montage, with marks at its edges."""
    columns = montage_columns(len(pages), pages.shape[1] * view.aspect, pages.shape[2])
    picture = montage(pages, columns)
    step = max(1, max(picture.shape[:2]) // _MOST_PIXELS)
    axes.imshow(picture[::step, ::step], aspect=view.aspect, interpolation="nearest")
    axes.set_title(title, fontsize=11)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    places = {(0.01, 0.5, "left", "center"): view.left, (0.99, 0.5, "right", "center"): view.right}
    places |= {(0.5, 0.99, "center", "top"): view.top, (0.5, 0.01, "center", "bottom"): view.bottom}
    outline = [withStroke(linewidth=2, foreground="black")]
    for (x, y, across, up), mark in places.items():
        axes.text(
            x,
            y,
            mark,
            transform=axes.transAxes,
            ha=across,
            va=up,
            color="white",
            fontsize=9,
            path_effects=outline,
        )
