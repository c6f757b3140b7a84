"""What happens in a sequence, event by event. SI units.

Each class says what the event means, which numbers it has, and what is wrong with them. The
operators are in `mrftool/physics/epg.py`, and once more in `native/epg.c`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mrftool.errors import InputError

MAX_TIME = 60.0  # of one interval [s]
_MAX_REPEATS = 1000


@dataclass(frozen=True)
class Pulses:
    """Play RF pulses of the sequence, each followed by an echo at TE and by the rest of TR.

    Parameters
    ----------
    first, stop
        Pulses `first` .. `stop` - 1 of the sequence; all that remain if `stop` is None.
    acquire
        Whether their echoes belong to the signal.
    """

    code: ClassVar[int] = 0  # of the event in native/epg.c
    first: int = 0
    stop: int | None = None
    acquire: bool = True

    @property
    def slice(self) -> slice:
        """Indices of the pulses in the columns of the sequence."""
        return slice(self.first, self.stop)

    def faults(self, n_pulses: int) -> list[str]:
        """What is wrong in a sequence of `n_pulses`, and what was expected."""
        stop = n_pulses if self.stop is None else self.stop
        if 0 <= self.first < stop <= n_pulses:
            return []
        return [f"pulses {self.first} to {stop - 1}, expected at least one of 0 to {n_pulses - 1}"]


@dataclass(frozen=True)
class Invert:
    """An inversion pulse, and a perfect crusher of transverse magnetisation.

    Parameters
    ----------
    efficiency
        Mz after the pulse is -efficiency x Mz before it, 0 to 1 [1].
    """

    code: ClassVar[int] = 1
    efficiency: float = 1.0

    @property
    def numbers(self) -> tuple[float, ...]:
        """What the operator depends on."""
        return (self.efficiency,)

    @property
    def numbers_in_file(self) -> tuple[float, ...]:
        """The same numbers in the units of a sequence file."""
        return self.numbers

    @property
    def duration(self) -> float:
        """The pulse counts as instantaneous [s]."""
        return 0.0

    def faults(self, n_pulses: int) -> list[str]:
        """What is wrong with the numbers, and what was expected."""
        if 0 <= self.efficiency <= 1:
            return []
        return [f"inversion efficiency {self.efficiency:g}, expected 0 to 1"]


@dataclass(frozen=True)
class Wait:
    """Free relaxation without RF pulses and spoilers.

    Parameters
    ----------
    time
        How long [s].
    """

    code: ClassVar[int] = 2
    time: float

    @property
    def numbers(self) -> tuple[float, ...]:
        """What the operator depends on [s]."""
        return (self.time,)

    @property
    def numbers_in_file(self) -> tuple[float, ...]:
        """The waiting time [ms]."""
        return (self.time * 1e3,)

    @property
    def duration(self) -> float:
        """The waiting time [s]."""
        return self.time

    def faults(self, n_pulses: int) -> list[str]:
        """What is wrong with the numbers, and what was expected."""
        if 0 <= self.time <= MAX_TIME:
            return []
        return [f"waiting time {self.time * 1e3:g} ms, expected 0 ms to 60 s"]


Preparation = Invert | Wait
Event = Pulses | Preparation


def joined(events: Iterable[Event], n_pulses: int) -> tuple[Event, ...]:
    """The events up to the last echo in their shortest form: blocks of pulses that continue each
    other, and waiting times that follow each other, are one. Every `stop` is a number.
    """
    result: list[Event] = []
    for given in events:
        event = given
        if isinstance(event, Pulses) and event.stop is None:
            event = replace(event, stop=n_pulses)
        one = _as_one(result[-1], event) if result else None
        if one is None:
            result.append(event)
        else:
            result[-1] = one
    while result and not _is_observed(result[-1]):
        result.pop()
    return tuple(result)


def _is_observed(event: Event) -> bool:
    return isinstance(event, Pulses) and event.acquire


def _as_one(event: Event, following: Event) -> Event | None:
    match event, following:
        case Wait(), Wait():
            return Wait(event.time + following.time)
        case Pulses(), Pulses():
            continues = event.stop == following.first and event.acquire == following.acquire
            return replace(event, stop=following.stop) if continues else None
        case _:
            return None


@dataclass(frozen=True)
class Inversion:
    """An inversion before a train of pulses.

    Parameters
    ----------
    efficiency
        Mz after the pulse is -efficiency x Mz before it, 0 to 1 [1].
    time
        From the inversion pulse to the first RF pulse of the train [s].
    """

    efficiency: float = 1.0
    time: float = 0.0


@dataclass(frozen=True)
class Train:
    """All pulses of a sequence, played `repeats` times; the last time is observed.

    Parameters
    ----------
    inversion
        Before each train, or None.
    repeats
        How often the train is played, 1 to 1000.
    wait
        Recovery between one train and the next [s].

    Raises
    ------
    InputError
        Naming every fault.
    """

    inversion: Inversion | None = None
    repeats: int = 1
    wait: float = 0.0

    def __post_init__(self) -> None:
        faults = train_faults(self.inversion, self.repeats, self.wait)
        if faults:
            raise InputError("; ".join(text for _, text in faults))

    @property
    def events(self) -> tuple[Event, ...]:
        """What the train plays, in order."""
        preparation: list[Event] = []
        if self.inversion is not None:
            preparation = [Invert(self.inversion.efficiency), Wait(self.inversion.time)]
        unobserved = [*preparation, Pulses(acquire=False), Wait(self.wait)]
        return (*unobserved * (self.repeats - 1), *preparation, Pulses())


def train_faults(inversion: Inversion | None, repeats: int, wait: float) -> list[tuple[str, str]]:
    """All that is wrong with the numbers of a train, as (field, what is wrong and expected)."""
    faults = []
    if inversion is not None:
        faults += [("inversion", text) for text in Invert(inversion.efficiency).faults(0)]
        if not 0 <= inversion.time <= MAX_TIME:
            text = f"inversion time {inversion.time * 1e3:g} ms, expected 0 ms to 60 s"
            faults.append(("inversion", text))
    if not (isinstance(repeats, (int, np.integer)) and 1 <= repeats <= _MAX_REPEATS):
        text = f"{repeats} repeats of the train, expected a whole number from 1 to {_MAX_REPEATS}"
        faults.append(("repeats", text))
    faults += [("wait", text) for text in Wait(wait).faults(0)]
    return faults


def train_of(program: tuple[Event, ...], n_pulses: int) -> Train | None:
    """The train that plays `program`, in the form that `joined` gives; None if no train does."""
    blocks = [place for place, event in enumerate(program) if isinstance(event, Pulses)]
    if len(blocks) > _MAX_REPEATS:
        return None
    train = Train(
        _leading_inversion(program[: blocks[0]]), len(blocks), _wait_between(program, blocks)
    )
    return train if _shortest(train.events, n_pulses) == _shortest(program, n_pulses) else None


def _leading_inversion(events: tuple[Event, ...]) -> Inversion | None:
    """The inversion that leads a train, if these events are nothing else."""
    match events:
        case (Invert(efficiency=efficiency), Wait(time=time)):
            return Inversion(efficiency, time)
        case (Invert(efficiency=efficiency),):
            return Inversion(efficiency, 0.0)
    return None


def _wait_between(program: tuple[Event, ...], blocks: list[int]) -> float:
    """The wait [s] after the first of several blocks of pulses."""
    if len(blocks) > 1:
        following = program[blocks[0] + 1]
        if isinstance(following, Wait):
            return following.time
    return 0.0


def _shortest(events: Iterable[Event], n_pulses: int) -> tuple[Event, ...]:
    """The joined events without waiting times of 0."""
    return joined((event for event in events if event != Wait(0.0)), n_pulses)
