"""Which images belong to the fingerprint: one series of many, and the parts of its complex signal."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError, MismatchError
from mrftool.formats.dicom.read.geometry import stack_of
from mrftool.formats.dicom.read.order import in_time_order
from mrftool.formats.dicom.read.plane import Component, Plane

_PAIRS: tuple[tuple[Component, ...], ...] = (
    ("real", "imaginary"),
    ("magnitude", "phase"),
    ("magnitude",),
)
_LISTED = 12


@dataclass(frozen=True)
class Part:
    """planes: `[slice][time]`, of one component of the signal."""

    component: Component
    planes: list[list[Plane]]


def chosen_planes(
    planes: Sequence[Plane], wanted: str | None, where: str
) -> tuple[list[Plane], tuple[str, ...]]:
    """The planes of the wanted series, and what was taken for granted.

    wanted: a SeriesInstanceUID, SeriesNumber or SeriesDescription, or two of them with a comma
    between; None if there is one series, or two that are the two parts of a complex signal.

    Raises InputError if there is no such series, MismatchError with the candidates if the choice is
    not clear.
    """
    groups: dict[str, list[Plane]] = {}
    for plane in planes:
        groups.setdefault(plane.series, []).append(plane)
    if "" in groups and len(groups) > 1:
        raise InputError(f"{groups[''][0].label}: SeriesInstanceUID is missing: cut short?")
    if wanted is not None:
        words = [wanted] if _matches(wanted, groups) else wanted.split(",")
        uids = [_found(word.strip(), groups, where) for word in words]
        return [plane for uid in dict.fromkeys(uids) for plane in groups[uid]], ()
    if len(groups) == 1:
        return list(planes), ()
    if len(groups) == 2 and _are_two_parts(*groups.values()):
        names = " and ".join(
            f"{_number(group)} ({_kinds(group)})" for group in sorted(groups.values(), key=_place)
        )
        return list(planes), (f"Series {names} are taken as the parts of one complex signal.",)
    raise MismatchError(f"{where}: has {len(groups)} series, expected one", hint=_choice(groups))


def parts_of(planes: Sequence[Plane]) -> tuple[list[Part], FloatArray, tuple[str, ...]]:
    """Sorts the planes into the parts of the signal, each by slice and time; with their affine and
    notes.

    Real and imaginary are preferred to magnitude and phase, and these to magnitude alone.

    Raises InputError if parts are missing or do not match.
    """
    by_component, notes = _by_component(planes)
    pair = next((pair for pair in _PAIRS if all(name in by_component for name in pair)), None)
    if pair is None:
        have = " and ".join(by_component)
        raise InputError(
            f"{planes[0].label}: its series has {have} images alone, expected real and imaginary, "
            "magnitude and phase, or magnitude",
            hint="where the two parts are two series, choose both by NUMBER,NUMBER",
        )
    unused = [name for name in by_component if name not in pair]
    if unused:
        notes += (f"Of the series, {' and '.join(pair)} are used; {' and '.join(unused)} not.",)
    stacks = [stack_of(by_component[name]) for name in pair]
    parts, keys = [], []
    for name, stack in zip(pair, stacks, strict=True):
        slices, key, more = in_time_order(stack.slices)
        parts.append(Part(name, slices))
        keys.append(key)
        notes += tuple(note for note in (*stack.notes, *more) if note not in notes)
    _check_match(parts, [stack.affine for stack in stacks], keys)
    return parts, stacks[0].affine, notes


def _by_component(planes: Sequence[Plane]) -> tuple[dict[Component, list[Plane]], tuple[str, ...]]:
    groups: dict[Component | None, list[Plane]] = {}
    for plane in planes:
        groups.setdefault(plane.component, []).append(plane)
    silent = groups.pop(None, [])
    if silent and groups:
        said = " and ".join(str(name) for name in groups)
        raise InputError(
            f"{silent[0].name}: does not say which part of the signal it is, others of its series are {said}: "
            "expected all images to say"
        )
    notes: tuple[str, ...] = ()
    if silent:
        groups["magnitude"] = silent
        notes = ("No image says which part of the signal it is: taken as magnitude.",)
    return {name: group for name, group in groups.items() if name is not None}, notes


def _check_match(parts: list[Part], affines: Sequence[FloatArray], keys: list[str]) -> None:
    """Raises InputError unless the parts have the same voxels and the same times."""
    first = parts[0]
    for part, affine, key in zip(parts, affines, keys, strict=True):
        for what, mine, theirs in (
            ("slices", len(part.planes), len(first.planes)),
            ("time points", len(part.planes[0]), len(first.planes[0])),
            ("order in time by", key, keys[0]),
        ):
            if mine != theirs:
                names = (
                    f"{part.component} images: {what} {mine}; {first.component} images: {theirs}"
                )
                raise InputError(f"{part.planes[0][0].label}: {names}; expected the same")
        if not np.allclose(affine, affines[0], rtol=0, atol=0.05):
            raise InputError(
                f"{part.planes[0][0].label}: the {part.component} images lie elsewhere than the {first.component} ones"
            )


def _are_two_parts(first: list[Plane], second: list[Plane]) -> bool:
    kinds = [{plane.component for plane in group} for group in (first, second)]
    pairs = [{"real", "imaginary"}, {"magnitude", "phase"}]
    same_study = first[0].values.get("StudyInstanceUID") == second[0].values.get("StudyInstanceUID")
    return all(len(kind) == 1 for kind in kinds) and kinds[0] | kinds[1] in pairs and same_study


def _found(word: str, groups: Mapping[str, list[Plane]], where: str) -> str:
    matches = _matches(word, groups)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise MismatchError(
            f"{where}: {len(matches)} series are called {word!r}", hint=_choice(groups)
        )
    raise InputError(f"{where}: has no series {word!r}", hint=_choice(groups))


def _matches(word: str, groups: Mapping[str, list[Plane]]) -> list[str]:
    """The series that a UID, a number or a description means."""
    if word in groups:
        return [word]
    return [uid for uid, group in groups.items() if word in (_number(group), _description(group))]


def _number(group: list[Plane]) -> str:
    return str(group[0].values.get("SeriesNumber", "?"))


def _description(group: list[Plane]) -> str:
    return str(group[0].values.get("SeriesDescription", ""))


def _place(group: list[Plane]) -> tuple[int, str]:
    """To sort series by their numbers."""
    number = group[0].values.get("SeriesNumber")
    return (number if isinstance(number, int) else 0, group[0].series)


def _kinds(group: list[Plane]) -> str:
    """Which parts of a signal the images of a series are, as far as they say."""
    found = set()
    for plane in group:
        with contextlib.suppress(InputError):
            found.add(plane.component)
    return " and ".join(sorted(str(kind) for kind in found if kind))


def _choice(groups: Mapping[str, list[Plane]]) -> str:
    """The candidates, as a hint."""
    lines = [
        f"{_number(group)} {_description(group)!r}, {len(group)} {kinds}{' ' if kinds else ''}images, {group[0].series}"
        for group in sorted(groups.values(), key=_place)[:_LISTED]
        for kinds in (_kinds(group),)
    ]
    more = [f"and {len(groups) - _LISTED} more"] if len(groups) > _LISTED else []
    words = "choose a series by NUMBER, DESCRIPTION or UID, two with a comma for the two parts of a signal: "
    return words + "; ".join([*lines, *more])
