"""A Pulseq file that is no train of one kind, as a list of events: preparations, dummies, triggers.

Preparations are found by what their pulses do to Mz on resonance, and by how the file flags them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.pulseq.echo import BALANCED
from mrftool.formats.sequence.pulseq.file import PulseqFile
from mrftool.formats.sequence.pulseq.shots import Shot, kinds_of, odd_fault
from mrftool.formats.sequence.reading.programme import Programme, triggered
from mrftool.formats.sequence.sources import Fault
from mrftool.sequence import Event, Invert, Preparation, Pulses, Saturate, T2Prep, Wait

_ROUNDING = 1e-9  # of times [s]
_TIPPED_BELOW = 0.7  # Mz [m0] after a pulse that saturates or begins a T2 preparation
_LONGEST_T2PREP = 0.5  # [s]
_LONGEST_TR = 3  # times the typical TR; what is longer is a waiting time
_LONGEST_PULSE = 0.05  # of a saturation [s]
_SAME_ANGLE = 0.02  # [rad]
_LEAST_REFOCUSING = 2.5  # flip angle of a refocusing pulse [rad]
_PREPARING = ("inversion", "saturation", "preparation", "refocusing")  # as files flag pulses
_BARE = "pulse without a readout"


@dataclass(frozen=True, eq=False)
class Item:
    """What one or more RF pulses are for.

    shots: the pulses. event: the preparation that they are; None for a pulse of the train. acquire:
    whether a readout follows.
    """

    shots: tuple[Shot, ...]
    event: Preparation | None = None
    acquire: bool = False

    @property
    def kind(self) -> str:
        """What the pulses are for, in a word."""
        if self.event is None:
            return "pulse without a readout"
        return type(self.event).__name__

    @property
    def start(self) -> float:
        """Centre of the first pulse [s]."""
        return self.shots[0].centre


@dataclass(frozen=True, eq=False)
class Played:
    """Events, and the pulses of the train in order, each with its TR [s]."""

    programme: Programme
    pulses: tuple[Item, ...]
    tr: FloatArray
    n_triggers: int

    def events(self, rr: FloatArray | None) -> Programme:
        """The programme with its triggers at their times; rr: the RR intervals [s]."""
        if rr is None:
            rr = np.zeros(0)
        return triggered(self.programme, rr, self.tr)


def items_of(file: PulseqFile, shots: Sequence[Shot]) -> tuple[list[Item], list[Fault]]:
    """What all pulses of a file are for, and faults of those that have no place."""
    kinds = kinds_of(shots)
    spoiled = _spoiling_moment(file, shots, kinds)
    items: list[Item] = []
    odd: dict[str, list[int]] = {}
    place = 0
    while place < len(shots):
        kind = kinds[place][0]
        shot, count = shots[place], 1
        if kind == "repetition":
            items.append(Item((shot,), acquire=True))
        elif _is_dummy(file, shots, place, spoiled):
            items.append(Item((shot,)))
        elif kind in ("inversion", _BARE):
            count, item = _preparation(file, shots, kinds, place)
            if item is None:
                odd.setdefault(_BARE, []).append(shot.block + 1)
            else:
                items.append(item)
        elif kind != "untouched":
            odd.setdefault(kind, []).append(shot.block + 1)
        place += count
    return items, [odd_fault(kind, blocks) for kind, blocks in odd.items()]


def _preparation(
    file: PulseqFile, shots: Sequence[Shot], kinds: Sequence[tuple[str, float]], place: int
) -> tuple[int, Item | None]:
    """How many pulses from `place` on belong together, and what they prepare."""
    shot, z = shots[place], kinds[place][1]
    if kinds[place][0] == "inversion":
        return 1, Item((shot,), Invert(round(-z, 6)))
    if shot.rf.pulse.duration.sum() > _LONGEST_PULSE or z >= _TIPPED_BELOW:
        return 1, None
    count = _t2_preparation(shots[place:], kinds[place:])
    if count and not _is_crushed(file, shots[place : place + 2]):
        return count, _t2_item(tuple(shots[place : place + count]))
    return 1, Item((shot,), Saturate(round(1 - z, 6)))


def _spoiling_moment(
    file: PulseqFile, shots: Sequence[Shot], kinds: Sequence[tuple[str, float]]
) -> FloatArray | None:
    """Median moment from one pulse with a readout to the next [1/m]; None without two of them."""
    moments = [
        _moment(file, shots[place], shots[place + 1])
        for place in range(len(shots) - 1)
        if kinds[place][0] == kinds[place + 1][0] == "repetition"
    ]
    if not moments:
        return None
    return np.median(moments, axis=0)


def _moment(file: PulseqFile, one: Shot, other: Shot) -> FloatArray:
    begin, end = (file.moment_at(s.block, np.array([s.rf.centre]))[0] for s in (one, other))
    return np.asarray(end - begin)


def _is_dummy(
    file: PulseqFile, shots: Sequence[Shot], place: int, spoiled: FloatArray | None
) -> bool:
    """Whether a pulse is one of the train without its readout: spoiled like the others."""
    if spoiled is None or place + 1 == len(shots) or shots[place].rf.use in _PREPARING:
        return False
    if shots[place].readouts:
        return False
    if shots[place].rf.pulse.duration.sum() > _LONGEST_PULSE:
        return False
    moment = _moment(file, shots[place], shots[place + 1])
    return bool(np.linalg.norm(moment - spoiled) <= 2 * BALANCED)


def _t2_preparation(shots: Sequence[Shot], kinds: Sequence[tuple[str, float]]) -> int:
    """Of how many of the first pulses a T2 preparation consists; 0 if they are none."""
    magnetisation = np.array([0.0, 0.0, 1.0])
    for count, (shot, (kind, _)) in enumerate(zip(shots, kinds, strict=True), start=1):
        is_late = shot.centre - shots[0].centre > _LONGEST_T2PREP
        if kind not in ("inversion", _BARE) or is_late:
            return 0
        magnetisation = _turned(magnetisation, shot)
        if count > 1 and magnetisation[2] > _TIPPED_BELOW:
            return count
    return 0


def _is_crushed(file: PulseqFile, shots: Sequence[Shot]) -> bool:
    """Whether the first of two pulses saturates: as the file flags it, or as a crusher follows it
    that no refocusing pulse makes good.
    """
    first, second = shots
    if first.rf.use == "saturation":
        return True
    is_dephased = np.linalg.norm(_moment(file, first, second)) > 2 * BALANCED
    return bool(is_dephased and second.flip < _LEAST_REFOCUSING)


def _turned(vector: FloatArray, shot: Shot) -> FloatArray:
    """Magnetisation after a pulse, by Rodrigues' formula; refocused in between, on resonance."""
    axis = np.array([np.cos(shot.phase), np.sin(shot.phase), 0.0])
    cos, sin = np.cos(shot.flip), np.sin(shot.flip)
    turned = cos * vector + sin * np.cross(axis, vector) + (1 - cos) * axis * (axis @ vector)
    return np.asarray(turned)


