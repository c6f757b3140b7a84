"""What a foreign file says of a sequence, what the user adds, and the sequence that the two make.

Nothing is guessed: what neither says is a fault, and every assumption is a sentence.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.sequence import (
    Inversion,
    PulseSequence,
    SliceProfile,
    Spoiler,
    Spoiling,
    sequence_faults,
)

_EXPECTED = {
    "flip_angle": "the file does not say the flip angles",
    "rf_phase": "the file does not say the RF phase; expected --rf-phase-deg (0 if it is constant)",
    "tr": "the file does not say TR; expected --tr-ms",
    "te": "the file does not say TE; expected --te-ms",
    "inversion": "the file does not say whether an inversion leads; expected --no-inversion, or "
    "--ti-ms and --inversion-efficiency",
    "inversion_efficiency": "the file does not say how well the pulse inverts; expected --inversion-efficiency",
    "spoiling": "the file does not say how transverse magnetisation is spoiled; expected --spoiling gradient or none",
}


@dataclass(frozen=True, eq=False)
class Given:
    """What the user says, in SI units and radians; None where nothing is said. It comes before what
    a file says.

    tr, te [s], rf_phase [rad]: `(time,)`, or one number for all repetitions. inversion_time [s].
    no_inversion: there is none. receiver_follows: the receiver is known to follow the RF phase.
    slice_positions: simulate the slice profile at so many positions. field: of the magnet [T].
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


@dataclass(frozen=True, eq=False)
class Findings:
    """What a file says; None where it does not, and then `unknown` may say why, under the field's
    name.

    has_inversion: None where the file does not say it. notes: sentences on what was read and
    assumed.
    faults: what no option mends, or only one that is no field of a sequence.
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
    slice_profile: SliceProfile | None = None
    repeats: int = 1
    wait: float = 0.0
    notes: tuple[str, ...] = ()
    unknown: dict[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Imported:
    """A sequence, and what is to be said about where it comes from: sentences."""

    sequence: PulseSequence
    origin: str
    notes: tuple[str, ...]


def combine(found: Findings, given: Given, name: str, path: str) -> Imported:
    """The sequence of a file, completed by the user. Raises InputError that names every fault, one
    a line.
    """
    faults = [*found.faults, *_wrong_lengths(found, given)]
    found, said = _overruled(found, given)
    refuse(path, [*faults, *_missing(found)])
    sequence = _unchecked(found, given.name or found.name or name)
    refuse(path, [text for _, text in sequence_faults(sequence)])
    sequence.__post_init__()
    return Imported(sequence, found.origin, (*found.notes, *said))


def refuse(path: str | Path, faults: list[str]) -> None:
    """Raises InputError that names every fault, one a line, if there is any."""
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise InputError(
            f"{path}: {len(faults)} fault{'s' if len(faults) > 1 else ''} in the sequence\n{listed}"
        )


def _wrong_lengths(found: Findings, given: Given) -> list[str]:
    n = 0 if found.flip_angle is None else len(found.flip_angle)
    columns = {key: getattr(given, key) for key in ("tr", "te", "rf_phase")}
    return [
        f"{key}: {len(value)} values are given, expected 1 or {n}, one for each flip angle"
        for key, value in columns.items()
        if value is not None and n and len(value) not in (1, n)
    ]


def _overruled(found: Findings, given: Given) -> tuple[Findings, list[str]]:
    """What the file says, with what the user says in its place; and sentences that tell so."""
    n = 0 if found.flip_angle is None else len(found.flip_angle)
    new: dict[str, Any] = {}
    said = []
    for key, unit, factor in (
        ("tr", "ms", 1e3),
        ("te", "ms", 1e3),
        ("rf_phase", "deg", 180 / np.pi),
    ):
        value = getattr(given, key)
        if value is not None:
            new[key] = np.full(n, value[0]) if len(value) == 1 else value
            said.append(f"{key} is {_shown(value * factor)} {unit}, as the user says")
    for change, sentence in (_inversion(given), _spoiling(found, given), _repeats(found, given)):
        new |= change
        said += sentence
    return replace(found, **new), said


def _inversion(given: Given) -> tuple[dict[str, Any], list[str]]:
    if given.no_inversion:
        nothing = {"has_inversion": False, "inversion_time": None, "inversion_efficiency": None}
        return nothing, ["no inversion, as the user says"]
    new: dict[str, Any] = {}
    said = []
    if given.inversion_time is not None:
        new |= {"has_inversion": True, "inversion_time": given.inversion_time}
        said.append(_ms("TI", given.inversion_time))
    if given.inversion_efficiency is not None:
        new["inversion_efficiency"] = given.inversion_efficiency
        said.append(f"inversion efficiency {given.inversion_efficiency:g}, as the user says")
    return new, said


def _spoiling(found: Findings, given: Given) -> tuple[dict[str, Any], list[str]]:
    if given.spoiling is None:
        return {}, []
    spoiler = found.spoiler if given.spoiling == found.spoiling == "gradient" else None
    return {"spoiling": given.spoiling, "spoiler": spoiler}, [
        f"spoiling {given.spoiling!r}, as the user says"
    ]


def _repeats(found: Findings, given: Given) -> tuple[dict[str, Any], list[str]]:
    new: dict[str, Any] = {}
    said = []
    if given.repeats is not None:
        new["repeats"] = given.repeats
        said.append(f"the train plays {given.repeats} x, as the user says")
    elif found.repeats == 1:
        said.append("the train is taken to play once, from equilibrium")
    if given.wait is not None:
        new["wait"] = given.wait
        said.append(_ms("waiting time", given.wait))
    return new, said


def _ms(what: str, time: float) -> str:
    return f"{what} {time * 1e3:g} ms, as the user says"


def _shown(values: FloatArray) -> str:
    return (
        f"{values[0]:g}"
        if len(values) == 1
        else f"a list of {len(values)} from {values.min():g} to {values.max():g}"
    )


def _missing(found: Findings) -> list[str]:
    """A sentence for each thing that nobody says."""
    columns = [
        key
        for key in ("flip_angle", "rf_phase", "tr", "te", "spoiling")
        if getattr(found, key) is None
    ]
    faults = [f"{key}: {found.unknown.get(key, _EXPECTED[key])}" for key in columns]
    if found.has_inversion is None or (found.has_inversion and found.inversion_time is None):
        faults.append(f"inversion: {found.unknown.get('inversion', _EXPECTED['inversion'])}")
    elif found.has_inversion and found.inversion_efficiency is None:
        faults.append(f"inversion: {_EXPECTED['inversion_efficiency']}")
    elif not found.has_inversion and found.inversion_efficiency is not None:
        faults.append("inversion: an efficiency is given, but there is no inversion")
    return faults


def _unchecked(found: Findings, name: str) -> PulseSequence:
    """The sequence before its numbers are checked, so that all faults come at once."""
    inversion = None
    if found.has_inversion:
        inversion = Inversion(
            float(found.inversion_efficiency or 0.0), float(found.inversion_time or 0.0)
        )
    values = {
        "flip_angle": found.flip_angle,
        "rf_phase": found.rf_phase,
        "tr": found.tr,
        "te": found.te,
        "inversion": inversion,
        "repeats": found.repeats,
        "wait": found.wait,
        "spoiling": found.spoiling,
        "spoiler": found.spoiler,
        "slice_profile": found.slice_profile,
        "name": name,
    }
    sequence = object.__new__(PulseSequence)
    for key, value in values.items():
        object.__setattr__(sequence, key, value)
    return sequence
