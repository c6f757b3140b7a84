"""The pulse diagram of a sequence over time: pulses, preparations, waits, triggers and frames."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mrftool.arrays import FloatArray
from mrftool.figures.canvas import Look, picture
from mrftool.sequence import (
    Event,
    HardPulse,
    Invert,
    PulseSequence,
    Saturate,
    T2Prep,
    Trigger,
    Wait,
)
from mrftool.sequence.timeline import Block, Timed, Timeline, timeline

_ACQUIRED, _DUMMY = "tab:blue", "0.65"
_PULSES_SHOWN = 4  # in the close view
_PULSE_WIDTH = 0.12  # of a pulse in the close view, as a share of TR
_MOST_LABELS = 12


def diagram_figure(sequence: PulseSequence, path: str | Path) -> None:
    """Draw what is played over time, and the first acquired pulses from close by.

    Parameters
    ----------
    sequence
        What is played.
    path
        Of the PNG file.
    """
    times = timeline(sequence)
    title = f"{sequence.name}: {_counts(sequence, times)} in {times.end:.4g} s"
    with picture(path, 11, 6.5, title=title) as figure:
        pulses, frames, close = figure.subplots(3, 1, height_ratios=(2, 0.5, 2))
        _draw_pulses(pulses, sequence, times)
        for timed in times.preparations:
            _draw_event(pulses, timed)
        pulses.legend(
            handles=_legend(sequence, times),
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
        )
        _draw_frames(frames, sequence, times)
        frames.sharex(pulses)
        pulses.set_xlim(-0.01 * times.end, 1.01 * times.end)
        _draw_close(close, sequence, times)


def _counts(sequence: PulseSequence, times: Timeline) -> str:
    """How many pulses and frames are drawn, in words."""
    acquired = sum(len(block.pulses) for block in times.blocks if block.event.acquire)
    dummies = sum(len(block.pulses) for block in times.blocks) - acquired
    text = f"{acquired} pulses"
    if dummies:
        text += f", {dummies} dummy pulses"
    return f"{text}, {len(sequence)} frames"


def _draw_pulses(axes: Axes, sequence: PulseSequence, times: Timeline) -> None:
    for block in times.blocks:
        flips = np.rad2deg(sequence.flip_angle[block.pulses])
        axes.vlines(block.centres, 0, flips, color=_colour(block), lw=0.8)
    flips = np.rad2deg(sequence.flip_angle)
    largest = 1.15 * float(np.abs(flips).max()) or 1.0
    low = 0.0
    if flips.min() < 0:
        low = -largest
    axes.set(ylabel="flip angle [deg]", ylim=(low, largest))
    axes.axhline(0, color="k", lw=0.8)


def _colour(block: Block) -> str:
    if block.event.acquire:
        return _ACQUIRED
    return _DUMMY


def _line(colour: str, style: str) -> Callable[[Axes, float, float], None]:
    def draw(axes: Axes, start: float, _: float) -> None:
        axes.axvline(start, color=colour, ls=style, lw=1.5)

    return draw


def _span(look: Look) -> Callable[[Axes, float, float], None]:
    def draw(axes: Axes, start: float, duration: float) -> None:
        if duration > 0:
            axes.axvspan(start, start + duration, lw=0, zorder=0, **look)

    return draw


_T2PREP: Look = {"color": "tab:purple", "alpha": 0.5}
_WAIT: Look = {"color": "0.92"}
_DRAWN: dict[type[Event], Callable[[Axes, float, float], None]] = {
    HardPulse: _line("tab:red", "--"),
    Invert: _line("tab:red", "-"),
    Saturate: _line("tab:orange", "-"),
    T2Prep: _span(_T2PREP),
    Wait: _span(_WAIT),
}


def _draw_event(axes: Axes, timed: Timed) -> None:
    event = timed.event
    duration = getattr(event, "duration", 0.0)
    if isinstance(event, Trigger):
        _draw_trigger(axes, timed.start + duration)
    for kind, draw in _DRAWN.items():
        if isinstance(event, kind):
            draw(axes, timed.start, duration)


def _draw_trigger(axes: Axes, time: float) -> None:
    axes.axvline(time, color="k", ls=":", lw=1)
    axes.plot(time, 0.97, "kv", ms=5, transform=axes.get_xaxis_transform())


def _legend(sequence: PulseSequence, times: Timeline) -> list[Line2D | Patch]:
    """An entry for each kind of event that the sequence plays."""
    entries: dict[str, Line2D | Patch] = {}
    for block in times.blocks:
        label = ("dummy pulse", "pulse")[block.event.acquire]
        entries[label] = Line2D([], [], color=_colour(block))
    entries_of: dict[type[Event], tuple[str, Line2D | Patch]] = {
        HardPulse: ("pulse without crusher", Line2D([], [], color="tab:red", ls="--")),
        Invert: ("inversion", Line2D([], [], color="tab:red")),
        Saturate: ("saturation", Line2D([], [], color="tab:orange")),
        T2Prep: ("T2 preparation", Patch(**_T2PREP)),
        Trigger: ("trigger", Line2D([], [], color="k", marker="v", ls=":")),
        Wait: ("wait", Patch(**_WAIT)),
    }
    for kind, (label, entry) in entries_of.items():
        played = [event for event in sequence.events if isinstance(event, kind)]
        if any(getattr(event, "duration", 0) > 0 or kind is not Wait for event in played):
            entries[label] = entry
    for label, entry in entries.items():
        entry.set_label(label)
    return list(entries.values())


def _draw_frames(axes: Axes, sequence: PulseSequence, times: Timeline) -> None:
    """Which frames are acquired when."""
    acquired = [block for block in times.blocks if block.event.acquire]
    for place, block in enumerate(acquired):
        end = float(block.centres[-1] + sequence.tr[block.pulses[-1]])
        axes.axvspan(block.start, end, color="tab:green", alpha=0.35 + 0.25 * (place % 2), lw=0)
        count = len(block.pulses) // block.event.bin * len(sequence.echoes)
        first, last = block.frame + 1, block.frame + count
        if len(acquired) <= _MOST_LABELS:
            text = f"{first}-{last}"
            axes.text((block.start + end) / 2, 0.5, text, ha="center", va="center", fontsize=8)
    axes.set(yticks=(), ylim=(0, 1), ylabel="frames", xlabel="time [s]")


def _draw_close(axes: Axes, sequence: PulseSequence, times: Timeline) -> None:
    """The first acquired pulses with their spoilers and echoes, and what is played before them."""
    block = next(block for block in times.blocks if block.event.acquire)
    pulses, centres = block.pulses[:_PULSES_SHOWN], block.centres[:_PULSES_SHOWN]
    end = float(centres[-1] + sequence.tr[pulses[-1]])
    for timed in times.preparations:
        _draw_event(axes, timed)
    for pulse, centre in zip(pulses, centres, strict=True):
        _draw_repetition(axes, sequence, int(pulse), float(centre))
    begin = max(block.start - (end - block.start) / 2, 0.0)
    margin = 0.02 * (end - begin)
    axes.set(xlabel="time [s], first frames", xlim=(begin - margin, end + margin), ylim=(-0.4, 3))
    axes.set_yticks((0.2, 1.2, 2.2), ("echo", "spoiler", "RF"))


def _draw_repetition(axes: Axes, sequence: PulseSequence, pulse: int, centre: float) -> None:
    """One pulse, its echo, and its spoiler: the waveform where it is known."""
    tr, te = float(sequence.tr[pulse]), float(sequence.te[pulse])
    half = _PULSE_WIDTH * tr / 2
    largest = float(abs(sequence.flip_angle).max()) or 1.0
    height = 0.1 + 0.7 * abs(float(sequence.flip_angle[pulse])) / largest
    pulse_x = centre + np.array([-half, -half, half, half])
    axes.fill(pulse_x, [2, 2 + height, 2 + height, 2], color=_ACQUIRED)
    for later in sequence.echoes:
        axes.plot(centre + te + later, 0.2, "o", color="tab:green", ms=7)
    axes.annotate("", (centre + te, 0), (centre, 0), arrowprops={"arrowstyle": "<->", "lw": 0.7})
    axes.text(centre + te / 2, -0.05, "TE", ha="center", va="top", fontsize=7, clip_on=True)
    most = int(sequence.cycles.max())
    if sequence.cycles[pulse]:
        start = float(sequence.spoiler_start[pulse])
        x, y = _spoiler_shape(sequence, tr - start)
        heights = 0.7 * y * sequence.cycles[pulse] / most
        axes.fill_between(centre + start + x, 1, 1 + heights, step="post", color="0.5")


def _spoiler_shape(sequence: PulseSequence, room: float) -> tuple[FloatArray, FloatArray]:
    """Edges of the spoiler after the echo [s], and its amplitude from there on, at most 1."""
    spoiler = sequence.spoiler
    if spoiler is None:
        return room * np.array([0.5, 0.95]), np.array([1.0, 1.0])
    edges = np.cumsum(np.r_[0.0, spoiler.duration])
    strongest = spoiler.axes[np.abs(spoiler.moment).argmax()]
    heights = strongest / np.abs(strongest).max()
    return edges, np.r_[heights, heights[-1]]
