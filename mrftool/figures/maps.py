"""Pictures of maps: an overview, errors against a reference, estimates against a reference."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.errors import MismatchError
from mrftool.evaluation.score_tables import in_words
from mrftool.figures.canvas import Look, picture
from mrftool.figures.panels import (
    ERROR_STYLE,
    Style,
    draw_flags,
    draw_map,
    legend_lines,
    style_of,
)
from mrftool.figures.views import View, panel_height, slices_text, view_of
from mrftool.maps import Maps
from mrftool.quantities import Flag, quantity
from mrftool.tissue import Tissue

_PANEL, _MONTAGE = 4.0, 5.5  # width of a map with its colour bar, of one or of more slices [inch]
_MAP_SHARE = 0.82  # of that width, without the colour bar and its numbers
_LEFT, _ABOVE_MAP, _ABOVE_ALL, _CAPTION = 0.08, 0.36, 0.32, 0.36  # of a page of maps [inch]
_BELOW_ALL = 0.08  # under the caption [inch]
_LINE = 0.2  # height of a line of a legend [inch]
_MOST_POINTS = 20_000
_COLUMNS = 4  # of an overview
_IN_ORDER = (
    *("t1", "t2", "m0", "flags"),
    *("sd_t1", "systematic_t1", "combined_t1", "residual"),
    *("sd_t2", "systematic_t2", "combined_t2", "misfit"),
)


def overview_figure(
    maps: Maps, affine: FloatArray | None, path: str | Path, *, title: str = ""
) -> None:
    """Draw all maps of a scan: at most twelve slices, evenly spread.

    T1, T2, M0 and the flags come first; the standard deviation and uncertainties of T1, and of T2,
    have a row each.

    Parameters
    ----------
    maps
        T1, T2, M0 and flags, and what else there is.
    affine
        Voxel index to millimetres in RAS+, `(4, 4)` [mm]; None where it is not known.
    path
        Of the PNG file.
    title
        Text above the maps.
    """
    images = _in_rows(dict(maps.images()))
    masked = (maps.flags & Flag.MASKED) != 0
    columns = min(len(images), _COLUMNS)
    lines = legend_lines(maps.flags)
    with _map_panels(path, affine, maps.t1.shape, len(images), columns, title, lines) as page:
        figure, panels, view = page
        for axes, (name, image) in zip(panels, images, strict=True):
            if name == "flags":
                draw_flags(axes, image, view)
            else:
                draw_map(figure, axes, image, view, style_of(name, image), masked)


def _in_rows(images: dict[str, Array]) -> list[tuple[str, Array]]:
    """Images by name, those that belong together in one row; others follow."""
    known = [name for name in _IN_ORDER if name in images]
    others = [name for name in images if name not in _IN_ORDER]
    return [(name, images[name]) for name in (*known, *others)]


def error_figure(
    reference: Mapping[str, Array],
    estimate: Mapping[str, Array],
    affine: FloatArray,
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """Draw reference, estimate and relative error of T1 and T2, in a row each.

    Parameters
    ----------
    reference, estimate
        Images `(x, y, z)` [s] under "t1" and "t2"; 0 where there is no reference.
    affine
        Voxel index to millimetres in RAS+, `(4, 4)` [mm].
    path
        Of the PNG file.
    title
        Text above the maps.

    Raises
    ------
    MismatchError
        If an estimate has another shape than its reference.
    """
    names = [name for name in ("t1", "t2") if name in reference and name in estimate]
    shape = reference[names[0]].shape
    with _map_panels(path, affine, shape, 3 * len(names), 3, title) as (figure, panels, view):
        for row, name in enumerate(names):
            true, found = _pair(name, reference, estimate)
            kinds = _reference_estimate_and_error(name, true, found)
            for axes, (image, style) in zip(panels[3 * row : 3 * row + 3], kinds, strict=True):
                draw_map(figure, axes, image, view, style, ~(true > 0))


def _pair(
    name: str, reference: Mapping[str, Array], estimate: Mapping[str, Array]
) -> tuple[FloatArray, FloatArray]:
    true = np.asarray(reference[name], np.float64)
    found = np.asarray(estimate[name], np.float64)
    if true.shape != found.shape:
        raise MismatchError(
            f"{name} has shape {found.shape}, expected {true.shape} as the reference"
        )
    return true, found


def _reference_estimate_and_error(
    name: str, true: FloatArray, found: FloatArray
) -> list[tuple[FloatArray, Style]]:
    """Three images, each with the style that it is shown in."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = 100 * (found - true) / true
    style, text = style_of(name), quantity(name).title
    return [
        (true, replace(style, title=f"true {text}")),
        (found, replace(style, title=f"estimated {text}")),
        (error, replace(ERROR_STYLE, title=f"error of {quantity(name).caption} [%]")),
    ]