def _t2_item(shots: tuple[Shot, ...]) -> Item:
    vector = np.array([0.0, 0.0, 1.0])
    for shot in shots:
        vector = _turned(vector, shot)
    te = round(shots[-1].centre - shots[0].centre, 9)
    refocusing = 0
    if _is_cpmg(shots, te):
        refocusing = len(shots) - 2
    return Item(shots, T2Prep(te, refocusing, round(min(float(vector[2]), 1.0), 4)))


def _is_cpmg(shots: tuple[Shot, ...], te: float) -> bool:
    """Whether the pulses are those of `T2Prep`: evenly spaced, 180 degrees across the tips."""
    inner = shots[1:-1]
    if not inner:
        return False
    places = (np.arange(len(inner)) + 0.5) * te / len(inner)
    times = np.array([shot.centre for shot in inner]) - shots[0].centre
    turns = np.array([shot.flip for shot in inner])
    across = np.cos([shot.phase - shots[0].phase for shot in inner])
    offsets = [np.abs(times - places) / 1e-4, np.abs(turns - np.pi) / _SAME_ANGLE, np.abs(across)]
    return bool(offsets[0].max() < 1 and offsets[1].max() < 1 and offsets[2].max() < _SAME_ANGLE)


def played(file: PulseqFile, items: Sequence[Item]) -> Played:
    """The events of the items, with waits between them, and TR of each pulse."""
    pulses = [item for item in items if item.event is None]
    programme = Programme()
    tr = np.zeros(len(pulses))
    typical = _typical_tr(items)
    n_pulses, now, n_triggers = 0, items[0].start, 0
    for place, item in enumerate(items):
        passed = [b for b in file.triggers[n_triggers:] if b <= item.shots[0].block]
        for block in passed:
            programme.events.append((("events",), None))
            now = float(file.start[block])
        n_triggers += len(passed)
        if item.start - now > _ROUNDING:
            programme.events.append((("events",), Wait(round(item.start - now, 9))))
        if item.event is not None:
            programme.events.append((("events",), item.event))
            now = item.shots[-1].centre
            continue
        tr[n_pulses] = _tr_of(file, items, place, typical)
        _add_pulse(programme, n_pulses, acquire=item.acquire)
        now = item.start + tr[n_pulses]
        n_pulses += 1
    return Played(programme, tuple(pulses), tr, n_triggers)


def _add_pulse(programme: Programme, number: int, *, acquire: bool) -> None:
    """Play one more pulse, in the block before it where that fits."""
    last: Event | None = programme.events[-1][1] if programme.events else None
    first = number
    if isinstance(last, Pulses) and last.acquire == acquire:
        first = last.first
        programme.events.pop()
    programme.events.append((("events",), Pulses(first, number + 1, acquire)))


def _typical_tr(items: Sequence[Item]) -> float:
    """Median TR of pulses that follow each other [s]; infinite without any."""
    gaps = list(_gaps(items))
    if not gaps:
        return np.inf
    return float(np.median(gaps))


def _gaps(items: Sequence[Item]) -> Iterator[float]:
    for one, other in pairwise(items):
        if one.event is None and other.event is None:
            yield other.start - one.start


def _tr_of(file: PulseqFile, items: Sequence[Item], place: int, typical: float) -> float:
    """TR of a pulse [s]: up to the next one; at most the typical one where that comes late, where
    another event follows, or where the file ends.
    """
    item = items[place]
    lead = item.start - float(file.start[item.shots[0].block])  # of a next pulse like this one
    if place + 1 == len(items):
        return round(min(float(file.start[-1]) - item.start + lead, typical), 9)
    following = items[place + 1]
    room = following.start - item.start
    first, last = item.shots[0].block, following.shots[0].block
    gates = [block for block in file.triggers if first < block <= last]
    if gates:
        room = float(file.start[gates[0]]) - item.start
    elif following.event is None and room <= _LONGEST_TR * typical:
        return round(room, 9)
    return round(min(room, typical), 9)
