"""What a foreign file says of a sequence, and what its user adds, before the two are combined."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.sequence import Event, SelectivePulse, SliceProfile, Spoiler, Spoiling


@dataclass(frozen=True)
class Fault:
    """A sentence on what is missing or wrong, and the quantities that the user can give to mend it.

    The names in `arguments` are fields of `Given` or of `tables.columns.Layout`, or "inversion".
    """

    text: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Given:
    """What the user says, in SI units; None where nothing is said. It overrides the file.

    Attributes
    ----------
    name : str
        Name of the sequence.
    tr, te : array
        Repetition and echo times `(time,)`, or one number for all repetitions [s].
    rf_phase : array
        Phases of the pulses `(time,)`, or one number for all repetitions [rad].
    inversion_time : float
        From the inversion pulse to the first RF pulse [s].
    inversion_efficiency : float
        Mz after the inversion is minus this times Mz before it [1].
    no_inversion : bool
        No inversion pulse precedes the train.
    spoiling : "gradient" or "none"
    repeats : int
        How often the train plays.
    wait : float
        Recovery between two trains [s].
    receiver_follows : bool
        The receiver is known to follow the RF phase.
    slice_positions : int
        Number of positions at which the slice profile is simulated.
    field : float
        Field of the magnet [T].
    rr : array
        RR intervals between the triggers that the file waits for `(interval,)`, or the times of all
        triggers, or one interval for all [s].
    """

    name: str | None = None
    tr: FloatArray | None = None
    te: FloatArray | None = None
    rf_phase: FloatArray | None = None
    inversion_time: float | None = None
    inversion_efficiency: float | None = None
    no_inversion: bool = False
    spoiling: Spoiling | None = None
    repeats: int | None = None
    wait: float | None = None
    receiver_follows: bool = False
    slice_positions: int | None = None
    field: float | None = None
    rr: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Findings:
    """What a file says, in SI units; None where it says nothing.

    Attributes
    ----------
    origin : str
        Kind of the file, in words.
    flip_angle, rf_phase : array
        `(time,)` [rad].
    tr, te : array
        `(time,)` [s].
    has_inversion : bool
        None where the file does not tell.
    inversion_time, wait : float
        [s]
    events : tuple of Event
        What is played, where it is no train of all pulses; inversion, repeats and wait say nothing
        then.
    notes : tuple of str
        Sentences on what was read and assumed.
    unknown : dict
        Why a quantity could not be read, by its name.
    faults : tuple of Fault
        Faults that concern no single quantity.
    """

    origin: str
    name: str | None = None
    flip_angle: FloatArray | None = None
    rf_phase: FloatArray | None = None
    tr: FloatArray | None = None
    te: FloatArray | None = None
    has_inversion: bool | None = None
    inversion_time: float | None = None
    inversion_efficiency: float | None = None
    spoiling: Spoiling | None = None
    spoiler: Spoiler | None = None
    slice_profile: SliceProfile | SelectivePulse | None = None
    repeats: int = 1
    wait: float = 0.0
    events: tuple[Event, ...] | None = None
    notes: tuple[str, ...] = ()
    unknown: dict[str, Fault] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


def refuse(path: str | Path, faults: Iterable[Fault]) -> None:
    """Raise InputError that names every fault, one a line, if there is any."""
    found = list(faults)
    if not found:
        return
    count = f"{len(found)} faults"
    if len(found) == 1:
        count = "1 fault"
    listed = "".join(f"\n  {fault.text}" for fault in found)
    arguments = [name for fault in found for name in fault.arguments]
    raise InputError(f"{path}: {count} in the sequence{listed}", arguments=arguments)