def scatter_figure(
    reference: Tissue,
    estimate: Mapping[str, ArrayLike],
    path: str | Path,
    *,
    labels: NDArray[np.integer] | None = None,
    classes: Sequence[str] = (),
    title: str = "",
) -> None:
    """Draw estimated against true T1 and T2, in colours of the tissue classes.

    Parameters
    ----------
    reference
        Of each voxel.
    estimate
        Columns `(voxel,)` [s] under "t1" and "t2"; values that are not above 0 are left out.
    path
        Of the PNG file.
    labels
        Class of each voxel, as an index into `classes`.
    classes
        Their names.
    title
        Text above the panels.
    """
    names = [name for name in ("t1", "t2") if name in estimate]
    groups = _groups(len(reference), labels, classes)
    with picture(path, 5.2 * len(names) + 1.5, 5.2, title=title) as figure:
        for axes, name in zip(np.ravel(figure.subplots(1, len(names))), names, strict=True):
            true = 1e3 * getattr(reference, name)
            _scatter(axes, true, 1e3 * np.asarray(estimate[name], np.float64), groups)
            _identity_axes(axes, true[true > 0], quantity(name).title)
        if labels is not None:
            handles, texts = axes.get_legend_handles_labels()
            figure.legend(handles, texts, loc="outside right upper", markerscale=5, frameon=False)


def _groups(
    n: int, labels: NDArray[np.integer] | None, classes: Sequence[str]
) -> list[tuple[str, BoolArray]]:
    """The voxels of each class that occurs, by the name that the legend shows."""
    if labels is None:
        return [("voxels", np.ones(n, bool))]
    members = [(in_words(name), labels == index) for index, name in enumerate(classes)]
    return [(text, mask) for text, mask in members if mask.any()]


def _scatter(
    axes: Axes, true: FloatArray, found: FloatArray, groups: list[tuple[str, BoolArray]]
) -> None:
    """At most `_MOST_POINTS` voxels, evenly spread."""
    n = len(true)
    kept = np.unique(np.linspace(0, n - 1, min(n, _MOST_POINTS)).astype(int))
    look: Look = {"ms": 2.5, "alpha": 0.5, "mew": 0}
    for index, (text, mask) in enumerate(groups):
        chosen = kept[mask[kept] & (found[kept] > 0)]
        colour = colormaps["tab10"](index % 10)
        axes.plot(true[chosen], found[chosen], ".", color=colour, label=text, **look)


def _identity_axes(axes: Axes, true: FloatArray, title: str) -> None:
    """Logarithmic axes around the reference, with the line on which estimates should lie."""
    low, high = 1.0, 1e4
    if true.size:
        low, high = float(true.min()) / 2, float(true.max()) * 2
    axes.plot([low, high], [low, high], color="0.3", lw=0.8, zorder=0)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=f"true {title}", ylabel=f"estimated {title}")
    axes.grid(alpha=0.3)


@contextmanager
def _map_panels(
    path: str | Path,
    affine: FloatArray | None,
    shape: tuple[int, ...],
    n: int,
    columns: int,
    title: str,
    legend: int = 0,
) -> Iterator[tuple[Figure, list[Axes], View]]:
    """A picture with `n` panels for maps of that shape, in rows of `columns`, and a caption.

    legend: lines of a legend below the first row.
    """
    place = affine
    if place is None:
        place = np.eye(4)
    view, rows, width = view_of(place), -(-n // columns), _PANEL
    if shape[view.axes[0]] >= 3:
        width = _MONTAGE
    map_width = _MAP_SHARE * width
    map_height = map_width * panel_height(shape, view)
    legend_height = _LINE * legend
    height = rows * (map_height + _ABOVE_MAP) + legend_height + _ABOVE_ALL + _CAPTION
    with picture(path, width * columns, height, title=title, layout=None) as figure:
        panels = []
        for index in range(n):
            row, column = divmod(index, columns)
            bottom = height - _ABOVE_ALL - (row + 1) * (map_height + _ABOVE_MAP)
            if row > 0:
                bottom -= legend_height
            corner = (column * width + _LEFT, bottom)
            panels.append(_axes_at(figure, corner, (map_width, map_height)))
        yield figure, panels, view
        text = (
            f"{slices_text(shape, view)}; {_place_text(affine)}; grey: not a number, black: masked"
        )
        figure.supxlabel(text, y=_BELOW_ALL / height, fontsize=8, color="0.35")


def _axes_at(figure: Figure, corner: tuple[float, float], size: tuple[float, float]) -> Axes:
    """Axes of a size, with their lower left corner at a place of a figure [inch]."""
    across, up = figure.get_size_inches()
    return figure.add_axes((corner[0] / across, corner[1] / up, size[0] / across, size[1] / up))


def _place_text(affine: FloatArray | None) -> str:
    """The size of the voxels, where it is known."""
    if affine is None:
        return "axes taken for R, A, S"
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    return f"voxels {' x '.join(f'{edge:.3g}' for edge in edges)} mm"
