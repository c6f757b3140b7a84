"""Pictures over the plane of T1 and T2: the precision of a sequence, and of two compared.

T2 <= T1 fills the plane below a diagonal; both axes are logarithmic [ms].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.contour import QuadContourSet
from matplotlib.patheffects import withStroke

from mrftool.arrays import BoolArray, FloatArray
from mrftool.design.precision import REFERENCE_NOISE, Precision
from mrftool.figures.canvas import TIME_TICKS, Look, label_ticks, picture
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

Marks = Mapping[str, tuple[float, float]]  # T1 and T2 [s] of tissues to mark

_NAMES = ("T1", "T2")
_LABEL_MARGIN = 0.04  # of the labels of contours to the edges of the axes [axis]
_LABEL_DISTANCE = 0.06  # of such labels to each other and to the marked tissues [axis]
_LABEL_DIAGONAL = 0.8  # largest T2 / T1 of their places


@dataclass(frozen=True)
class Contours:
    """How values over the plane are shown.

    levels: of the contours; the colours end with the first and the last, so that pictures of two
    sequences compare. colours: name of the colour map. label: format of the levels.
    """

    levels: tuple[float, ...]
    colours: str
    label: str


_PERCENT = Contours((0.2, 0.5, 1, 2, 5, 10, 20), "viridis_r", "{:g} %")
EFFICIENCY = Contours((1, 2, 5, 10, 20, 50, 100), "viridis", "{:g}")
_RATIOS = Contours((0.25, 0.33, 0.5, 0.7, 1, 1.4, 2, 3, 4), "RdBu", "{:g}")


def precision_figure(
    found: Precision, sequence: PulseSequence, snr: float, path: str | Path, *, tissues: Marks
) -> None:
    """Draw the Cramer-Rao bound of T1 and T2 above, their efficiency below.

    Parameters
    ----------
    found
        Precision on a `plane` of T1 and T2.
    sequence
        Whose precision it is.
    snr
        At which the bound holds [1].
    path
        Of the PNG file.
    tissues
        T1 and T2 of tissues to mark [s].
    """
    root = "\N{SQUARE ROOT}"
    text = f"{sequence.name}: Cram\u00e9r-Rao bound; {len(sequence)} repetitions, "
    text += f"{sequence.duration:.2f} s. Above: each tissue at SNR {snr:g}. "
    text += f"Below: noise of {100 * REFERENCE_NOISE:g} % of M0."
    with picture(path, 11, 9.2, title=text) as figure:
        panels = figure.subplots(2, 2)
        for k, name in enumerate(_NAMES):
            above, below = panels[0, k], panels[1, k]
            draw_plane(above, found.tissue, 100 * found.relative[:, k], _PERCENT, tissues)
            above.set_title(f"smallest sd of {name} [%] at SNR {snr:g}", fontsize=11)
            draw_plane(below, found.tissue, found.efficiency[:, k], EFFICIENCY, tissues)
            below.set_title(f"{name} / sd / {root}(scan time) [1/{root}s]", fontsize=11)


def comparison_figure(
    found: Precision,
    other: Precision,
    names: tuple[str, str],
    per_scan: float,
    path: str | Path,
    *,
    tissues: Marks,
) -> None:
    """Draw how many times smaller the sd of T1 and T2 is under one sequence than under another.

    Parameters
    ----------
    found, other
        Precision of the two sequences on the same `plane`, compared in equal time.
    names
        Of the two sequences.
    per_scan
        sqrt(duration of the first / of the other), which turns these ratios into those of one
        scan each [1].
    path
        Of the PNG file.
    tissues
        T1 and T2 of tissues to mark [s].
    """
    text = f"Equal scan time and noise; blue: {names[0]} is more precise. "
    text += f"One scan each: multiply by {per_scan:.3g}."
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = found.efficiency / other.efficiency
    with picture(path, 11, 5.1, title=text) as figure:
        for k, axes in enumerate(figure.subplots(1, 2)):
            draw_plane(axes, found.tissue, ratios[:, k], _RATIOS, tissues)
            axes.set_title(f"{_NAMES[k]}: sd by {names[1]} / sd by {names[0]}", fontsize=11)


def draw_plane(
    axes: Axes, tissue: Tissue, values: FloatArray, contours: Contours, marks: Marks
) -> None:
    """Values in colours on a logarithmic scale, contours with labels, and a colour bar.

    tissue: of a square grid of T1 and T2. values: `(voxel,)`, NaN where there is none.
    """
    _logarithmic_axes(axes, tissue)
    _mark(axes, marks)
    size, levels = int(np.sqrt(len(values))), contours.levels
    t1, t2 = (1e3 * column.reshape(size, size) for column in (tissue.t1, tissue.t2))
    whole = np.clip(np.nan_to_num(values, nan=levels[-1]).reshape(size, size), 1e-9, 1e9)
    shown = axes.pcolormesh(
        t1,
        t2,
        np.clip(whole, levels[0], levels[-1]),
        norm=LogNorm(levels[0], levels[-1]),
        cmap=contours.colours,
        shading="gouraud",
        rasterized=True,
    )
    inside = [level for level in levels if whole.min() < level < whole.max()]
    if inside:
        look: Look = {"colors": "black", "linewidths": 0.9, "linestyles": "solid"}
        lines = axes.contour(t1, t2, np.log(whole), levels=np.log(inside), **look)
        _label(axes, lines, [contours.label.format(level) for level in inside])
    bar = axes.figure.colorbar(shown, ax=axes, extend="both", pad=0.02, fraction=0.05)
    label_ticks(bar.ax.yaxis, levels)


def _label(axes: Axes, lines: QuadContourSet, texts: list[str]) -> None:
    """One label on each contour, away from the edges, the other labels and the tissues."""
    to_page = axes.transData + axes.transAxes.inverted()
    taken = [to_page.transform(np.asarray(line.get_xydata(), np.float64)[0]) for line in axes.lines]
    taken += [place - (0.05, -0.025) for place in taken]  # where their names stand
    chosen = []
    for path in lines.get_paths():
        points = np.asarray(path.vertices, np.float64).reshape(-1, 2)
        if not len(points):
            continue
        places = to_page.transform(points)
        best = _freest(places, points[:, 1] < _LABEL_DIAGONAL * points[:, 0], taken)
        if best is not None:
            taken.append(places[best])
            chosen.append(points[best])
    if not chosen:
        return
    labels = dict(zip(lines.levels, texts, strict=True))
    for label in axes.clabel(lines, fmt=labels, fontsize=9, inline_spacing=4, manual=chosen):
        label.set_path_effects([withStroke(linewidth=2, foreground="white", alpha=0.6)])


def _freest(places: FloatArray, allowed: BoolArray, taken: list[FloatArray]) -> int | None:
    """The index of the place farthest from all that are taken; None if none is far enough.

    places: `(point, 2)` on the page [axis]. allowed: `(point,)`.
    """
    on_page = ((places > _LABEL_MARGIN) & (places < 1 - _LABEL_MARGIN)).all(axis=1)
    distances = np.ones(len(places))
    for other in taken:
        distances = np.minimum(distances, np.hypot(*(places - other).T))
    distances[~(on_page & allowed)] = 0
    best = int(np.argmax(distances))
    if distances[best] <= _LABEL_DISTANCE:
        return None
    return best


def _logarithmic_axes(axes: Axes, tissue: Tissue) -> None:
    """Axes that end with the grid; what no tissue has is grey."""
    t1, t2 = 1e3 * tissue.t1, 1e3 * tissue.t2
    axes.set(xscale="log", yscale="log", xlim=(t1.min(), t1.max()), ylim=(t2.min(), t2.max()))
    axes.set(xlabel="T1 [ms]", ylabel="T2 [ms]", facecolor="0.93")
    for axis in (axes.xaxis, axes.yaxis):
        label_ticks(axis, TIME_TICKS)
    axes.text(0.04, 0.94, "T2 > T1", transform=axes.transAxes, color="0.45", va="top")


def _mark(axes: Axes, marks: Marks) -> None:
    for name, (t1, t2) in marks.items():
        place = (1e3 * t1, 1e3 * t2)
        axes.plot(*place, "o", ms=7, mfc="white", mec="black", mew=1.4, zorder=3)
        look: Look = {"textcoords": "offset points", "ha": "right", "weight": "bold"}
        text = axes.annotate(name, place, (-7, 5), **look)
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
