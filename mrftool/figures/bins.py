"""A picture of errors in bins over the plane of T1 and T2. matplotlib."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from mrftool.arrays import FloatArray
from mrftool.evaluation.bins import MIN_VOXELS, Bins
from mrftool.figures.maps import save_figure
from mrftool.figures.precision import TICKS, label_ticks

# Colours end at the same values from run to run.
RATIO, _PERCENT, _BIAS = LogNorm(0.5, 2), LogNorm(0.5, 20), Normalize(-5, 5)
RATIO_TICKS: tuple[float, ...] = (0.5, 0.7, 1, 1.4, 2)


def bin_figure(bins: Sequence[Bins], path: str | Path, *, title: str = "") -> None:
    """For each parameter, RMSE / bound (or relative RMSE, where no bound is known) beside relative
    bias.
    """
    figure = Figure(figsize=(11.5, 4.6 * len(bins) + 0.4), layout="constrained")
    has_bound = any(np.isfinite(each.rmse_over_bound).any() for each in bins)
    for each, (left, right) in zip(bins, figure.subplots(len(bins), 2, squeeze=False), strict=True):
        name = each.parameter.upper()
        if has_bound:
            draw_bins(left, each, each.rmse_over_bound, RATIO, ("RdYlBu_r", "{:.2f}"))
            left.set_title(f"{name}: RMSE / bound", fontsize=11)
            ticks = RATIO_TICKS
        else:
            draw_bins(left, each, 100 * each.rmse, _PERCENT, ("cividis", "{:.1f}"))
            left.set_title(f"{name}: RMSE [%]", fontsize=11)
            ticks = (0.5, 1, 2, 5, 10, 20)
        bar = figure.colorbar(left.collections[0], ax=left, extend="both", pad=0.02, fraction=0.05)
        label_ticks(bar.ax.yaxis, ticks)
        draw_bins(right, each, 100 * each.bias, _BIAS, ("coolwarm", "{:+.1f}"))
        right.set_title(f"{name}: bias [%]", fontsize=11)
        figure.colorbar(right.collections[0], ax=right, extend="both", pad=0.02, fraction=0.05)
    text = f"bins of fewer than {MIN_VOXELS} voxels are left out; chance alone moves RMSE by 1 / \N{SQUARE ROOT}(2 voxels)"
    figure.supxlabel(text, fontsize=8, color="0.35")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    save_figure(figure, path)


def draw_bins(
    axes: Axes, bins: Bins, values: FloatArray, norm: Normalize, look: tuple[str, str]
) -> None:
    """Coloured bins with their values in them, on logarithmic axes [ms]. look: colours, format of
    the values.
    """
    colours, form = look
    edges = 1e3 * bins.t1_edges, 1e3 * bins.t2_edges
    mesh = axes.pcolormesh(*edges, np.ma.masked_invalid(values.T), norm=norm, cmap=colours)
    axes.set(
        xscale="log", yscale="log", xlabel="true T1 [ms]", ylabel="true T2 [ms]", facecolor="0.93"
    )
    for axis, (low, *_, high) in zip((axes.xaxis, axes.yaxis), edges, strict=True):
        inside = [tick for tick in TICKS if low <= tick <= high]
        label_ticks(axis, tuple(inside) if len(inside) > 1 else (round(low), round(high)))
    middle = [np.sqrt(edge[1:] * edge[:-1]) for edge in edges]
    for i, j in np.argwhere(np.isfinite(values)):
        shade = mesh.cmap(norm(values[i, j]))
        is_dark = 0.3 * shade[0] + 0.59 * shade[1] + 0.11 * shade[2] < 0.5
        text, colour = form.format(round(values[i, j], 2) + 0.0), "white" if is_dark else "black"
        axes.text(
            middle[0][i], middle[1][j], text, color=colour, fontsize=8, ha="center", va="center"
        )
