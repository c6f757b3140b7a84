"""What happens in a sequence, event by event. SI units.

Each class says what the event means, which numbers it has, and what is wrong with them. The
operators are in `mrftool/physics/epg.py`, and once more in `native/epg.c`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

MAX_TIME = 60.0  # of one interval [s]
MAX_FLIP = 2 * np.pi  # of a pulse without echo [rad]
_MAX_REFOCUSING = 1000


@dataclass(frozen=True)
class Pulses:
    """Play RF pulses of the sequence, each followed by an echo at TE and by the rest of TR.

    Parameters
    ----------
    first, stop
        Pulses `first` .. `stop` - 1 of the sequence; all that remain if `stop` is None.
    acquire
        Whether their echoes belong to the signal.
    bin
        Each frame of the signal is the mean of the echoes of this many pulses.
    """

    code: ClassVar[int] = 0  # of the event in native/epg.c
    keeps_signals_real: ClassVar[bool] = True  # where the phases of the pulses do
    first: int = 0
    stop: int | None = None
    acquire: bool = True
    bin: int = 1

    @property
    def slice(self) -> slice:
        """Indices of the pulses in the columns of the sequence."""
        return slice(self.first, self.stop)

    def faults(self, n_pulses: int) -> list[str]:
        """What is wrong in a sequence of `n_pulses`, and what was expected."""
        stop = n_pulses if self.stop is None else self.stop
        if not 0 <= self.first < stop <= n_pulses:
            expected = f"expected at least one of 0 to {n_pulses - 1}"
            return [f"pulses {self.first} to {stop - 1}, {expected}"]
        return self._bin_faults(stop - self.first)

    def _bin_faults(self, count: int) -> list[str]:
        """What is wrong with frames that are means of the echoes of `count` pulses."""
        if self.bin == 1:
            return []
        if not self.acquire:
            return [f"frames of {self.bin} pulses that acquire nothing, expected no bin"]
        if self.bin < 1 or count % self.bin:
            text = f"frames of {self.bin} pulses each, expected a number that divides the"
            return [f"{text} {count} pulses"]
        return []


@dataclass(frozen=True)
class Preparation:
    """What acts on the magnetisation between pulses; a subclass for each kind."""

    code: ClassVar[int]
    _TIMES: ClassVar[frozenset[str]] = frozenset({"time", "te"})

    @property
    def numbers(self) -> tuple[float, ...]:
        """What the operator depends on, in SI units."""
        return tuple(float(getattr(self, field.name)) for field in fields(self))

    @property
    def numbers_in_file(self) -> tuple[float, ...]:
        """The same numbers in the units of a sequence file: times in ms."""
        is_time = (field.name in self._TIMES for field in fields(self))
        pairs = zip(self.numbers, is_time, strict=True)
        return tuple(number * 1e3 if time else number for number, time in pairs)

    @property
    def duration(self) -> float:
        """How long it takes [s]."""
        return 0.0

    @property
    def keeps_signals_real(self) -> bool:
        """Whether signals stay -i m0 times real numbers after it."""
        return True

    def faults(self, n_pulses: int) -> list[str]:
        """What is wrong with the numbers, and what was expected."""
        raise NotImplementedError


@dataclass(frozen=True)
class Invert(Preparation):
    """An inversion pulse, and a perfect crusher of transverse magnetisation.

    Parameters
    ----------
    efficiency
        Mz after the pulse is -efficiency x Mz before it, 0 to 1 [1].
    """

    code: ClassVar[int] = 1
    efficiency: float = 1.0

    def faults(self, n_pulses: int) -> list[str]:
        """See `Preparation`."""
        return _efficiency_faults("inversion", self.efficiency)


@dataclass(frozen=True)
class HardPulse(Preparation):
    """An RF pulse without crusher and echo, such as an inversion that leaves transverse
    magnetisation. B1 and the slice profile scale its flip angle.

    Parameters
    ----------
    flip_angle, rf_phase
        Flip angle, and phase of the RF axis [rad].
    """

    code: ClassVar[int] = 5
    flip_angle: float
    rf_phase: float = 0.0

    @classmethod
    def inversion(cls, efficiency: float) -> "HardPulse":
        """The pulse after which Mz is -efficiency x Mz before it, at B1 = 1; efficiency: [1]."""
        return cls(float(np.arccos(-np.clip(efficiency, 0, 1))))

    @property
    def numbers_in_file(self) -> tuple[float, ...]:
        """Both angles in degrees."""
        return tuple(float(np.rad2deg(angle)) for angle in self.numbers)

    @property
    def keeps_signals_real(self) -> bool:
        """The engines play it on complex states."""
        return False

    def faults(self, n_pulses: int) -> list[str]:
        """See `Preparation`."""
        if 0 < abs(self.flip_angle) <= MAX_FLIP and np.isfinite(self.rf_phase):
            return []
        angle = np.rad2deg(self.flip_angle)
        return [f"flip angle {angle:g} deg of a pulse without echo, expected up to 360 deg, not 0"]


@dataclass(frozen=True)
class Wait(Preparation):
    """Free relaxation without RF pulses and spoilers.

    Parameters
    ----------
    time
        How long [s].
    """

    code: ClassVar[int] = 2
    time: float

    @property
    def duration(self) -> float:
        """The waiting time [s]."""
        return self.time

    def faults(self, n_pulses: int) -> list[str]:
        """See `Preparation`."""
        return _time_faults("waiting time", self.time)


@dataclass(frozen=True, eq=False)
class Trigger(Wait):
    """Free relaxation until a trigger that comes after a known time: to the signal, a `Wait`."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wait) and self.time == other.time

    def __hash__(self) -> int:
        return hash(Wait(self.time))


