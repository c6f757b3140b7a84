"""Curves over time: a sequence's repetitions, and the steps of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mrftool.figures.canvas import legend_on_the_right, picture
from mrftool.sequence import PulseSequence

Row = Mapping[str, float]

_FEW = 60  # repetitions up to which each of them is marked


def sequence_figure(sequence: PulseSequence, path: str | Path) -> None:
    """Draw flip angle [deg], RF phase [deg], TR and TE [ms] of every repetition."""
    n = np.arange(1, len(sequence.flip_angle) + 1)
    line = "-"
    if len(n) <= _FEW:
        line = ".-"
    with picture(path, 9, 6.5, title=_sequence_text(sequence)) as figure:
        flips, phases, times = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1, 1.2))
        flips.plot(n, np.rad2deg(sequence.flip_angle), line, color="tab:blue", lw=1)
        flips.set_ylabel("flip angle [deg]")
        _draw_phases(phases, sequence)
        times.plot(n, 1e3 * sequence.tr, line, color="tab:green", lw=1, label="TR")
        times.plot(n, 1e3 * sequence.te, line, color="tab:orange", lw=1, label="TE")
        times.set(ylabel="TR, TE [ms]", xlabel="repetition", xlim=(0.5, len(n) + 0.5))
        times.set_ylim(0, 1.1e3 * float(sequence.tr.max()))
        times.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_on_the_right(times)
        for axes in (flips, phases, times):
            axes.grid(alpha=0.3)


def _draw_phases(axes: Axes, sequence: PulseSequence) -> None:
    """RF phases within one turn; dots where they change, as lines between them would mislead."""
    line = "-"
    if np.ptp(sequence.rf_phase) > 0:
        line = "."
    n = np.arange(1, len(sequence.flip_angle) + 1)
    axes.plot(n, np.rad2deg(sequence.rf_phase) % 360, line, ms=2.5)
    axes.set(ylabel="RF phase [deg]", ylim=(-10, 370), yticks=(0, 90, 180, 270, 360))


def _sequence_text(sequence: PulseSequence) -> str:
    text = f"{sequence.name}: {len(sequence)} repetitions, {sequence.duration:.2f} s"
    train = sequence.train
    if train is None:
        return f"{text}, {len(sequence.events)} events, spoiling: {sequence.spoiling}"
    if train.inversion:
        efficiency, time = train.inversion.efficiency, 1e3 * train.inversion.time
        text += f", inversion efficiency {efficiency:g}, TI {time:g} ms"
    if train.repeats > 1:
        text += f", {train.repeats} trains {train.wait:g} s apart"
    return f"{text}, spoiling: {sequence.spoiling}"


def training_figure(rows: Sequence[Row], path: str | Path) -> None:
    """Draw losses and validation scores against the step.

    Parameters
    ----------
    rows
        "step" and any further numbers; absent numbers are gaps.
    path
        Of the PNG file.
    """
    groups = _loss_and_validation(rows)
    count = max(len(groups), 1)
    with picture(path, 9, 3.2 * count) as figure:
        panels = np.ravel(figure.subplots(count, 1, sharex=True, squeeze=False))
        for axes, (text, names) in zip(panels, groups.items(), strict=False):
            _draw_history(axes, rows, names)
            if count > 1:
                axes.set_ylabel(text)
        panels[-1].set_xlabel("step")


def _loss_and_validation(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The names of the numbers in `rows` by the panel that shows them; no empty panels."""
    groups: dict[str, list[str]] = {"loss": [], "validation": []}
    for name in dict.fromkeys(key for row in rows for key in row):
        if name.startswith(("score", "rmse")):
            groups["validation"].append(name)
        elif name != "step":
            groups["loss"].append(name)
    return {text: names for text, names in groups.items() if names}


def _draw_history(axes: Axes, rows: Sequence[Row], names: Sequence[str]) -> None:
    """One curve for each name; a logarithmic axis where they span more than a decade."""
    values: list[float] = []
    for name in names:
        points = [(row["step"], row[name]) for row in rows if np.isfinite(row.get(name, np.nan))]
        steps, column = np.array(points).reshape(-1, 2).T
        axes.plot(steps, column, ".-", lw=1, ms=4, label=name.replace("_", " "))
        values += column.tolist()
    if _spans_a_decade(values):
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    legend_on_the_right(axes)


def _spans_a_decade(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) > 10 * min(values)
