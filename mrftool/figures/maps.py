"""Pictures as PNG files: maps, errors, scatter, sequences, training curves. The home of matplotlib,
with `panels`.

Figures are drawn by Agg without pyplot: nothing is global, no display is needed. Each picture is
whole or not there.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from mrftool.arrays import Array, FloatArray
from mrftool.errors import MismatchError
from mrftool.evaluation.score_tables import in_words
from mrftool.figures.panels import (
    ERROR_STYLE,
    draw_flags,
    draw_map,
    panel_height,
    slices_text,
    style_of,
)
from mrftool.figures.views import View, view_of
from mrftool.formats.atomic import writing
from mrftool.maps import Maps
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_DPI = 130
_PANEL, _MONTAGE = 4.0, 5.5  # width of a map with its colour bar, of one or several slices [inch]
_MOST_POINTS = 20_000


def overview_figure(maps: Maps, affine: FloatArray, path: str | Path, *, title: str = "") -> None:
    """All maps beside each other: T1, T2, M0 and flags, and, where given, standard deviations and
    residual.

    affine: voxel index to millimetres in RAS+, `(4, 4)` [mm]. At most twelve slices are shown,
    evenly spread.
    """
    images = list(maps.images())
    view, shape = view_of(affine), maps.t1.shape
    columns = len(images) if len(images) <= 4 else -(-len(images) // 2)
    figure, panels = _panels(len(images), columns, shape, view)
    for axes, (name, image) in zip(panels, images, strict=True):
        if name == "flags":
            draw_flags(axes, image, view)
        else:
            draw_map(figure, axes, image, view, style_of(name, image))
    _caption(figure, title, view, shape, affine)
    save_figure(figure, path)


def error_figure(
    truth: Mapping[str, Array],
    estimate: Mapping[str, Array],
    affine: FloatArray,
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """Truth, estimate and relative error of T1 and T2, one row each. Images `(x, y, z)` [s], 0
    where there is none.

    Raises MismatchError if a truth and its estimate have different shapes.
    """
    names = [name for name in ("t1", "t2") if name in truth and name in estimate]
    view, shape = view_of(affine), truth[names[0]].shape
    figure, panels = _panels(3 * len(names), 3, shape, view)
    for row, name in enumerate(names):
        true, found = np.asarray(truth[name], np.float64), np.asarray(estimate[name], np.float64)
        if true.shape != found.shape:
            raise MismatchError(
                f"{name} has shape {found.shape}, expected {true.shape} as the truth"
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            error = 100 * (found - true) / true
        style, outside, text = style_of(name), ~(true > 0), name.upper()
        kinds = [
            (true, replace(style, title=f"true {text} [ms]")),
            (found, replace(style, title=f"estimated {text} [ms]")),
            (error, replace(ERROR_STYLE, title=f"error of {text} [%]")),
        ]
        for axes, (image, kind) in zip(panels[3 * row : 3 * row + 3], kinds, strict=True):
            draw_map(figure, axes, image, view, kind, outside)
    _caption(figure, title, view, shape, affine)
    save_figure(figure, path)


def scatter_figure(
    truth: Tissue,
    estimate: Mapping[str, ArrayLike],
    path: str | Path,
    *,
    labels: NDArray[np.integer] | None = None,
    classes: Sequence[str] = (),
    title: str = "",
) -> None:
    """Estimated against true T1 and T2, in colours of the tissue classes. estimate: columns
    `(voxel,)` [s].
    """
    names = [name for name in ("t1", "t2") if name in estimate]
    figure = Figure(figsize=(5.2 * len(names) + 1.5, 5.2), layout="constrained")
    kept = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), _MOST_POINTS)).astype(int))
    groups = [("voxels", np.ones(len(truth), bool))]
    if labels is not None:
        groups = [
            (in_words(name), labels == i) for i, name in enumerate(classes) if (labels == i).any()
        ]
    for axes, name in zip(np.ravel(figure.subplots(1, len(names))), names, strict=True):
        true, found = 1e3 * getattr(truth, name), 1e3 * np.asarray(estimate[name], np.float64)
        for index, (text, mask) in enumerate(groups):
            chosen = kept[mask[kept] & (found[kept] > 0)]
            colour = colormaps["tab10"](index % 10)
            axes.plot(
                true[chosen], found[chosen], ".", ms=2.5, alpha=0.5, mew=0, color=colour, label=text
            )
        _identity(axes, true[true > 0], name.upper())
    if labels is not None:
        handles, texts = axes.get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside right upper", markerscale=5, frameon=False)
    figure.suptitle(title, x=0.01, ha="left")
    save_figure(figure, path)


def sequence_figure(sequence: PulseSequence, path: str | Path) -> None:
    """Flip angle, RF phase, and TR and TE of every repetition."""
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    flips, phases, times = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1, 1.2))
    n = np.arange(1, len(sequence) + 1)
    style = ".-" if len(sequence) <= 60 else "-"
    flips.plot(n, np.rad2deg(sequence.flip_angle), style, color="tab:blue", lw=1)
    flips.set_ylabel("flip angle [deg]")
    phases.plot(
        n, np.rad2deg(sequence.rf_phase) % 360, "." if np.ptp(sequence.rf_phase) else "-", ms=2.5
    )
    phases.set(ylabel="RF phase [deg]", ylim=(-10, 370), yticks=(0, 90, 180, 270, 360))
    times.plot(n, 1e3 * sequence.tr, style, color="tab:green", lw=1, label="TR")
    times.plot(n, 1e3 * sequence.te, style, color="tab:orange", lw=1, label="TE")
    times.set(ylabel="TR, TE [ms]", xlabel="repetition", xlim=(0.5, len(sequence) + 0.5))
    times.set_ylim(0, 1.1e3 * float(sequence.tr.max()))
    times.xaxis.set_major_locator(MaxNLocator(integer=True))
    times.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    for axes in (flips, phases, times):
        axes.grid(alpha=0.3)
    figure.suptitle(_sequence_text(sequence), x=0.01, ha="left", fontsize=11)
    save_figure(figure, path)


def curve_figure(rows: Sequence[Mapping[str, float]], path: str | Path) -> None:
    """Losses and validation scores against the step. rows: "step" and any further numbers, absent
    ones are gaps.
    """
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name != "step"]
    losses = [name for name in names if not name.startswith(("score", "rmse"))]
    groups = [group for group in (losses, [name for name in names if name not in losses]) if group]
    figure = Figure(figsize=(9, 3.2 * max(len(groups), 1)), layout="constrained")
    panels = np.ravel(figure.subplots(max(len(groups), 1), 1, sharex=True, squeeze=False))
    for axes, group, text in zip(panels, groups, ("loss", "validation"), strict=False):
        for name in group:
            points = [
                (row["step"], row[name]) for row in rows if np.isfinite(row.get(name, np.nan))
            ]
            axes.plot(
                *np.array(points).reshape(-1, 2).T, ".-", lw=1, ms=4, label=name.replace("_", " ")
            )
        values = np.array([row[name] for row in rows for name in group if name in row])
        values = values[np.isfinite(values)]
        is_wide = values.size and values.min() > 0 and values.max() > 10 * values.min()
        axes.set_yscale("log" if is_wide else "linear")
        axes.set_ylabel(text if len(groups) > 1 else "")
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    panels[-1].set_xlabel("step")
    save_figure(figure, path)


def _panels(n: int, columns: int, shape: tuple[int, ...], view: View) -> tuple[Figure, list[Axes]]:
    """A figure with `n` panels for maps of that shape, in rows of `columns`."""
    rows = -(-n // columns)
    width = _PANEL if shape[view.axes[0]] < 3 else _MONTAGE
    height = 0.82 * width * panel_height(shape, view)
    figure = Figure(figsize=(width * columns, rows * (height + 0.4) + 0.9), layout="constrained")
    panels = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for unused in panels[n:]:
        unused.set_axis_off()
    return figure, panels[:n]


def _caption(
    figure: Figure, title: str, view: View, shape: tuple[int, ...], affine: FloatArray
) -> None:
    size = " x ".join(f"{edge:.3g}" for edge in np.linalg.norm(affine[:3, :3], axis=0))
    text = f"{slices_text(shape, view)}; voxels {size} mm; grey: not a number, black: masked"
    figure.supxlabel(text, fontsize=8, color="0.35")
    if title:
        figure.suptitle(title, x=0.01, ha="left")


def _identity(axes: Axes, true: FloatArray, name: str) -> None:
    """Logarithmic axes around the truth, with the line on which estimates should lie."""
    low, high = (true.min() / 2, true.max() * 2) if true.size else (1, 1e4)
    axes.plot([low, high], [low, high], color="0.3", lw=0.8, zorder=0)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=f"true {name} [ms]", ylabel=f"estimated {name} [ms]")
    axes.grid(alpha=0.3)


def _sequence_text(sequence: PulseSequence) -> str:
    text = f"{sequence.name}: {len(sequence)} repetitions, {sequence.duration:.2f} s"
    if sequence.inversion:
        text += f", inversion efficiency {sequence.inversion.efficiency:g}, TI {1e3 * sequence.inversion.time:g} ms"
    if sequence.repeats > 1:
        text += f", {sequence.repeats} trains {sequence.wait:g} s apart"
    return f"{text}, spoiling: {sequence.spoiling}"


def save_figure(figure: Figure, path: str | Path) -> None:
    """As PNG, whole or not there."""
    FigureCanvasAgg(figure)
    _take_texts_as_they_are(figure)
    with writing(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(part, format="png", dpi=_DPI)


def _take_texts_as_they_are(figure: Figure) -> None:
    """Names from files are no formulas, and need not be text at all; only the labels of ticks are
    matplotlib's own.
    """
    ticks = [tick for tick in figure.findobj(Tick) if isinstance(tick, Tick)]
    own = {id(label) for tick in ticks for label in (tick.label1, tick.label2)}
    for text in figure.findobj(Text):
        if isinstance(text, Text) and id(text) not in own:
            text.set_parse_math(False)
            text.set_text(text.get_text().encode("utf-8", "replace").decode())