@dataclass(frozen=True)
class Saturate(Preparation):
    """A saturation pulse, and a perfect crusher of transverse magnetisation.

    Parameters
    ----------
    efficiency
        Mz after the pulse is (1 - efficiency) x Mz before it, 0 to 1 [1].
    """

    code: ClassVar[int] = 3
    efficiency: float = 1.0

    def faults(self, n_pulses: int) -> list[str]:
        """See `Preparation`."""
        return _efficiency_faults("saturation", self.efficiency)


@dataclass(frozen=True)
class T2Prep(Preparation):
    """A T2 preparation: tip down, decay with T2 while refocused, tip up, crush perfectly.

    J. H. Brittain et al., Magn Reson Med 33:689 (1995), doi 10.1002/mrm.1910330515.

    Parameters
    ----------
    te
        From the tip-down to the tip-up pulse [s].
    refocusing
        Number of refocusing pulses. These are hard pulses, as are the tips: tips of 90 and -90
        degrees about x, refocusing pulses of 180 degrees about y, evenly spaced (Carr, Purcell,
        Meiboom, Gill), all turned too far or not far enough by B1 and the slice profile. 0: perfect
        pulses, as composite or adiabatic ones nearly are; Mz is multiplied by exp(-te / T2).
    efficiency
        Factor of Mz besides, 0 to 1 [1].
    """

    code: ClassVar[int] = 4
    te: float
    refocusing: int = 0
    efficiency: float = 1.0

    @property
    def duration(self) -> float:
        """The echo time [s]."""
        return self.te

    @property
    def keeps_signals_real(self) -> bool:
        """Perfect pulses do; hard ones leave magnetisation along other axes."""
        return self.refocusing == 0

    def faults(self, n_pulses: int) -> list[str]:
        """See `Preparation`."""
        faults = _time_faults("TE of the T2 preparation", self.te)
        if not 0 <= self.refocusing <= _MAX_REFOCUSING:
            faults.append(
                f"{self.refocusing} refocusing pulses, expected a whole number from 0 to "
                f"{_MAX_REFOCUSING}"
            )
        return faults + _efficiency_faults("T2 preparation", self.efficiency)


def _efficiency_faults(kind: str, efficiency: float) -> list[str]:
    if 0 <= efficiency <= 1:
        return []
    return [f"{kind} efficiency {efficiency:g}, expected 0 to 1"]


def _time_faults(name: str, time: float) -> list[str]:
    if 0 <= time <= MAX_TIME:
        return []
    return [f"{name} {time * 1e3:g} ms, expected 0 ms to 60 s"]


Event = Pulses | Preparation


def joined(events: Iterable[Event], n_pulses: int) -> tuple[Event, ...]:
    """The events up to the last echo in their shortest form: blocks of pulses that continue each
    other, and waiting times that follow each other, are one. Every `stop` is a number.
    """
    result: list[Event] = []
    for given in events:
        event = _in_numbers(given, n_pulses)
        one = _as_one(result[-1], event) if result else None
        if one is None:
            result.append(event)
        else:
            result[-1] = one
    while result and not _is_observed(result[-1]):
        result.pop()
    return tuple(result)


def _in_numbers(event: Event, n_pulses: int) -> Event:
    """The event with a number for its `stop`; a trigger as the wait that it is."""
    if isinstance(event, Pulses) and event.stop is None:
        return replace(event, stop=n_pulses)
    if isinstance(event, Trigger):
        return Wait(event.time)
    return event


def _is_observed(event: Event) -> bool:
    return isinstance(event, Pulses) and event.acquire


def _as_one(event: Event, following: Event) -> Event | None:
    match event, following:
        case Wait(), Wait():
            return Wait(event.time + following.time)
        case Pulses(), Pulses():
            if replace(event, first=event.stop or 0, stop=following.stop) == following:
                return replace(event, stop=following.stop)
            return None
        case _:
            return None
