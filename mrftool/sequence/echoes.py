"""Sequences of which some frames are not used: their pulses are played all the same."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mrftool.arrays import BoolArray
from mrftool.errors import ArgumentError
from mrftool.sequence.events import Event, Pulses
from mrftool.sequence.pulse_sequence import PulseSequence


def without_echoes(sequence: PulseSequence, skipped: Collection[int]) -> PulseSequence:
    """The same pulses and times, but the frames of indices `skipped` do not belong to the signal.

    Raises
    ------
    ArgumentError
        If there is no echo of an index, or none would be left.
    """
    used = np.ones(len(sequence), bool)
    for index in skipped:
        if not 0 <= index < len(sequence):
            raise ArgumentError(f"echo {index}, expected 0 to {len(sequence) - 1}")
        used[index] = False
    used = _used_pulses(sequence, used)
    if not used.any():
        raise ArgumentError("all echoes are left out, expected some that are not")
    return replace(sequence, events=tuple(_events(sequence, used)))


def _used_pulses(sequence: PulseSequence, used: BoolArray) -> BoolArray:
    """Whether the echoes of each pulse, or of each bin of pulses, are used.

    Raises ArgumentError where some echoes of a pulse are, and others are not.
    """
    echoes = used.reshape(-1, len(sequence.echoes))
    mixed = np.flatnonzero(echoes.any(axis=1) != echoes.all(axis=1))
    if mixed.size:
        first = int(mixed[0]) * echoes.shape[1]
        raise ArgumentError(
            f"some of echoes {first} to {first + echoes.shape[1] - 1}, which follow one pulse, "
            "expected all of them or none"
        )
    return np.asarray(echoes.all(axis=1))


def _events(sequence: PulseSequence, used: BoolArray) -> Iterator[Event]:
    n_pulses, echo = len(sequence.flip_angle), 0
    for event in sequence.events:
        if not isinstance(event, Pulses) or not event.acquire:
            yield event
            continue
        first, stop, _ = event.slice.indices(n_pulses)
        n_frames = (stop - first) // event.bin
        yield from _blocks(first, event.bin, used[echo : echo + n_frames])
        echo += n_frames


def _blocks(first: int, size: int, used: BoolArray) -> Iterator[Pulses]:
    """Runs of pulses from `first` on whose frames, of `size` pulses each, are used or not."""
    changes = np.flatnonzero(np.diff(used)) + 1
    edges = [0, *changes.tolist(), len(used)]
    for start, stop in pairwise(edges):
        pulses = Pulses(first + start * size, first + stop * size, acquire=bool(used[start]))
        if pulses.acquire:
            pulses = replace(pulses, bin=size)
        yield pulses
