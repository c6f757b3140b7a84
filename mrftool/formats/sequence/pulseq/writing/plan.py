"""What a Pulseq file of a sequence plays, and when: RF pulses, and what follows each of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mrftool.errors import InputError
from mrftool.sequence import (
    HardPulse,
    Invert,
    Preparation,
    PulseSequence,
    Saturate,
    SliceProfile,
    T2Prep,
    Trigger,
    Wait,
)
from mrftool.sequence.timeline import Block, Timed, timeline

Use = Literal["excitation", "inversion", "saturation", "preparation", "refocusing"]
_LEAST_FLIP = 1e-9  # [rad] a pulse of 0 has no shape
_PERFECT = 4  # refocusing pulses that are played for a T2 preparation of perfect pulses


@dataclass(frozen=True)
class Step:
    """An RF pulse, and what follows it.

    name: of the pulse in messages. number: of the preparation that it is part of, or 0. centre:
    since the last trigger, or the start [s]. flip, phase: [rad]. te, tr: of a pulse of the train,
    else None [s]. acquire: whether its echo is sampled. crush: whether transverse magnetisation is
    crushed after it.
    """

    name: str
    centre: float
    flip: float
    phase: float
    use: Use
    te: float | None = None
    tr: float = 0.0
    acquire: bool = False
    crush: bool = False
    number: int = 0

    @property
    def positive_flip(self) -> float:
        """The flip angle's size [rad]; hardly more than 0 for 0, of which no pulse has a shape."""
        return max(abs(self.flip), _LEAST_FLIP)

    @property
    def phase_of_positive_flip(self) -> float:
        """The phase with which that size does the same [rad]."""
        return float((self.phase + np.pi * (self.flip < 0)) % (2 * np.pi))


Segment = list[Step]  # what is played after one trigger, or before the first


def segments(sequence: PulseSequence) -> list[Segment]:
    """The steps of a sequence, in one list for each trigger and one for what comes before."""
    times = timeline(sequence)
    parts: list[Segment] = [[]]
    since = 0.0
    for number, timed in enumerate(times.events, start=1):
        if isinstance(timed.event, Trigger):
            since = timed.start + timed.event.duration
            parts.append([])
        elif isinstance(timed, Block):
            parts[-1] += _pulses(sequence, timed, since)
        elif isinstance(timed.event, Preparation):
            parts[-1] += _preparation(timed, timed.event, since, number)
    return parts


def _pulses(sequence: PulseSequence, block: Block, since: float) -> Iterator[Step]:
    for pulse, centre in zip(block.pulses, block.centres, strict=True):
        yield Step(
            name=f"pulse {pulse}",
            centre=float(centre) - since,
            flip=float(sequence.flip_angle[pulse]),
            phase=float(sequence.rf_phase[pulse]),
            use="excitation",
            te=float(sequence.te[pulse]),
            tr=float(sequence.tr[pulse]),
            acquire=block.event.acquire,
        )


def _preparation(timed: Timed, event: Preparation, since: float, number: int) -> Iterator[Step]:
    start = timed.start - since
    match event:
        case Invert(efficiency=efficiency):
            flip = float(np.arccos(-efficiency))
            yield Step("inversion", start, flip, 0.0, "inversion", crush=True)
        case Saturate(efficiency=efficiency):
            flip = float(np.arccos(1 - efficiency))
            yield Step("saturation", start, flip, 0.0, "saturation", crush=True)
        case HardPulse(flip_angle=flip, rf_phase=phase):
            use: Use = "preparation"
            if np.cos(flip) < 0:
                use = "inversion"
            yield Step("hard pulse", start, flip, phase, use)
        case T2Prep():
            steps = _t2_preparation(event, start)
            yield from (replace(step, number=number) for step in steps)
        case Wait():
            return
        case _:
            raise TypeError(f"no pulses for {event}")


def _t2_preparation(event: T2Prep, start: float) -> Iterator[Step]:
    """Tip down, refocus, tip up: see `T2Prep`."""
    name = f"T2 preparation of {event.te * 1e3:g} ms"
    if event.efficiency != 1:
        text = f"{name} with efficiency {event.efficiency:g}"
        raise InputError(f"{text}: no pulses play that, expected an efficiency of 1")
    count = event.refocusing or _PERFECT
    yield Step(name, start, np.pi / 2, 0.0, "preparation")
    for n in range(count):
        centre = start + (n + 0.5) * event.te / count
        yield Step(name, centre, np.pi, np.pi / 2, "refocusing")
    yield Step(name, start + event.te, np.pi / 2, np.pi, "preparation", crush=True)


def remarks(sequence: PulseSequence) -> list[str]:
    """What the file plays in another way than the sequence says."""
    notes = []
    if any(isinstance(event, T2Prep) and not event.refocusing for event in sequence.events):
        notes.append(
            f"T2 preparations with perfect pulses are played with {_PERFECT} refocusing hard pulses"
        )
    if sequence.is_binned:
        notes.append("the readout of each pulse is played; averaging them is left to the user")
    if isinstance(sequence.slice_profile, SliceProfile):
        notes.append("hard pulses excite everything: the slice profile is left out")
    if sequence.spoiler is not None:
        notes.append("the spoiler is a trapezoid along z with the moment of the sequence's")
    return notes
