"""A picture of the trials of a model. matplotlib."""

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mrftool.evaluation.model_trials import ModelTrials
from mrftool.figures.bins import RATIO, RATIO_TICKS, draw_bins
from mrftool.figures.maps import save_figure
from mrftool.figures.precision import label_ticks


def model_figure(found: ModelTrials, path: str | Path, *, title: str) -> None:
    """RMSE / bound over T1 and T2, all SNRs together, above; errors and flags against SNR below."""
    figure = Figure(figsize=(11.5, 10.2), layout="constrained")
    above, (errors, flags) = figure.subplots(2, 2)
    for axes, each in zip(above, found.bins, strict=True):
        draw_bins(axes, each, each.rmse_over_bound, RATIO, ("RdYlBu_r", "{:.2f}"))
        axes.set_title(f"{each.parameter.upper()}: RMSE / bound, all SNRs", fontsize=11)
        bar = figure.colorbar(axes.collections[0], ax=axes, extend="both", pad=0.02, fraction=0.05)
        label_ticks(bar.ax.yaxis, RATIO_TICKS)
    _draw_errors(errors, found)
    _draw_flags(flags, found)
    for axes in (errors, flags):
        axes.set(xscale="log", xlabel="SNR")
        label_ticks(axes.xaxis, found.snrs)
        axes.grid(alpha=0.3)
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False, fontsize=9
        )
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    save_figure(figure, path)


def _draw_errors(axes: Axes, found: ModelTrials) -> None:
    """RMSE / bound and sd of z, with the band in which chance alone moves them (two standard
    errors).
    """
    chance = 2 / np.sqrt(2 * found.voxels)
    axes.axhspan(1 - chance, 1 + chance, color="0.9", zorder=0, label="chance")
    axes.axhline(1, color="0.4", lw=0.8)
    for name, colour in (("t1", "tab:blue"), ("t2", "tab:orange")):
        for key, style, text in (
            ("rmse_over_bound", "o-", "RMSE / bound"),
            ("z_sd", "s--", "sd of error / sd"),
        ):
            values = [scores[name].get(key, np.nan) for scores in found.scores]
            axes.plot(
                found.snrs,
                values,
                style,
                color=colour,
                ms=5,
                lw=1.2,
                label=f"{name.upper()} {text}",
            )
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.9), max(high, 1.1))
    axes.set_title("errors in units of the bound, and of the error bars", fontsize=11)


def _draw_flags(axes: Axes, found: ModelTrials) -> None:
    """Share of voxels with any flag, for each kind of signals."""
    for k, case in enumerate(found.cases()):
        rates = [100 * rate.flagged for rate in found.rates_of(case)]
        colour = colormaps["tab10"](k - 1) if case else "black"
        size = max(13 - 2 * k, 4)  # hollow and ever smaller: all are seen where they meet
        line, *_ = axes.plot(
            found.snrs,
            rates,
            "o-",
            color=colour,
            ms=size,
            lw=1.2,
            label=case or "as modelled (false alarms)",
        )
        line.set(markerfacecolor="none", markeredgewidth=1.6)
    axes.set(ylim=(-3, 103))
    axes.set_title("voxels with a flag [%]", fontsize=11)
