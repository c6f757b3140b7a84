"""A picture of what moves T1 and T2 of common tissues, beside the noise."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from mrftool.arrays import FloatArray
from mrftool.design.precision import Precision
from mrftool.figures.canvas import label_ticks, picture
from mrftool.manifold.influences import INFLUENCES, Influence
from mrftool.manifold.sensitivity import Sensitivity
from mrftool.sequence import PulseSequence

_WIDTH = 0.8  # of all bars of one tissue [tissue]
_GREY = "0.3"
_LEAST, _MOST = 0.02, 50.0  # ends of the axis [%]
_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


@dataclass(frozen=True)
class Bar:
    """text: in the legend. size: `(tissue, 2)`, of T1 and T2 [%]."""

    text: str
    size: FloatArray
    colour: str


def sensitivity_figure(
    found: Sensitivity,
    bound: Precision,
    sequence: PulseSequence,
    snr: float,
    path: str | Path,
    *,
    tissues: tuple[str, ...],
) -> None:
    """Draw the change of T1 and T2 by each given value, and their smallest standard deviation.

    Parameters
    ----------
    found
        Sensitivity to each given value, shown for its typical uncertainty.
    bound
        Cramer-Rao bound of the same tissues.
    sequence
        Whose sensitivity it is.
    snr
        At which the bound holds [1].
    path
        Of the PNG file.
    tissues
        Names of the tissues.
    """
    bars = [Bar(f"noise, SNR {snr:g}", 100 * bound.relative, _GREY)]
    shifts = 100 * np.abs(found.shifts())
    for index in np.flatnonzero(found.matters()):
        influence = found.influences[index]
        text = f"{influence.label}, {influence.shown}"
        bars.append(Bar(text, shifts[index], _colour_of(influence)))
    title = f"{sequence.name}: noise, and given values that are off by their typical uncertainty"
    with picture(path, 11, 4.6, title=title) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for k, (axes, name) in enumerate(zip(panels, ("T1", "T2"), strict=True)):
            _draw_bars(axes, bars, k, tissues)
            axes.set_title(f"change of {name} [%]", fontsize=11)
        panels[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)


def _draw_bars(axes: Axes, bars: list[Bar], parameter: int, tissues: tuple[str, ...]) -> None:
    """Bars of each tissue beside each other, on a logarithmic axis. parameter: 0 T1, 1 T2."""
    places, width = np.arange(len(tissues)), _WIDTH / len(bars)
    for index, bar in enumerate(bars):
        size = np.nan_to_num(bar.size[:, parameter], nan=_MOST, posinf=_MOST)
        height = np.clip(size, _LEAST, _MOST) - _LEAST
        at = places + (index - (len(bars) - 1) / 2) * width
        axes.bar(at, height, width, bottom=_LEAST, color=bar.colour, label=bar.text)
    axes.set(yscale="log", ylim=(_LEAST, _MOST))
    label_ticks(axes.yaxis, _TICKS)
    axes.set_xticks(places, tissues)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _colour_of(influence: Influence) -> str:
    """The same in every picture."""
    return to_hex(colormaps["tab10"](INFLUENCES.index(influence)))
