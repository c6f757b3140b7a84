"""The order of planes in time: by the first attribute that tells apart the planes of each slice."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mrftool.errors import InputError
from mrftool.formats.dicom.read.plane import Plane

_POINTS_IN_TIME = ("TemporalPositionIdentifier", "TemporalPositionIndex")
_NUMBERS = (
    *_POINTS_IN_TIME,
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "EchoNumbers",
    "DimensionIndexValues",
)
_TIMES = (
    "TemporalPositionTimeOffset",
    "TriggerTime",
    "FrameReferenceDateTime",
    "FrameAcquisitionDateTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
)
_WHEN_ACQUIRED = (
    "TemporalPositionTimeOffset",
    "FrameAcquisitionDateTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
)
_TIMES_OF_DAY = ("AcquisitionTime", "ContentTime")
_NOON, _DAY = 120000, 240000  # as HHMMSS
_FRAMES = "frames in their files"
_KEYS = (*_NUMBERS, "InstanceNumber", *_TIMES, _FRAMES)
_CLOCK = re.compile(r"(\d{1,30})(?:\.(\d*))?(?:[+-]\d{4})?")
Slices = list[list[Plane]]
Keyed = tuple[Any, Plane]  # something to sort by, and its plane


@dataclass(frozen=True)
class TimeOrder:
    """slices: each slice's planes in order of time. key: the attribute that told. notes: what is
    worth one.
    """

    slices: Slices
    key: str
    notes: tuple[str, ...] = ()


def times_of(planes: Sequence[Plane], key: str) -> list[Any]:
    """What an attribute says of the time of each plane, as something sortable; None where it says
    nothing.
    """
    return [_key(plane, key) for plane in planes]


def in_time_order(slices: Slices) -> TimeOrder:
    """Each slice's planes in order of time.

    Numbers of time points must be the same in all slices; instance numbers, clock times and the
    order of frames in their files only order the planes within each slice.

    Raises InputError if nothing orders them, naming what was tried, or if what does contradicts the
    time of acquisition; numbers that the standard has for points in time are believed.
    """
    if len(slices[0]) == 1:
        return TimeOrder(slices, "a single time point")
    for key in _KEYS:
        keyed = [_keyed(planes, key) for planes in slices]
        if _tells_apart(keyed) and (key not in _NUMBERS or _same_everywhere(keyed, key)):
            ordered = [_sorted(pairs) for pairs in keyed]
            return TimeOrder(ordered, key, _notes(ordered, key))
    tried = ", ".join(_KEYS[:-1])
    raise InputError(
        f"{slices[0][0].name}: no order in time: expected one of these to differ between the "
        f"images of a slice: {tried}"
    )


def _keyed(planes: Sequence[Plane], key: str) -> list[Keyed]:
    values = [_key(plane, key) for plane in planes]
    if key in _TIMES_OF_DAY and None not in values:
        values = _across_midnight(values)
    return list(zip(values, planes, strict=True))


def _across_midnight(times: list[Any]) -> list[Any]:
    """Times of day as `_clock` gives them; in a scan that runs past midnight, those after it as of
    the same day.

    No scan takes twelve hours. Times that follow a date need nothing.
    """
    earliest, latest = min(times), max(times)
    if latest[0] - earliest[0] < _NOON or latest[0] >= _DAY:
        return times
    return [(digits + _DAY * (digits < _NOON), fraction) for digits, fraction in times]


def _sorted(pairs: list[Keyed]) -> list[Plane]:
    return [plane for _, plane in sorted(pairs, key=lambda pair: pair[0])]


def _key(plane: Plane, key: str) -> Any:
    """Something to sort by, or None if the attribute is missing or no number or time."""
    value = plane.values.get(key)
    if key == _FRAMES:
        return _frame_number(plane)
    if key == "AcquisitionTime":
        return _clock(f"{plane.values.get('AcquisitionDate', '')}{value}", value)
    if key in _TIMES and isinstance(value, str):
        return _clock(value, value)
    if key == "DimensionIndexValues" and isinstance(value, list):
        return tuple(value)
    if isinstance(value, int | float):
        return value
    return None


def _frame_number(plane: Plane) -> tuple[int, int] | None:
    """The file of a frame and its number in it; None for a file of one frame."""
    number = plane.values.get("InstanceNumber")
    if isinstance(number, int) and plane.n_frames > 1:
        return number, plane.index
    return None


def _clock(text: str, value: Any) -> tuple[int, float] | None:
    """A date or time as something sortable: its digits, and the fraction of the second, each to its
    last digit.
    """
    parts = _CLOCK.fullmatch(text.replace(":", "").strip())
    if not value or not parts:
        return None
    return int(parts[1]), float(f"0.{parts[2] or 0}")


def _tells_apart(keyed: list[list[Keyed]]) -> bool:
    """True if the planes of each slice all have a value, and each another one."""
    return all(_are_different([value for value, _ in pairs]) for pairs in keyed)


def _are_different(values: list[Any]) -> bool:
    return None not in values and len(set(values)) == len(values)


def _same_everywhere(keyed: list[list[Keyed]], key: str) -> bool:
    """True if all slices have the same time points.

    Raises InputError if the attribute is one that numbers time points, and they differ.
    """
    first = {value for value, _ in keyed[0]}
    for pairs in keyed:
        odd = sorted(first ^ {value for value, _ in pairs})
        if odd and key in _POINTS_IN_TIME:
            raise InputError(
                f"{pairs[0][1].name}: {key} {odd[0]} is not there in every slice: expected the "
                f"same times"
            )
        if odd:
            return False
    return True


def _notes(ordered: Slices, key: str) -> tuple[str, ...]:
    notes = [f"The order in time is that of {key}."]
    claimed = ordered[0][0].values.get("NumberOfTemporalPositions")
    if isinstance(claimed, int) and claimed > 1 and claimed != len(ordered[0]):
        notes.append(f"The header claims {claimed} time points, {len(ordered[0])} were found.")
    other = _contradicting_clock(ordered)
    if other is not None and key not in _POINTS_IN_TIME:
        raise InputError(
            f"{ordered[0][0].name}: no order in time: {key} and {other} put the images of a "
            "slice into different orders, expected the same"
        )
    if other is not None:
        notes.append(f"{other} would put the images into another order.")
    return tuple(notes)


def _contradicting_clock(ordered: Slices) -> str | None:
    """The first time of acquisition that puts the images of a slice into another order."""
    for clock in _WHEN_ACQUIRED:
        if any(_runs_back(planes, clock) for planes in ordered):
            return clock
    return None


def _runs_back(planes: Sequence[Plane], clock: str) -> bool:
    """True if the clock of these images in order goes back more often than once, which midnight may
    make it do.
    """
    times = [_key(plane, clock) for plane in planes]
    return (
        None not in times
        and sum(b < a for a, b in zip(times, [*times[1:], times[0]], strict=True)) > 1
    )
