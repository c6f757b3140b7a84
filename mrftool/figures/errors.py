"""Pictures of errors: in bins over the plane of T1 and T2, and against the SNR."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, to_hex
from matplotlib.figure import Figure

from mrftool.arrays import FloatArray
from mrftool.evaluation.bins import MIN_VOXELS, Bins
from mrftool.evaluation.model_trials import ModelTrials
from mrftool.figures.canvas import TIME_TICKS, Look, label_ticks, picture
from mrftool.quantities import quantity

# Colours end at the same values in every picture.
_RATIO, _PERCENT, _BIAS = LogNorm(0.5, 2), LogNorm(0.5, 20), Normalize(-5, 5)
_RATIO_TICKS: tuple[float, ...] = (0.5, 0.7, 1, 1.4, 2)
_PERCENT_TICKS: tuple[float, ...] = (0.5, 1, 2, 5, 10, 20)


def bin_figure(bins: Sequence[Bins], path: str | Path, *, title: str = "") -> None:
    """Draw, for each parameter, RMSE / bound beside the relative bias.

    Where no bound is known, the relative RMSE takes the place of the first.
    """
    has_bound = any(np.isfinite(each.rmse_over_bound).any() for each in bins)
    with picture(path, 11.5, 4.6 * len(bins) + 0.4, title=title) as figure:
        rows = figure.subplots(len(bins), 2, squeeze=False)
        for each, (left, right) in zip(bins, rows, strict=True):
            name = quantity(each.parameter).caption
            if has_bound:
                draw_ratios(figure, left, each)
                left.set_title(f"{name}: RMSE / bound", fontsize=11)
            else:
                draw_bins(left, each, 100 * each.rmse, _PERCENT, ("cividis", "{:.1f}"))
                _colour_bar(figure, left, _PERCENT_TICKS)
                left.set_title(f"{name}: RMSE [%]", fontsize=11)
            draw_bins(right, each, 100 * each.bias, _BIAS, ("coolwarm", "{:+.1f}"))
            _colour_bar(figure, right)
            right.set_title(f"{name}: bias [%]", fontsize=11)
        text = f"bins of fewer than {MIN_VOXELS} voxels are left out; "
        text += "chance alone moves RMSE by 1 / \N{SQUARE ROOT}(2 voxels)"
        figure.supxlabel(text, fontsize=8, color="0.35")


def model_figure(found: ModelTrials, path: str | Path, *, title: str) -> None:
    """Draw RMSE / bound over T1 and T2, all SNRs together; below, errors and flags against SNR."""
    with picture(path, 11.5, 10.2, title=title) as figure:
        above, (errors, flags) = figure.subplots(2, 2)
        for axes, each in zip(above, found.bins, strict=True):
            draw_ratios(figure, axes, each)
            name = quantity(each.parameter).caption
            axes.set_title(f"{name}: RMSE / bound, all SNRs", fontsize=11)
        _draw_errors(errors, found)
        _draw_flags(flags, found)
        place: Look = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12)}
        for axes in (errors, flags):
            axes.set(xscale="log", xlabel="SNR")
            label_ticks(axes.xaxis, found.snrs)
            axes.grid(alpha=0.3)
            axes.legend(ncols=2, frameon=False, fontsize=9, **place)


def draw_ratios(figure: Figure, axes: Axes, bins: Bins) -> None:
    """RMSE / bound in bins, with a colour bar."""
    draw_bins(axes, bins, bins.rmse_over_bound, _RATIO, ("RdYlBu_r", "{:.2f}"))
    _colour_bar(figure, axes, _RATIO_TICKS)


def draw_bins(
    axes: Axes, bins: Bins, values: FloatArray, norm: Normalize, look: tuple[str, str]
) -> None:
    """Coloured bins with their values in them, on logarithmic axes [ms].

    values: `(t1 bin, t2 bin)`. look: name of the colour map, format of the values.
    """
    colours, number_format = look
    edges = 1e3 * bins.t1_edges, 1e3 * bins.t2_edges
    mesh = axes.pcolormesh(*edges, np.ma.masked_invalid(values.T), norm=norm, cmap=colours)
    axes.set(xscale="log", yscale="log", facecolor="0.93")
    axes.set(xlabel="true T1 [ms]", ylabel="true T2 [ms]")
    label_ticks(axes.xaxis, _ticks_within(edges[0]))
    label_ticks(axes.yaxis, _ticks_within(edges[1]))
    t1, t2 = (np.sqrt(edge[1:] * edge[:-1]) for edge in edges)
    for i, j in np.argwhere(np.isfinite(values)):
        text = number_format.format(round(values[i, j], 2) + 0.0)  # + 0.0: no negative zero
        colour = _readable_on(mesh.cmap(norm(values[i, j])))
        axes.text(t1[i], t2[j], text, color=colour, fontsize=8, ha="center", va="center")


def _ticks_within(edges: FloatArray) -> tuple[float, ...]:
    """Round times between the outer edges [ms], or the edges where there is but one."""
    inside = tuple(tick for tick in TIME_TICKS if edges[0] <= tick <= edges[-1])
    if len(inside) > 1:
        return inside
    return (round(edges[0]), round(edges[-1]))


def _readable_on(shade: Sequence[float]) -> str:
    """White on dark colours, black on light ones."""
    lightness = 0.3 * shade[0] + 0.59 * shade[1] + 0.11 * shade[2]
    if lightness < 0.5:
        return "white"
    return "black"


def _colour_bar(figure: Figure, axes: Axes, ticks: tuple[float, ...] = ()) -> None:
    bar = figure.colorbar(axes.collections[0], ax=axes, extend="both", pad=0.02, fraction=0.05)
    if ticks:
        label_ticks(bar.ax.yaxis, ticks)


def _draw_errors(axes: Axes, found: ModelTrials) -> None:
    """RMSE / bound and the standard deviation of z against the SNR.

    The grey band is what chance alone moves them by: two standard errors.
    """
    chance = 2 / np.sqrt(2 * found.voxels)
    axes.axhspan(1 - chance, 1 + chance, color="0.9", zorder=0, label="chance")
    axes.axhline(1, color="0.4", lw=0.8)
    kinds = (("rmse_over_bound", "o-", "RMSE / bound"), ("z_sd", "s--", "sd of error / sd"))
    for name, colour in (("t1", "tab:blue"), ("t2", "tab:orange")):
        for key, line, text in kinds:
            values = [scores[name].get(key, np.nan) for scores in found.scores]
            label = f"{quantity(name).caption} {text}"
            axes.plot(found.snrs, values, line, color=colour, ms=5, lw=1.2, label=label)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.9), max(high, 1.1))
    axes.set_title("errors in units of the bound, and of the error bars", fontsize=11)


def _draw_flags(axes: Axes, found: ModelTrials) -> None:
    """Share of voxels with any flag, for each kind of signals."""
    for index, case in enumerate(found.cases()):
        rates = [100 * rate.flagged for rate in found.rates_of(case)]
        colour, label = to_hex(colormaps["tab10"](index - 1)), case
        if not case:
            colour, label = "black", "right signals (false alarms)"
        size = max(13 - 2 * index, 4)  # hollow and ever smaller: all are seen where they meet
        look: Look = {"ms": size, "lw": 1.2, "markerfacecolor": "none", "markeredgewidth": 1.6}
        axes.plot(found.snrs, rates, "o-", color=colour, label=label, **look)
    axes.set(ylim=(-3, 103))
    axes.set_title("voxels with a flag [%]", fontsize=11)
