"""The sequence that a foreign file and its user make together.

Nothing is guessed: what neither of them says is a fault, and every assumption becomes a note.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.doubts import sequence_doubts
from mrftool.formats.sequence.sources import Fault, Findings, Given, refuse
from mrftool.sequence import (
    Event,
    Inversion,
    Pulses,
    PulseSequence,
    Train,
    sequence_faults,
    train_faults,
)

_COLUMNS = ("rf_phase", "tr", "te")
_SHOWN_UNITS = {"tr": ("ms", 1e3), "te": ("ms", 1e3), "rf_phase": ("deg", 180 / np.pi)}
_MISSING = {
    "flip_angle": Fault("the file does not say the flip angles"),
    "rf_phase": Fault("the file does not say the RF phase, expected it [deg]", ("rf_phase",)),
    "tr": Fault("the file does not say TR, expected it [ms]", ("tr",)),
    "te": Fault("the file does not say TE, expected it [ms]", ("te",)),
    "inversion": Fault(
        "the file does not say whether an inversion precedes the train, expected its TI and "
        "efficiency, or that there is none",
        ("inversion",),
    ),
    "inversion_efficiency": Fault(
        "the file does not say how well the pulse inverts, expected its efficiency",
        ("inversion_efficiency",),
    ),
    "spoiling": Fault(
        "the file does not say how transverse magnetisation is spoiled, expected 'gradient' or "
        "'none'",
        ("spoiling",),
    ),
}


@dataclass(frozen=True, eq=False)
class Imported:
    """A sequence, the kind of file it comes from, and notes: one sentence each."""

    sequence: PulseSequence
    origin: str
    notes: tuple[str, ...]


def combine(found: Findings, given: Given, name: str, path: str) -> Imported:
    """Complete what a file says by what the user says.

    Raises
    ------
    InputError
        Naming every fault and every missing quantity, one a line.
    """
    faults = [*found.faults, *_length_faults(found, given), *_event_faults(found, given)]
    found, overridden = _override(found, given)
    refuse(path, [*faults, *_missing_faults(found)])
    events, wrong = _events(found)
    fields = {**_fields(found), "events": events}
    refuse(path, [Fault(text) for _, text in (*sequence_faults(**fields), *wrong)])
    name = given.name or found.name or name
    sequence = PulseSequence(**fields, name=name)
    notes = (*found.notes, *overridden, *sequence_doubts(sequence))
    return Imported(sequence, found.origin, notes)


def _length_faults(found: Findings, given: Given) -> list[Fault]:
    """A fault for each given column whose length is not that of the train."""
    if found.flip_angle is None:
        return []
    n = len(found.flip_angle)
    faults = []
    for key in _COLUMNS:
        values = getattr(given, key)
        if values is not None and len(values) not in (1, n):
            text = f"{key}: {len(values)} values are given, expected 1 or {n}"
            faults.append(Fault(f"{text}, one for each flip angle", (key,)))
    return faults


def _event_faults(found: Findings, given: Given) -> list[Fault]:
    """A fault where the user describes a train, and the file lists events."""
    said = (given.inversion_time, given.inversion_efficiency, given.repeats, given.wait)
    if found.events is None or (not given.no_inversion and said == (None,) * 4):
        return []
    text = "the file lists its events, expected no inversion, repeats and waiting time besides"
    return [Fault(text, ("inversion", "repeats", "wait"))]


def _override(found: Findings, given: Given) -> tuple[Findings, list[str]]:
    """Put what the user says in place of what the file says; and a note on each."""
    changes: dict[str, Any] = {}
    notes: list[str] = []
    for change, said in (
        _given_columns(found, given),
        _given_inversion(given),
        _given_spoiling(found, given),
        _given_repeats(found, given),
    ):
        changes |= change
        notes += said
    return replace(found, **changes), notes


def _given_columns(found: Findings, given: Given) -> tuple[dict[str, Any], list[str]]:
    n = 0
    if found.flip_angle is not None:
        n = len(found.flip_angle)
    changes: dict[str, Any] = {}
    notes = []
    for key, (unit, factor) in _SHOWN_UNITS.items():
        values = getattr(given, key)
        if values is None:
            continue
        changes[key] = values
        if len(values) == 1:
            changes[key] = np.full(n, values[0])
        notes.append(f"{key} is {_summary(values * factor)} {unit}, as the user says")
    return changes, notes


def _given_inversion(given: Given) -> tuple[dict[str, Any], list[str]]:
    if given.no_inversion:
        absent = {"has_inversion": False, "inversion_time": None, "inversion_efficiency": None}
        return absent, ["no inversion, as the user says"]
    changes: dict[str, Any] = {}
    notes = []
    if given.inversion_time is not None:
        changes |= {"has_inversion": True, "inversion_time": given.inversion_time}
        notes.append(_time_note("TI", given.inversion_time))
    if given.inversion_efficiency is not None:
        changes["inversion_efficiency"] = given.inversion_efficiency
        notes.append(f"inversion efficiency {given.inversion_efficiency:g}, as the user says")
    return changes, notes


def _given_spoiling(found: Findings, given: Given) -> tuple[dict[str, Any], list[str]]:
    if given.spoiling is None:
        return {}, []
    spoiler = None
    if given.spoiling == found.spoiling == "gradient":
        spoiler = found.spoiler
    note = f"spoiling {given.spoiling!r}, as the user says"
    return {"spoiling": given.spoiling, "spoiler": spoiler}, [note]


def _given_repeats(found: Findings, given: Given) -> tuple[dict[str, Any], list[str]]:
    changes: dict[str, Any] = {}
    notes = []
    if given.repeats is not None:
        changes["repeats"] = given.repeats
        notes.append(f"the train plays {given.repeats} x, as the user says")
    elif found.repeats == 1 and found.events is None:
        notes.append("the train is assumed to play once, from equilibrium")
    if given.wait is not None:
        changes["wait"] = given.wait
        notes.append(_time_note("waiting time", given.wait))
    return changes, notes


def _time_note(what: str, time: float) -> str:
    return f"{what} {time * 1e3:g} ms, as the user says"


def _summary(values: FloatArray) -> str:
    if len(values) == 1:
        return f"{values[0]:g}"
    return f"a list of {len(values)} from {values.min():g} to {values.max():g}"


def _missing_faults(found: Findings) -> list[Fault]:
    """A fault for each quantity that neither the file nor the user gives."""
    columns = ("flip_angle", *_COLUMNS, "spoiling")
    missing = [key for key in columns if getattr(found, key) is None]
    faults = [_named(key, found.unknown.get(key, _MISSING[key])) for key in missing]
    if found.events is not None:
        return faults
    return faults + _inversion_faults(found)


def _inversion_faults(found: Findings) -> list[Fault]:
    if found.has_inversion is None or (found.has_inversion and found.inversion_time is None):
        return [_named("inversion", found.unknown.get("inversion", _MISSING["inversion"]))]
    if found.has_inversion and found.inversion_efficiency is None:
        return [_named("inversion", _MISSING["inversion_efficiency"])]
    if not found.has_inversion and found.inversion_efficiency is not None:
        return [Fault("inversion: an efficiency is given, but there is no inversion")]
    return []


def _named(key: str, fault: Fault) -> Fault:
    return replace(fault, text=f"{key}: {fault.text}")


def _fields(found: Findings) -> dict[str, Any]:
    """Fields of the `PulseSequence` but for its events and its name."""
    names = ("flip_angle", "rf_phase", "tr", "te", "spoiling", "spoiler", "slice_profile")
    return {name: getattr(found, name) for name in names}


def _events(found: Findings) -> tuple[tuple[Event, ...], list[tuple[str, str]]]:
    """What is played, and what is wrong with a train."""
    if found.events is not None:
        return found.events, []
    train = _train_fields(found)
    wrong = train_faults(**train)
    if wrong:
        return (Pulses(),), wrong
    return Train(**train).events, []


def _train_fields(found: Findings) -> dict[str, Any]:
    """Fields of the `Train`."""
    inversion = None
    if found.has_inversion:
        efficiency, time = found.inversion_efficiency or 0.0, found.inversion_time or 0.0
        inversion = Inversion(float(efficiency), float(time))
    return {"inversion": inversion, "repeats": found.repeats, "wait": found.wait}
