"""Pictures of a study of several methods: sequences, true against predicted, maps of errors, noise.
matplotlib.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mrftool.arrays import FloatArray
from mrftool.figures.maps import save_figure
from mrftool.figures.panels import ERROR_STYLE, draw_map, panel_height, style_of
from mrftool.figures.precision import label_ticks
from mrftool.figures.views import view_of
from mrftool.grid import Grid

Curve = Sequence[tuple[float, float, float]]  # x, mean, spread

_MOST_POINTS = 6000
_LINES = 120
_MARKERS = "osD^vP*X<>hp"


def sequences_figure(
    flips: Mapping[str, FloatArray],
    signals: Mapping[str, NDArray[np.floating]],
    t1: FloatArray,
    path: Path,
) -> None:
    """Flip angles [rad] of each sequence above, real fingerprints `(tissue, time)` of the same
    tissues
    below.

    t1: `(tissue,)` [s], which colours them. Fingerprints are drawn with a norm of 1.
    """
    figure = Figure(figsize=(4.3 * len(flips), 6.2), layout="constrained")
    panels = figure.subplots(2, len(flips), squeeze=False, sharex=True, sharey="row")
    colours, scale = colormaps["viridis"], LogNorm(1e3 * float(t1.min()), 1e3 * float(t1.max()))
    for (above, below), (name, flip) in zip(panels.T, flips.items(), strict=True):
        above.plot(np.arange(1, len(flip) + 1), np.rad2deg(flip), color="tab:blue", lw=1)
        above.set_title(name, fontsize=11)
        rows = signals[name][:_LINES]
        for row, value in zip(rows / np.linalg.norm(rows, axis=1, keepdims=True), t1, strict=False):
            below.plot(
                np.arange(1, len(row) + 1),
                row,
                color=colours(scale(1e3 * value)),
                lw=0.6,
                alpha=0.6,
            )
        below.set_xlabel("repetition")
    panels[0, 0].set_ylabel("flip angle [deg]")
    panels[1, 0].set_ylabel("fingerprint, norm 1")
    for axes in panels.flat:
        axes.grid(alpha=0.3)
    bar = figure.colorbar(
        ScalarMappable(scale, colours), ax=list(panels[1]), pad=0.01, label="T1 [ms]"
    )
    label_ticks(bar.ax.yaxis, (500, 1000, 2000, 4000))
    save_figure(figure, path)


def predictions_figure(
    truth: FloatArray, found: Mapping[str, FloatArray], path: Path, *, title: str
) -> None:
    """Predicted against true T1 and T2 of each method, in a row each, with the line of perfect
    predictions.
    """
    figure = Figure(figsize=(3.2 * len(found) + 0.6, 6.9), layout="constrained")
    panels = figure.subplots(2, len(found), squeeze=False, sharex="row", sharey="row")
    kept = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), _MOST_POINTS)).astype(int))
    for column, (name, pairs) in enumerate(found.items()):
        for row, parameter in enumerate(("T1", "T2")):
            axes = panels[row, column]
            true, predicted = 1e3 * truth[kept, row], 1e3 * pairs[kept, row]
            axes.plot(true, predicted, ".", ms=2.5, alpha=0.35, mew=0, color="tab:red")
            axes.axline((1, 1), slope=1, color="tab:blue", lw=1.2)
            axes.set_xlabel(f"true {parameter} [ms]")
            if not column:
                axes.set_ylabel(f"predicted {parameter} [ms]")
            if not row:
                axes.set_title(name, fontsize=11)
    for row in range(2):
        every = [1e3 * pairs[kept, row] for pairs in found.values()]
        _log_axes(panels[row], 1e3 * truth[kept, row], np.concatenate(every))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    save_figure(figure, path)


def maps_figure(
    truth: FloatArray, found: Mapping[str, FloatArray], grid: Grid, path: Path, *, title: str
) -> None:
    """True maps, and the relative error of each method, T1 above and T2 below."""
    view, shape = view_of(grid.affine), grid.mask.shape
    width = 3.1
    figure = Figure(
        figsize=(
            width * (len(found) + 1),
            2 * (0.82 * width * panel_height(shape, view) + 0.4) + 0.5,
        ),
        layout="constrained",
    )
    panels = figure.subplots(2, len(found) + 1, squeeze=False)
    for row, key in enumerate(("t1", "t2")):
        true = grid.to_image(truth[:, row])
        style = replace(style_of(key), title=f"true {key.upper()} [ms]")
        draw_map(figure, panels[row, 0], true, view, style, ~grid.mask)
        for axes, (name, pairs) in zip(panels[row, 1:], found.items(), strict=True):
            error = grid.to_image(100 * (pairs[:, row] / truth[:, row] - 1))
            style = replace(ERROR_STYLE, title=f"{name}: error of {key.upper()} [%]")
            draw_map(figure, axes, error, view, style, ~grid.mask)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    save_figure(figure, path)


def curves_figure(
    panels: Mapping[str, Mapping[str, Curve]],
    path: Path,
    *,
    x: str,
    y: str,
    reference: float | None = None,
) -> None:
    """Curves with their spread over seeds, on logarithmic axes: one panel for each key, one curve
    for each name.

    reference: a value that a line marks.
    """
    figure = Figure(figsize=(4.6 * len(panels) + 2.6, 4.6), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    for axes, (text, curves) in zip(grid, panels.items(), strict=True):
        if reference is not None:
            axes.axhline(reference, color="0.3", lw=1.2)
        for name, curve in curves.items():
            _curve(axes, curve, names.index(name), name)
        ticks = tuple(sorted({point[0] for curve in curves.values() for point in curve}))
        axes.set(xscale="log", yscale="log", xlabel=x)
        label_ticks(axes.xaxis, ticks)
        axes.set_title(text, fontsize=11)
        axes.grid(alpha=0.3)
    grid[0].set_ylabel(y)
    low, high = grid[0].get_ylim()
    low, high = (low, high) if high > 3 * low else (low / 2, high * 2)  # room for two ticks or more
    grid[0].set_ylim(low, high)
    label_ticks(grid[0].yaxis, _nice(low, high))
    handles = {
        text: handle
        for axes in grid
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(handles.values()), list(handles), loc="outside right center", frameon=False, fontsize=9
    )
    save_figure(figure, path)


def _curve(axes: Axes, curve: Curve, index: int, name: str) -> None:
    at, mean, spread = np.array(sorted(curve)).T
    colour = colormaps["tab20"]((2 * index) % 20 + (2 * index) // 20)
    line, *_ = axes.plot(
        at, mean, marker=_MARKERS[index % len(_MARKERS)], ms=5, lw=1.2, color=colour, label=name
    )
    axes.fill_between(
        at,
        np.maximum(mean - spread, mean / 10),
        mean + spread,
        color=line.get_color(),
        alpha=0.15,
        lw=0,
    )


def _log_axes(row: Sequence[Axes], truth: FloatArray, found: FloatArray) -> None:
    """The range of the truth, and of nearly all predictions."""
    positive = found[np.isfinite(found) & (found > 0)]
    low, high = truth.min() / 1.5, truth.max() * 1.5
    ends = np.percentile(positive, (0.5, 99.5)) if positive.size else (low, high)
    bottom, top = min(low, ends[0] / 1.2), max(high, ends[1] * 1.2)
    for axes in row:
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(bottom, top))
        label_ticks(axes.xaxis, _nice(low, high))
        label_ticks(axes.yaxis, _nice(bottom, top))
        axes.grid(alpha=0.3)


def _nice(low: float, high: float) -> tuple[float, ...]:
    """1, 2, 5, 10, ... between the ends; fewer of them where there are many."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps = (1, 2, 5) if len(decades) <= 4 else (1,)
    return tuple(s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high)
