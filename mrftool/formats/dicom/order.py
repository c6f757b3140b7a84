"""The order of planes in time: by the first attribute that tells apart the planes of each slice."""

from typing import Any

from mrftool.errors import InputError
from mrftool.formats.dicom.plane import Plane

_POINTS_IN_TIME = ("TemporalPositionIdentifier", "TemporalPositionIndex")
_NUMBERS = (*_POINTS_IN_TIME, "AcquisitionNumber", "FrameAcquisitionNumber", "EchoNumbers", "DimensionIndexValues")
_TIMES = (
    "TemporalPositionTimeOffset",
    "TriggerTime",
    "FrameReferenceDateTime",
    "FrameAcquisitionDateTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
)
Slices = list[list[Plane]]


def in_time_order(slices: Slices) -> tuple[Slices, str, tuple[str, ...]]:
    """Each slice's planes in order of time, the attribute that told, and what is worth a note.

    Numbers of time points must be the same in all slices; instance numbers and clock times only order the planes
    within each slice.

    Raises InputError if nothing orders them, naming what was tried.
    """
    if len(slices[0]) == 1:
        return slices, "a single time point", ()
    for key in (*_NUMBERS, "InstanceNumber", *_TIMES):
        keyed = [[(_key(plane, key), plane) for plane in planes] for planes in slices]
        if _tells_apart(keyed) and (key not in _NUMBERS or _same_everywhere(keyed, key)):
            ordered = [[plane for _, plane in sorted(pairs, key=lambda pair: pair[0])] for pairs in keyed]
            return ordered, key, _notes(ordered, key)
    tried = ", ".join((*_NUMBERS, "InstanceNumber", *_TIMES))
    raise InputError(
        f"{slices[0][0].name}: no order in time: expected one of these to differ between the images of a slice: {tried}"
    )


def _key(plane: Plane, key: str) -> Any:
    """Something to sort by, or None if the attribute is missing or no number or time."""
    value = plane.values.get(key)
    if key == "InstanceNumber":
        return (value, plane.index) if isinstance(value, int) else None
    if key == "AcquisitionTime":
        return _clock(f"{plane.values.get('AcquisitionDate', '')}{value}", value)
    if key in _TIMES and isinstance(value, str):
        return _clock(value, value)
    if isinstance(value, list):
        return tuple(value) if key == "DimensionIndexValues" else None
    return value if isinstance(value, int | float) else None


def _clock(text: str, value: Any) -> float | None:
    """Digits of a date or time as a sortable number; fractions count."""
    digits = text.replace(":", "").split("+")[0].strip()
    return float(digits) if value and digits.replace(".", "", 1).isdigit() else None


def _tells_apart(keyed: list[list[tuple[Any, Plane]]]) -> bool:
    return all(
        None not in (values := [value for value, _ in pairs]) and len(set(values)) == len(values) for pairs in keyed
    )


def _same_everywhere(keyed: list[list[tuple[Any, Plane]]], key: str) -> bool:
    """True if all slices have the same time points.

    Raises InputError if the attribute is one that numbers time points, and they differ.
    """
    first = {value for value, _ in keyed[0]}
    for pairs in keyed:
        odd = sorted(first ^ {value for value, _ in pairs})
        if odd and key in _POINTS_IN_TIME:
            raise InputError(f"{pairs[0][1].name}: {key} {odd[0]} is not there in every slice: expected the same times")
        if odd:
            return False
    return True


def _notes(ordered: Slices, key: str) -> tuple[str, ...]:
    notes = [f"The order in time is that of {key}."]
    claimed = ordered[0][0].values.get("NumberOfTemporalPositions")
    if isinstance(claimed, int) and claimed > 1 and claimed != len(ordered[0]):
        notes.append(f"The header claims {claimed} time points, {len(ordered[0])} were found.")
    return tuple(notes)
