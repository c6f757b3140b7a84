"""A train: all pulses of a sequence, perhaps inverted before, perhaps repeated."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mrftool.errors import InputError
from mrftool.sequence.events import MAX_TIME, Event, HardPulse, Invert, Pulses, Wait, joined

_MAX_REPEATS = 1000


@dataclass(frozen=True)
class Inversion:
    """An inversion before a train of pulses.

    Parameters
    ----------
    efficiency
        Mz after the pulse is -efficiency x Mz before it, 0 to 1 [1].
    time
        From the inversion pulse to the first RF pulse of the train [s].
    spoiled
        Whether a crusher follows; else it is a hard pulse that leaves transverse magnetisation.
    """

    efficiency: float = 1.0
    time: float = 0.0
    spoiled: bool = True

    @property
    def pulse(self) -> Event:
        """The pulse itself."""
        if self.spoiled:
            return Invert(self.efficiency)
        return HardPulse.inversion(self.efficiency)


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
            preparation = [self.inversion.pulse, Wait(self.inversion.time)]
        unobserved = [*preparation, Pulses(acquire=False), Wait(self.wait)]
        return (*unobserved * (self.repeats - 1), *preparation, Pulses())


def train_faults(inversion: Inversion | None, repeats: int, wait: float) -> list[tuple[str, str]]:
    """All that is wrong with the numbers of a train.

    Parameters
    ----------
    inversion
        Before each train, if any.
    repeats
        Number of times that the train is played.
    wait
        Time between the end of a train and the next one [s].

    Returns
    -------
    list[tuple[str, str]]
        The field, and what is wrong and expected.
    """
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
    inversion, wait = _leading_inversion(program[: blocks[0]]), _wait_between(program, blocks)
    if train_faults(inversion, len(blocks), wait):  # waiting times in one may be too long for one
        return None
    train = Train(inversion, len(blocks), wait)
    if _shortest(train.events, n_pulses) != _shortest(program, n_pulses):
        return None
    return train


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
