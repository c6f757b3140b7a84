"""One map on a figure: its slices, colour bar, and marks of orientation. matplotlib, for `figures`
only.

Windows and colours are the same from run to run, so that pictures can be laid beside each other;
only M0, whose unit is the scanner's, has a window of its own, which its colour bar shows.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.figures.colours import (
    GREY,
    coloured,
    grey,
    lipari,
    log_processed,
    navia,
)
from mrftool.figures.views import View, chosen_slices, montage, montage_columns
from mrftool.maps import Flag

MOST_SLICES = 12
_MOST_PIXELS = 1500  # of a montage's longer side, about what the page resolves


@dataclass(frozen=True)
class Style:
    """title: with the unit shown. window: ends of the colour bar in that unit. scale: unit shown /
    unit in memory.
    """

    title: str
    table: FloatArray
    window: tuple[float, float]
    scale: float = 1.0


_CIVIDIS = np.asarray(colormaps["cividis"](np.linspace(0, 1, 256)))[:, :3]
_COOLWARM = np.asarray(colormaps["coolwarm"](np.linspace(0, 1, 256)))[:, :3]
STYLES = {
    "t1": Style("T1 [ms]", log_processed(lipari()), (0, 3000), 1e3),
    "t2": Style("T2 [ms]", log_processed(navia()), (0, 300), 1e3),
    "sd_t1": Style("standard deviation of T1 [ms]", _CIVIDIS, (0, 150), 1e3),
    "sd_t2": Style("standard deviation of T2 [ms]", _CIVIDIS, (0, 15), 1e3),
    "residual": Style("residual / signal [1]", _CIVIDIS, (0, 0.2)),
    "b1": Style("B1 [1]", _CIVIDIS, (0.5, 1.5)),
    "error": Style("error [%]", _COOLWARM, (-20, 20)),
}
# The first complaint that a voxel has is shown. Colours: M. Okabe, K. Ito, told apart by all eyes.
FLAG_COLOURS: list[tuple[int, str, tuple[float, float, float]]] = [
    (Flag.MASKED, "masked", (0.0, 0.0, 0.0)),
    (Flag.NON_FINITE, "not finite", GREY),
    (Flag.OUT_OF_RANGE, "out of range", (0.84, 0.37, 0.0)),
    (Flag.MISFIT, "misfit", (0.80, 0.47, 0.65)),
    (Flag.T1_UNDETERMINED, "T1 undetermined", (0.94, 0.89, 0.26)),
    (Flag.T2_UNDETERMINED, "T2 undetermined", (0.34, 0.71, 0.91)),
]
NO_FLAG = (0.0, 0.35, 0.28)


def style_of(name: str, image: Array) -> Style:
    """How to show the map `name`; a map without a window of its own runs to the 99th percentile of
    its magnitude.
    """
    if name in STYLES:
        return STYLES[name]
    size = np.abs(image[np.isfinite(image) & (image != 0)])
    top = float(np.percentile(size, 99)) if size.size else 1.0
    return Style("|M0| [scanner's unit]" if name == "m0" else name, grey(), (0, top))


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
    picture = np.tile(np.array(NO_FLAG), (*pages.shape, 1))
    legend = [Patch(color=NO_FLAG, label="no complaint")]
    for bit, text, colour in reversed(FLAG_COLOURS):
        has = (pages & bit) != 0
        picture[has] = colour
        if has.any():
            legend.insert(1, Patch(facecolor=colour, edgecolor="0.5", label=text))
    _show(axes, picture, view, "flags")
    axes.legend(
        handles=legend,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=3,
        frameon=False,
        fontsize=8,
        columnspacing=1,
    )


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
