"""The parts of a complex signal among the planes of a series, each by slice and time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.dicom.read.check import require_one_kind
from mrftool.formats.dicom.read.geometry import stack_of
from mrftool.formats.dicom.read.order import Slices, TimeOrder, in_time_order, times_of
from mrftool.formats.dicom.read.plane import Component, Plane

_PAIRS: tuple[tuple[Component, ...], ...] = (
    ("real", "imaginary"),
    ("magnitude", "phase"),
    ("magnitude",),
)
_CLOCKS = ("TriggerTime", "FrameAcquisitionDateTime", "AcquisitionDateTime", "AcquisitionTime")
_SAME_PLACE = 0.05  # [mm]


@dataclass(frozen=True)
class Part:
    """planes: `[slice][time]`, of one component of the signal."""

    component: Component
    planes: Slices


def parts_of(planes: Sequence[Plane]) -> tuple[list[Part], FloatArray, tuple[str, ...]]:
    """The parts of the signal, each by slice and time; with their affine [mm] and notes.

    Real and imaginary are preferred to magnitude and phase, and these to magnitude alone.

    Raises
    ------
    InputError
        If parts are missing or do not match.
    """
    by_component, notes = _by_component(planes)
    pair = _complete_signal(by_component)
    notes += _unused_notes(by_component, pair)
    stacks = [stack_of(by_component[name]) for name in pair]
    for stack in stacks:
        require_one_kind(stack.slices[0])
    orders = [in_time_order(stack.slices) for stack in stacks]
    for stack, order in zip(stacks, orders, strict=True):
        notes += (*stack.notes, *order.notes)
    parts = [Part(name, order.slices) for name, order in zip(pair, orders, strict=True)]
    _check_match(parts, [stack.affine for stack in stacks], orders)
    return parts, stacks[0].affine, tuple(dict.fromkeys(notes))


def _unused_notes(found: Iterable[Component], used: Sequence[Component]) -> tuple[str, ...]:
    unused = [name for name in found if name not in used]
    if not unused:
        return ()
    return (f"Of the series, {' and '.join(used)} are used; {' and '.join(unused)} not.",)


def _complete_signal(by_component: Mapping[Component, Sequence[Plane]]) -> tuple[Component, ...]:
    for pair in _PAIRS:
        if all(name in by_component for name in pair):
            return pair
    first = next(iter(by_component.values()))[0]
    raise InputError(
        f"{first.label}: its series has {' and '.join(by_component)} images alone, "
        "expected real and imaginary, magnitude and phase, or magnitude",
        hint="where the two parts are two series, choose both by NUMBER,NUMBER",
    )


def _by_component(planes: Sequence[Plane]) -> tuple[dict[Component, list[Plane]], tuple[str, ...]]:
    groups: dict[Component | None, list[Plane]] = {}
    for plane in planes:
        groups.setdefault(plane.component, []).append(plane)
    silent = groups.pop(None, [])
    if silent and groups:
        said = " and ".join(str(name) for name in groups)
        raise InputError(
            f"{silent[0].name}: does not say which part of the signal it is, "
            f"others of its series are {said}: expected all images to say"
        )
    notes: tuple[str, ...] = ()
    if silent:
        groups["magnitude"] = silent
        notes = ("No image says which part of the signal it is: taken as magnitude.",)
    return {name: group for name, group in groups.items() if name is not None}, notes


def _check_match(
    parts: list[Part], affines: Sequence[FloatArray], orders: Sequence[TimeOrder]
) -> None:
    """Raises InputError unless the parts have the same voxels and the same times."""
    first = parts[0]
    for part, affine, order in zip(parts, affines, orders, strict=True):
        for what, mine, theirs in (
            ("slices", len(part.planes), len(first.planes)),
            ("time points", len(part.planes[0]), len(first.planes[0])),
            ("order in time by", order.key, orders[0].key),
        ):
            if mine != theirs:
                names = (
                    f"{part.component} images: {what} {mine}; {first.component} images: {theirs}"
                )
                raise InputError(f"{part.planes[0][0].label}: {names}; expected the same")
        if not np.allclose(affine, affines[0], rtol=0, atol=_SAME_PLACE):
            raise InputError(
                f"{part.planes[0][0].label}: the {part.component} images lie elsewhere "
                f"than the {first.component} ones"
            )
    for part in parts[1:]:
        for key in (orders[0].key, *_CLOCKS):
            _require_same_times(part, first, key)


def _require_same_times(part: Part, first: Part, key: str) -> None:
    """Raises InputError if an image would be paired with one of another time, though there is one
    of its own time.
    """
    for mine, theirs in zip(part.planes, first.planes, strict=True):
        times, others = times_of(mine, key), times_of(theirs, key)
        if None in times or None in others or set(times).isdisjoint(others):
            continue
        swapped = _first_swapped(times, others)
        if swapped is not None:
            plane = mine[swapped]
            raise InputError(
                f"{plane.name}: {key} {plane.values.get(key)} stands where the "
                f"{first.component} images have another: expected the same times in both parts"
            )


def _first_swapped(times: Sequence[object], others: Sequence[object]) -> int | None:
    """The first place where the two times differ, though one of them stands elsewhere too."""
    for number, (time, other) in enumerate(zip(times, others, strict=True)):
        if time != other and (time in others or other in times):
            return number
    return None
