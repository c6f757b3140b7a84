"""When each event of a sequence is played."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray, IndexArray
from mrftool.sequence.events import Event, Preparation, Pulses, Trigger
from mrftool.sequence.pulse_sequence import PulseSequence


@dataclass(frozen=True)
class Timed:
    """An event, and when it begins [s]."""

    start: float
    event: Event


@dataclass(frozen=True, eq=False)
class Block(Timed):
    """Pulses of one event, in the order in which they are played.

    pulses: which of the sequence's `(pulse,)`. centres: when each is played, at its centre
    `(pulse,)` [s]. frame: the first frame that the block acquires, from 0.
    """

    event: Pulses
    pulses: IndexArray
    centres: FloatArray
    frame: int


@dataclass(frozen=True, eq=False)
class Timeline:
    """All events of a sequence in order, and when the last one ends [s]."""

    events: tuple[Timed, ...]
    end: float

    @property
    def blocks(self) -> list[Block]:
        """Events that play pulses."""
        return [timed for timed in self.events if isinstance(timed, Block)]

    @property
    def preparations(self) -> list[Timed]:
        """The other events."""
        return [timed for timed in self.events if not isinstance(timed, Block)]


def timeline(sequence: PulseSequence) -> Timeline:
    """When each event is played; the sequence begins at 0 s."""
    events: list[Timed] = []
    time, frame = 0.0, 0
    for event in sequence.events:
        if isinstance(event, Preparation):
            events.append(Timed(time, event))
            time += event.duration
            continue
        pulses = np.arange(len(sequence.tr))[event.slice]
        edges = time + np.cumsum(np.r_[0.0, sequence.tr[pulses]])
        events.append(Block(time, event, pulses, edges[:-1], frame))
        time = float(edges[-1])
        frame += event.acquire * len(pulses) // event.bin * len(sequence.echoes)
    return Timeline(tuple(events), time)


def trigger_times(sequence: PulseSequence) -> list[float]:
    """When the triggers come that the sequence waits for [s]."""
    return [
        timed.start + timed.event.time
        for timed in timeline(sequence).events
        if isinstance(timed.event, Trigger)
    ]
