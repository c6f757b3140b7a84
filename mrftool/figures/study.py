"""Pictures of a study of several methods: sequences, predictions, maps of errors, error curves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from numpy.typing import NDArray

from mrftool.arrays import FloatArray, Range
from mrftool.figures.canvas import Look, label_ticks, picture, round_ticks
from mrftool.grid import Grid
from mrftool.pages import drawing
from mrftool.pages.page import map_panel, page_of
from mrftool.pages.styles import ERROR_STYLE, style_of
from mrftool.pages.views import view_of
from mrftool.quantities import quantity

Curve = Sequence[tuple[float, float, float]]  # x, mean, spread

_MOST_POINTS = 6000  # of a scatter plot
_MOST_LINES = 120  # fingerprints of a panel
_MARKERS = "osD^vP*X<>hp"


def sequences_figure(
    flips: Mapping[str, FloatArray],
    signals: Mapping[str, NDArray[np.floating]],
    t1: FloatArray,
    path: Path,
) -> None:
    """Draw the flip angles of each sequence above, fingerprints of the same tissues below.

    Parameters
    ----------
    flips
        Flip angles of each sequence `(repetition,)` [rad].
    signals
        Real fingerprints under each sequence `(tissue, time)`; drawn with a norm of 1.
    t1
        `(tissue,)` [s], which colours the fingerprints.
    path
        Of the PNG file.
    """
    colours, scale = colormaps["viridis"], LogNorm(1e3 * float(t1.min()), 1e3 * float(t1.max()))
    with picture(path, 4.3 * len(flips), 6.2) as figure:
        panels = figure.subplots(2, len(flips), squeeze=False, sharex=True, sharey="row")
        for (above, below), (name, flip) in zip(panels.T, flips.items(), strict=True):
            above.plot(np.arange(1, len(flip) + 1), np.rad2deg(flip), color="tab:blue", lw=1)
            above.set_title(name, fontsize=11)
            rows = signals[name][:_MOST_LINES]
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            repetitions = np.arange(1, rows.shape[1] + 1)
            for row, value in zip(rows, t1, strict=False):
                colour = colours(scale(1e3 * value))
                below.plot(repetitions, row, color=colour, lw=0.6, alpha=0.6)
            below.set_xlabel("repetition")
        panels[0, 0].set_ylabel("flip angle [deg]")
        panels[1, 0].set_ylabel("fingerprint, norm 1")
        for axes in panels.flat:
            axes.grid(alpha=0.3)
        mappable = ScalarMappable(scale, colours)
        bar = figure.colorbar(mappable, ax=list(panels[1]), pad=0.01, label="T1 [ms]")
        label_ticks(bar.ax.yaxis, (500, 1000, 2000, 4000))


def predictions_figure(
    reference: FloatArray, found: Mapping[str, FloatArray], path: Path, *, title: str
) -> None:
    """Draw predicted against true T1 (above) and T2 (below) of each method.

    Parameters
    ----------
    reference
        True T1 and T2 `(voxel, 2)` [s].
    found
        The same as each method predicts it.
    path
        Of the PNG file.
    title
        Text above the panels.
    """
    n = len(reference)
    kept = np.unique(np.linspace(0, n - 1, min(n, _MOST_POINTS)).astype(int))
    with picture(path, 3.2 * len(found) + 0.6, 6.9, title=title) as figure:
        panels = figure.subplots(2, len(found), squeeze=False, sharex="row", sharey="row")
        for row, name in enumerate(("T1", "T2")):
            true = 1e3 * reference[kept, row]
            predicted = [1e3 * pairs[kept, row] for pairs in found.values()]
            for axes, values in zip(panels[row], predicted, strict=True):
                axes.plot(true, values, ".", ms=2.5, alpha=0.35, mew=0, color="tab:red")
                axes.axline((1, 1), slope=1, color="tab:blue", lw=1.2)
                axes.set_xlabel(f"true {name} [ms]")
            panels[row, 0].set_ylabel(f"predicted {name} [ms]")
            _log_axes(panels[row], true, np.concatenate(predicted))
        for axes, method in zip(panels[0], found, strict=True):
            axes.set_title(method, fontsize=11)


def _log_axes(row: Sequence[Axes], true: FloatArray, predicted: FloatArray) -> None:
    """The range of the reference, and of nearly all predictions."""
    positive = predicted[np.isfinite(predicted) & (predicted > 0)]
    low, high = float(true.min()) / 1.5, float(true.max()) * 1.5
    bottom, top = low, high
    if positive.size:
        ends = np.percentile(positive, (0.5, 99.5))
        bottom, top = min(low, ends[0] / 1.2), max(high, ends[1] * 1.2)
    for axes in row:
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(bottom, top))
        label_ticks(axes.xaxis, round_ticks(low, high))
        label_ticks(axes.yaxis, round_ticks(bottom, top))
        axes.grid(alpha=0.3)


def maps_figure(
    reference: FloatArray, found: Mapping[str, FloatArray], grid: Grid, path: Path, *, title: str
) -> None:
    """Draw true maps and the relative error of each method, T1 above and T2 below.

    Parameters
    ----------
    reference
        True T1 and T2 `(voxel, 2)` [s].
    found
        The same as each method predicts it.
    grid
        Where the voxels lie.
    path
        Of the PNG file.
    title
        Text above the maps.
    """
    view, panels = view_of(grid.affine), []
    for column, key in enumerate(("t1", "t2")):
        true = replace(style_of(key), title=f"true {quantity(key).title}")
        panels.append(map_panel(grid.to_image(reference[:, column]), view, true, ~grid.mask))
        for method, pairs in found.items():
            text = f"{method}: error of {quantity(key).caption} [%]"
            error = grid.to_image(100 * (pairs[:, column] / reference[:, column] - 1))
            panels.append(map_panel(error, view, replace(ERROR_STYLE, title=text), ~grid.mask))
    page = page_of(panels, len(found) + 1, grid.mask.shape, grid.affine, title)
    drawing.save_page(page, path)


def curves_figure(
    panels: Mapping[str, Mapping[str, Curve]],
    path: Path,
    *,
    x: str,
    y: str,
    reference: float | None = None,
) -> None:
    """Draw curves with their spread over seeds on logarithmic axes.

    Parameters
    ----------
    panels
        Curves by name, by the title of their panel.
    path
        Of the PNG file.
    x, y
        Labels of the axes.
    reference
        A value that a line marks.
    """
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    with picture(path, 4.6 * len(panels) + 2.6, 4.6) as figure:
        row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        handles: dict[str, Artist] = {}
        for axes, (text, curves) in zip(row, panels.items(), strict=True):
            if reference is not None:
                axes.axhline(reference, color="0.3", lw=1.2)
            for name, curve in curves.items():
                handles[name] = _draw_curve(axes, curve, names.index(name))
            axes.set(xscale="log", yscale="log", xlabel=x)
            label_ticks(axes.xaxis, _places(curves))
            axes.set_title(text, fontsize=11)
            axes.grid(alpha=0.3)
        row[0].set_ylabel(y)
        low, high = _with_room_for_ticks(*row[0].get_ylim())
        row[0].set_ylim(low, high)
        label_ticks(row[0].yaxis, round_ticks(low, high))
        look: Look = {"loc": "outside right center", "frameon": False, "fontsize": 9}
        figure.legend(list(handles.values()), list(handles), **look)


def _places(curves: Mapping[str, Curve]) -> tuple[float, ...]:
    """Every x at which a curve has a point."""
    return tuple(sorted({point[0] for curve in curves.values() for point in curve}))


def _with_room_for_ticks(low: float, high: float) -> Range:
    """A range in which two ticks or more find a place."""
    if high > 3 * low:
        return low, high
    return low / 2, high * 2


def _draw_curve(axes: Axes, curve: Curve, index: int) -> Artist:
    """One curve with its band; gives the line, for the legend."""
    at, mean, spread = np.array(sorted(curve)).T
    colour = colormaps["tab20"]((2 * index) % 20 + (2 * index) // 20)
    marker = _MARKERS[index % len(_MARKERS)]
    line, *_ = axes.plot(at, mean, marker=marker, ms=5, lw=1.2, color=colour)
    low, high = np.maximum(mean - spread, mean / 10), mean + spread
    axes.fill_between(at, low, high, color=colour, alpha=0.15, lw=0)
    return line
