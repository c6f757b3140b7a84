"""The identity of a sequence: a digest of the numbers that its signal depends on."""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import FloatArray
from mrftool.sequence.events import Event, Pulses, Wait
from mrftool.sequence.parts import Spoiler
from mrftool.sequence.selective_pulse import SelectivePulse
from mrftool.sequence.train import Train

if TYPE_CHECKING:
    from mrftool.sequence.pulse_sequence import PulseSequence


def digest(sequence: "PulseSequence") -> str:
    """16 hexadecimal digits; see `PulseSequence.sequence_id`.

    A train of all pulses has the digest that it had before sequences consisted of events.
    """
    train = sequence.train
    if train is not None:
        parts, version = _train_numbers(sequence, train), 1
    else:
        parts, version = list(_event_numbers(sequence)), 2
    result = hashlib.sha256(f"mrftool sequence {version}".encode())
    for numbers in [*parts, *_common_numbers(sequence)]:
        result.update(np.asarray(numbers, "<f8").tobytes() + b"|")
    return result.hexdigest()[:16]


def _train_numbers(sequence: "PulseSequence", train: Train) -> list[ArrayLike]:
    inversion: ArrayLike = []
    if train.inversion is not None:
        inversion = six_decimals([train.inversion.efficiency, train.inversion.time * 1e3])
    tr, wait = sequence.tr, train.wait
    if train.repeats == 1:  # no echo follows them
        tr, wait = tr[:-1], 0.0
    return [
        six_decimals(np.rad2deg(sequence.flip_angle)),
        _phases(sequence.rf_phase),
        six_decimals(tr * 1e3),
        six_decimals(sequence.te * 1e3),
        inversion,
        [train.repeats, *six_decimals([wait * 1e3])],
    ]


def _event_numbers(sequence: "PulseSequence") -> Iterator[ArrayLike]:
    """The events, then the columns of all pulses in the order in which they are played."""
    yield from _course(sequence.program)
    played, observed = sequence.played, sequence.is_acquired
    yield six_decimals(np.rad2deg(sequence.flip_angle[played]))
    yield _phases(sequence.rf_phase[played])
    yield six_decimals(sequence.tr[played][:-1] * 1e3)
    yield six_decimals(np.where(observed, sequence.te[played], 0.0) * 1e3)


def _course(program: tuple[Event, ...]) -> list[list[float]]:
    """Numbers of each event; pulses that follow each other count as one block."""
    rows: list[list[float]] = []
    for event in program:
        if isinstance(event, Pulses):
            head = [event.code, event.acquire * event.bin]
            if not rows or rows[-1][:2] != head:
                rows.append([*head, 0])
            rows[-1][2] += (event.stop or 0) - event.first
        elif event != Wait(0.0):
            rows.append([event.code, *six_decimals(event.numbers_in_file)])
    return rows


def _common_numbers(sequence: "PulseSequence") -> Iterator[ArrayLike]:
    spoiler, profile = sequence.spoiler, sequence.slice_profile
    yield [sequence.spoiling == "gradient"]
    yield [] if spoiler is None else _waveform(spoiler)
    if profile is None:
        yield []
    elif isinstance(profile, SelectivePulse):
        yield six_decimals([-1.0, *profile.numbers])  # no flip factor is negative
    else:
        yield six_decimals(np.r_[profile.flip_factor, profile.weight])
    yield from _readout_numbers(sequence)


def _readout_numbers(sequence: "PulseSequence") -> Iterator[ArrayLike]:
    """Further echoes, the receiver's phase and cycles of the spoiler, where they are not usual;
    each begins with a number of its own.
    """
    if sequence.later_echoes.size:
        yield np.r_[1, six_decimals(sequence.later_echoes * 1e3)]
    played = sequence.played
    if sequence.receiver_phase is not None:
        relative = sequence.receiver[played] - sequence.rf_phase[played]
        millionths = np.rint(np.rint(np.rad2deg(relative) % 360 * 1e9) / 1e3) % 360e6
        yield np.r_[2, millionths]
    if sequence.spoiler_cycles is not None:
        yield np.r_[3, sequence.cycles[played][:-1]]


def _phases(rf_phase: FloatArray) -> FloatArray:
    """Phases relative to the first one, in millionths of a degree."""
    phase = np.rint(np.rad2deg(rf_phase) % 360 * 1e9)
    return np.asarray(np.rint((phase - phase[0]) / 1e3) % 360e6)


def _waveform(spoiler: Spoiler) -> FloatArray:
    """Amplitudes and durations; axes without a gradient do not count."""
    axes = spoiler.axes[spoiler.axes.any(axis=1)]
    numbers = six_decimals(np.r_[axes.ravel(), spoiler.duration] * 1e3)
    if len(axes) == 1:
        return numbers
    return np.asarray(np.r_[len(axes), numbers])


def six_decimals(values: ArrayLike) -> FloatArray:
    """Millionths, rounded in two steps: to 9 decimals, as files may, then to 6.

    In one step, a number half-way between two millionths could go one way before a file and the
    other way after.
    """
    billionths = np.rint(np.asarray(values, np.float64) * 1e9)
    return np.asarray(np.rint(billionths / 1e3) + 0.0)  # + 0.0: no negative zero
