"""Sequences of which some echoes are not used: their pulses are played all the same."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mrftool.arrays import BoolArray
from mrftool.errors import ArgumentError
from mrftool.sequence.events import Event, Pulses
from mrftool.sequence.pulse_sequence import PulseSequence


def without_echoes(sequence: PulseSequence, skipped: Collection[int]) -> PulseSequence:
    """The same pulses and times, but the echoes of indices `skipped` do not belong to the signal.

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
    if not used.any():
        raise ArgumentError("all echoes are left out, expected some that are not")
    return replace(sequence, events=tuple(_events(sequence, used)))


def _events(sequence: PulseSequence, used: BoolArray) -> Iterator[Event]:
    n_pulses, echo = len(sequence.flip_angle), 0
    for event in sequence.events:
        if not isinstance(event, Pulses) or not event.acquire:
            yield event
            continue
        first, stop, _ = event.slice.indices(n_pulses)
        yield from _blocks(first, used[echo : echo + stop - first])
        echo += stop - first


def _blocks(first: int, used: BoolArray) -> Iterator[Pulses]:
    """Runs of pulses from `first` on whose echoes are used, or are not."""
    changes = np.flatnonzero(np.diff(used)) + 1
    edges = [0, *changes.tolist(), len(used)]
    for start, stop in pairwise(edges):
        yield Pulses(first + start, first + stop, acquire=bool(used[start]))
