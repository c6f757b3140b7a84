"""One map on a figure: its slices, colour bar, and marks of orientation.

Windows and colours are the same in every picture, so that pictures can be laid beside each other.
Only M0 and standard deviations, whose size depends on the scan, have windows that fit what they
hold, as their colour bars tell.
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
from mrftool.figures.canvas import Look
from mrftool.figures.colours import colour_table, coloured
from mrftool.figures.views import View, montage, montage_columns, shown_pages
from mrftool.quantities import FLAGS, UNFLAGGED, FlagDescription, quantity

_LEGEND_COLUMNS = 3
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

    The window of a quantity that has none of its own ends at a round number, not below the 95th
    percentile of the magnitude of `image`.

    Raises
    ------
    ArgumentError
        If there is no map of that name.

    """
    shown = quantity(name)
    window = shown.window
    if window is None:
        window = (0.0, _round_up(_largest(image) * shown.unit.factor))
    return Style(shown.title, colour_table(shown.colours), window, shown.unit.factor)


def _largest(image: Array | None) -> float:
    """The 95th percentile of the magnitude of what is finite and not 0; 1 without such voxels."""
    if image is None:
        return 1.0
    size = np.abs(image[np.isfinite(image) & (image != 0)])
    if not size.size:
        return 1.0
    return float(np.percentile(size, 95))


def _round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 7 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    steps = [step * power for step in (1, 1.5, 2, 3, 5, 7, 10)]
    return float(min(step for step in steps if step >= value * (1 - 1e-9)))


def draw_map(
    figure: Figure,
    axes: Axes,
    image: Array,
    view: View,
    style: Style,
    masked: BoolArray | None = None,
) -> None:
    """A map with its colour bar.

    image: `(x, y, z)` in the unit in memory; of complex numbers the modulus is shown. masked:
    voxels drawn black, by default those that are 0.
    """
    if masked is None:
        masked = image == 0
    if np.iscomplexobj(image):
        image = np.abs(image)
    pages = shown_pages(image, view).astype(np.float64) * style.scale
    picture = coloured(pages, style.table, style.window, shown_pages(masked, view))
    _draw_montage(axes, picture, view, style.title)
    low, high = style.window
    extend = "max"
    if low < 0:
        extend = "both"
    scale = ScalarMappable(Normalize(low, high), ListedColormap(style.table))
    bar = figure.colorbar(scale, cax=axes.inset_axes((1.02, 0, 0.05, 1)), extend=extend)
    bar.ax.tick_params(labelsize=9)


def draw_flags(axes: Axes, flags: Array, view: View) -> None:
    """The most severe flag of each voxel, with a legend of those that occur."""
    pages = shown_pages(flags, view)
    picture = np.tile(np.array(UNFLAGGED.colour), (*pages.shape, 1))
    for flag in reversed(list(FLAGS)):
        picture[(pages & flag) != 0] = FLAGS[flag].colour
    _draw_montage(axes, picture, view, quantity("flags").caption)
    handles = [
        Patch(facecolor=each.colour, edgecolor="0.5", label=each.label) for each in flags_in(pages)
    ]
    look: Look = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "ncols": _LEGEND_COLUMNS}
    axes.legend(handles=handles, frameon=False, fontsize=8, columnspacing=1, **look)


def flags_in(flags: Array) -> list[FlagDescription]:
    """What the legend of a picture of these flags lists: unflagged, then the flags that occur."""
    return [UNFLAGGED, *(each for flag, each in FLAGS.items() if (flags & flag).any())]


def legend_lines(flags: Array) -> int:
    """Lines of the legend of a picture of these flags, at most."""
    return -(-len(flags_in(flags)) // _LEGEND_COLUMNS)


def _draw_montage(axes: Axes, pages: FloatArray, view: View, title: str) -> None:
    """Coloured pages `(page, row, column, channel)` beside each other, with marks at the edges."""
    columns = montage_columns(len(pages), pages.shape[1] * view.aspect, pages.shape[2])
    picture = montage(pages, columns)
    step = max(1, max(picture.shape[:2]) // _MOST_PIXELS)
    axes.imshow(picture[::step, ::step], aspect=view.aspect, interpolation="nearest")
    axes.set_title(title, fontsize=11)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    _mark(axes, view.left, (0.01, 0.5), ("left", "center"))
    _mark(axes, view.right, (0.99, 0.5), ("right", "center"))
    _mark(axes, view.top, (0.5, 0.99), ("center", "top"))
    _mark(axes, view.bottom, (0.5, 0.01), ("center", "bottom"))


def _mark(axes: Axes, mark: str, place: tuple[float, float], anchor: tuple[str, str]) -> None:
    """A white letter with a black outline. place: [axis]. anchor: across and up."""
    across, up = anchor
    text = axes.text(*place, mark, transform=axes.transAxes, ha=across, va=up)
    text.set(color="white", fontsize=9)
    text.set_path_effects([withStroke(linewidth=2, foreground="black")])
