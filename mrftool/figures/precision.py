"""Pictures over the plane of T1 and T2: what a sequence can reach, and which of two reaches more.

T2 <= T1 fills the plane below a diagonal; both axes are logarithmic, in ms.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mrftool.arrays import FloatArray
from mrftool.design.precision import REFERENCE_NOISE, Precision
from mrftool.figures.maps import save_figure
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

Levels = tuple[float, ...]
Named = Mapping[str, tuple[float, float]]  # T1 and T2 [s] of tissues to mark

# Contours; colours end with the first and the last, so that pictures of two sequences compare.
_PERCENT = (0.2, 0.5, 1, 2, 5, 10, 20)
_EFFICIENCY = (1, 2, 5, 10, 20, 50, 100)
_RATIOS = (0.25, 0.33, 0.5, 0.7, 1, 1.4, 2, 3, 4)
_MARGIN, _ROOM, _BELOW = (
    0.04,
    0.06,
    0.8,
)  # of labels: to the edges, to what is there [axis]; largest T2 / T1
TICKS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def precision_figure(
    found: Precision, sequence: PulseSequence, snr: float, path: str | Path, *, tissues: Named
) -> None:
    """Smallest relative sd of T1 and T2 at `snr` above, efficiency below. found: of a `plane`."""
    figure = Figure(figsize=(11, 9.2), layout="constrained")
    panels, root = figure.subplots(2, 2), "\N{SQUARE ROOT}"
    for k, name in enumerate(("T1", "T2")):
        above, below = panels[0, k], panels[1, k]
        _draw(above, found, 100 * found.relative[:, k], _PERCENT, ("viridis_r", "{:g} %"), tissues)
        above.set_title(f"smallest sd of {name} [%] at SNR {snr:g}", fontsize=11)
        _draw(below, found, found.efficiency[:, k], _EFFICIENCY, ("viridis", "{:g}"), tissues)
        below.set_title(f"{name} / sd / {root}(scan time) [1/{root}s]", fontsize=11)
    text = f"{sequence.name}: Cram\u00e9r-Rao bound; {len(sequence)} repetitions, {sequence.duration:.2f} s. "
    text += f"Above: each tissue at SNR {snr:g}. Below: noise of {100 * REFERENCE_NOISE:g} % of M0."
    figure.suptitle(text, x=0.01, ha="left", fontsize=11)
    save_figure(figure, path)


def comparison_figure(
    found: Precision,
    other: Precision,
    names: tuple[str, str],
    per_scan: float,
    path: str | Path,
    *,
    tissues: Named,
) -> None:
    """How many times smaller the sd of T1 and T2 is under the first sequence than under the other,
    in equal time.

    per_scan: sqrt(duration of the first / of the other), which turns these ratios into those of one
    scan each [1].
    """
    figure = Figure(figsize=(11, 5.1), layout="constrained")
    for k, (axes, text) in enumerate(zip(figure.subplots(1, 2), ("T1", "T2"), strict=True)):
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = found.efficiency[:, k] / other.efficiency[:, k]
        _draw(axes, found, ratio, _RATIOS, ("RdBu", "{:g}"), tissues)
        axes.set_title(f"{text}: sd by {names[1]} / sd by {names[0]}", fontsize=11)
    text = f"Equal scan time and noise; blue: {names[0]} is more precise. One scan each: multiply by {per_scan:.3g}."
    figure.suptitle(text, x=0.01, ha="left", fontsize=11)
    save_figure(figure, path)


def _draw(
    axes: Axes,
    found: Precision,
    values: FloatArray,
    levels: Levels,
    look: tuple[str, str],
    tissues: Named,
) -> None:
    """Values in colours on a logarithmic scale, contours with labels, and a colour bar. look:
    colours, label format.
    """
    _scale(axes, found.tissue)
    _mark(axes, tissues)
    size = int(np.sqrt(len(values)))
    t1, t2 = (1e3 * column.reshape(size, size) for column in (found.tissue.t1, found.tissue.t2))
    colours, form = look
    norm = LogNorm(levels[0], levels[-1])
    whole = np.clip(np.nan_to_num(values, nan=levels[-1]).reshape(size, size), 1e-9, 1e9)
    shown = axes.pcolormesh(
        t1,
        t2,
        np.clip(whole, levels[0], levels[-1]),
        norm=norm,
        cmap=colours,
        shading="gouraud",
        rasterized=True,
    )
    inside = [level for level in levels if whole.min() < level < whole.max()]
    if inside:
        lines = axes.contour(
            t1,
            t2,
            np.log(whole),
            levels=np.log(inside),
            colors="black",
            linewidths=0.9,
            linestyles="solid",
        )
        _label(axes, lines, [form.format(level) for level in inside])
    bar = axes.figure.colorbar(shown, ax=axes, extend="both", pad=0.02, fraction=0.05)
    label_ticks(bar.ax.yaxis, levels)


def _label(axes: Axes, lines: QuadContourSet, texts: list[str]) -> None:
    """One label on each contour, away from the edges, from the other labels and from the tissues."""
    to_page = axes.transData + axes.transAxes.inverted()
    taken = [to_page.transform(np.asarray(line.get_xydata(), np.float64)[0]) for line in axes.lines]
    taken += [place - (0.05, -0.025) for place in taken]  # where their names stand
    chosen = []
    for path in lines.get_paths():
        points = np.asarray(path.vertices, np.float64).reshape(-1, 2)
        places = to_page.transform(points) if len(points) else points
        inside = ((places > _MARGIN) & (places < 1 - _MARGIN)).all(axis=1) & (
            points[:, 1] < _BELOW * points[:, 0]
        )
        room = [
            min((float(np.hypot(*(place - other))) for other in taken), default=1.0)
            for place in places[inside]
        ]
        if room and max(room) > _ROOM:
            best = int(np.argmax(room))
            taken.append(places[inside][best])
            chosen.append(points[inside][best])
    form = dict(zip(lines.levels, texts, strict=True))
    for label in (
        axes.clabel(lines, fmt=form, fontsize=9, inline_spacing=4, manual=chosen) if chosen else ()
    ):
        label.set_path_effects([withStroke(linewidth=2, foreground="white", alpha=0.6)])


def _scale(axes: Axes, tissue: Tissue) -> None:
    """Logarithmic axes; what no tissue has is grey."""
    t1, t2 = 1e3 * tissue.t1, 1e3 * tissue.t2
    axes.set(xscale="log", yscale="log", xlim=(t1.min(), t1.max()), ylim=(t2.min(), t2.max()))
    axes.set(xlabel="T1 [ms]", ylabel="T2 [ms]", facecolor="0.93")
    for axis in (axes.xaxis, axes.yaxis):
        label_ticks(axis, TICKS)
    axes.text(0.04, 0.94, "T2 > T1", transform=axes.transAxes, color="0.45", va="top")


def label_ticks(axis: Axis, places: Levels) -> None:
    """Ticks at these places of a logarithmic axis, and no others, in plain numbers."""
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:.3g}" if value < 1 else f"{value:g}")
    )
    axis.set_minor_locator(NullLocator())


def _mark(axes: Axes, tissues: Named) -> None:
    for name, (t1, t2) in tissues.items():
        place = (1e3 * t1, 1e3 * t2)
        axes.plot(*place, "o", ms=7, mfc="white", mec="black", mew=1.4, zorder=3)
        text = axes.annotate(
            name, place, (-7, 5), textcoords="offset points", ha="right", weight="bold"
        )
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
