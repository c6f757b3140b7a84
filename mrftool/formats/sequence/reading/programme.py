"""The events of a sequence file to those of a PulseSequence, and back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.schema.second import (
    PREPARATIONS,
    PreparationBlock,
    PulsesBlock,
    RepeatBlock,
    TriggerBlock,
)
from mrftool.plausibility import PLAUSIBLE
from mrftool.sequence import Event, Pulses, Trigger

Path = tuple[str | int, ...]
PathFault = tuple[Path, str]

MOST_EVENTS = 100_000


@dataclass
class Programme:
    """Events, each with its place in the file; None stands for a trigger."""

    events: list[tuple[Path, Event | None]] = field(default_factory=list)
    faults: list[PathFault] = field(default_factory=list)


def blocks_of(entries: Sequence[Any], path: Path = ("events",)) -> Iterator[tuple[Path, Any]]:
    """Each block of numbers with its place in the file, loops played."""
    for place, entry in enumerate(entries):
        ((key, block),) = ((name, getattr(entry, name)) for name in type(entry).model_fields)
        here = (*path, place, key)
        if isinstance(block, RepeatBlock):
            for _ in range(block.times):
                yield from blocks_of(block.events, (*here, "events"))
        else:
            yield here, block


def count_events(entries: Sequence[Any]) -> int:
    """How many blocks there are once loops are played."""
    total = 0
    for entry in entries:
        block = getattr(entry, "repeat", None)
        if block is None:
            total += 1
        else:
            total += block.times * count_events(block.events)
    return total


def programme_of(blocks: Iterable[tuple[Path, Any]], pulses: Mapping[Path, range]) -> Programme:
    """The events that `blocks` play.

    pulses: which of the sequence's pulses the block at each place plays; blocks that are not there
    have faults that were reported.
    """
    programme = Programme()
    for path, block in blocks:
        for event in _events_of(block, path, pulses):
            programme.events.append((path, event))
    return programme


def _events_of(block: Any, path: Path, pulses: Mapping[Path, range]) -> list[Event | None]:
    events: list[Event | None] = []
    if isinstance(block, PreparationBlock):
        events += block.to_events()
    elif isinstance(block, TriggerBlock):
        events.append(None)
    elif isinstance(block, PulsesBlock) and path in pulses:
        played = pulses[path]
        events.append(Pulses(played.start, played.stop, block.acquire, block.bin))
    return events


def triggered(programme: Programme, rr: FloatArray, tr: FloatArray) -> Programme:
    """The programme with the times of its triggers.

    The first trigger is the begin of the scan, in equilibrium; each later one is that of the next
    heartbeat.

    Parameters
    ----------
    programme
        Events and triggers.
    rr
        Time from each trigger to the next one [s]; a single number stands for all. Or the times of
        all triggers [s].
    tr
        Of all pulses [s].
    """
    n_triggers = sum(event is None for _, event in programme.events)
    result = Programme(faults=list(programme.faults))
    rr_intervals, text = _intervals(rr, n_triggers)
    if text:
        result.faults.append((("rr_ms",), text))
        return result
    intervals = iter(rr_intervals)
    beat, since = 0, 0.0
    for path, event in programme.events:
        if event is not None:
            result.events.append((path, event))
            since += _duration(event, tr)
            continue
        beat += 1
        faults, interval = _early_faults(since), since
        if beat > 1:
            interval = float(next(intervals))
            faults = _late_faults(beat, since, interval)
        result.events.append((path, Trigger(max(interval - since, 0.0))))
        result.faults += [(path, text) for text in faults]
        since = 0.0
    return result


def _intervals(rr: FloatArray, n_triggers: int) -> tuple[FloatArray, str]:
    """RR intervals from what is given, or what is wrong with it."""
    count = max(n_triggers - 1, 0)
    if count and rr.ndim and len(rr) == n_triggers and (np.diff(rr) > 0).all():
        rr = np.diff(rr)
    elif rr.ndim and len(rr) != count:
        text = f"{len(rr)} RR intervals, expected {count} between {n_triggers} triggers, "
        return rr, text + f"or the {n_triggers} times of all triggers in ascending order"
    intervals = np.broadcast_to(rr, count)
    longest = PLAUSIBLE["rr"].high
    long = np.flatnonzero(intervals > longest)
    if long.size:
        beat = int(long[0])
        text = f"RR interval {beat + 1}, from trigger {beat + 1} to {beat + 2}, is "
        return rr, text + f"{intervals[beat] * 1e3:g} ms, expected at most {longest * 1e3:g} ms"
    return intervals, ""


def _duration(event: Event, tr: FloatArray) -> float:
    if isinstance(event, Pulses):
        return float(tr[event.slice].sum())
    return event.duration


def _early_faults(since: float) -> list[str]:
    if since == 0:
        return []
    return [f"{since * 1e3:g} ms of events before the first trigger, expected none"]


def _late_faults(beat: int, since: float, interval: float) -> list[str]:
    if since <= interval + 1e-9:
        return []
    return [
        f"trigger {beat} is missed: it comes {interval * 1e3:g} ms after the one before, expected "
        f"at least the {since * 1e3:g} ms that the events between them take"
    ]


def events_to_list(events: Sequence[Event], n_pulses: int) -> list[dict[str, Any]]:
    """The events as a sequence file of version 2 lists them."""
    return [_event_to_dict(event, n_pulses) for event in events]


def _event_to_dict(event: Event, n_pulses: int) -> dict[str, Any]:
    if isinstance(event, Pulses):
        stop = n_pulses if event.stop is None else event.stop
        pulses = {"first": event.first, "count": stop - event.first, "acquire": event.acquire}
        if event.bin > 1:
            pulses["bin"] = event.bin
        return {"pulses": pulses}
    if isinstance(event, Trigger):
        return {"wait_until_trigger": {}}
    for key, block in PREPARATIONS.items():
        if isinstance(event, block.event):
            numbers = block.from_event(event).model_dump(exclude_unset=True)
            return {key: numbers}
    raise TypeError(f"no entry for {event}")
