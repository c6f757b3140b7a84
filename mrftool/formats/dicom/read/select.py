"""Which images of a study belong to the fingerprint: one series, or the series that make it up."""

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence

from mrftool.errors import InputError, MismatchError
from mrftool.formats.dicom.read.plane import Plane

_LISTED = 12
_SAME_SCAN = (
    "StudyInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "FrameOfReferenceUID",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
)
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")
Groups = dict[str, list[Plane]]  # planes by SeriesInstanceUID


def chosen_planes(
    planes: Sequence[Plane], wanted: str | None, where: str
) -> tuple[list[Plane], tuple[str, ...]]:
    """The planes of the wanted series, and what was taken for granted.

    wanted: a SeriesInstanceUID, SeriesNumber, range of numbers (`7001-7020`) or SeriesDescription,
    or several of them with commas between; None if there is one series, or if the series make up
    one signal: its two parts, its volumes, or its slices.

    Raises InputError if there is no such series, MismatchError with the candidates if the choice is
    not clear.
    """
    groups = _by_uid(planes)
    if wanted is not None:
        return _wanted_planes(wanted, groups, where)
    foreign, notes = _without_own_maps(groups)
    found, more = _assembled(foreign)
    notes += more
    if len(found) == 1:
        return _planes_of(found.values()), notes
    if _are_two_parts(list(found.values())):
        return _planes_of(found.values()), (*notes, _said_of_parts(found))
    raise MismatchError(f"{where}: has {len(found)} series, expected one", hint=_choice(found))


def _by_uid(planes: Sequence[Plane]) -> Groups:
    groups: Groups = {}
    for plane in planes:
        groups.setdefault(plane.series, []).append(plane)
    if "" in groups and len(groups) > 1:
        raise InputError(f"{groups[''][0].label}: SeriesInstanceUID is missing: cut short?")
    return groups


def _planes_of(groups: Iterable[list[Plane]]) -> list[Plane]:
    return [plane for group in groups for plane in group]


def _without_own_maps(groups: Groups) -> tuple[Groups, tuple[str, ...]]:
    """The series without the maps that mrftool made of them, which may lie beside them."""
    foreign = {
        uid: group
        for uid, group in groups.items()
        if group[0].values.get("Manufacturer") != "mrftool"
    }
    count = len(groups) - len(foreign)
    if not count or not foreign:
        return groups, ()
    return foreign, (f"{count} series of maps that mrftool made were left aside.",)


def _assembled(groups: Groups) -> tuple[Groups, tuple[str, ...]]:
    """The series, those that are pieces of one scan put together; and what that took for
    granted.
    """
    scans: dict[tuple[object, ...], Groups] = {}
    for uid, group in groups.items():
        scans.setdefault(_scan_of(group[0]), {})[uid] = group
    found: Groups = {}
    notes: tuple[str, ...] = ()
    for pieces in scans.values():
        if _are_pieces(list(pieces.values())):
            found[next(iter(pieces))] = _planes_of(pieces.values())
            notes += (_said_of_pieces(pieces),)
        else:
            found |= pieces
    return found, notes


def _wanted_planes(wanted: str, groups: Groups, where: str) -> tuple[list[Plane], tuple[str, ...]]:
    words = [wanted]
    if not _matches(wanted, groups):
        words = [word.strip() for word in wanted.split(",")]
    uids = [uid for word in words for uid in _found(word, groups, where)]
    chosen = {uid: groups[uid] for uid in uids}
    return _planes_of(chosen.values()), ()


def _found(word: str, groups: Groups, where: str) -> list[str]:
    """The series that a word means: one, those of a range of numbers, or the pieces of one."""
    matches = _matches(word, groups)
    if len(matches) > 1 and not _are_pieces([groups[uid] for uid in matches]):
        raise MismatchError(
            f"{where}: {len(matches)} series are called {word!r}", hint=_choice(groups)
        )
    if not matches:
        matches = _in_range(word, groups)
    if not matches:
        raise InputError(f"{where}: has no series {word!r}", hint=_choice(groups))
    return matches


def _matches(word: str, groups: Groups) -> list[str]:
    """The series that a UID, a number or a description means."""
    if word in groups:
        return [word]
    return [uid for uid, group in groups.items() if word in (_number(group), _description(group))]


def _in_range(word: str, groups: Groups) -> list[str]:
    """The series whose numbers lie in a range such as `7001-7020`."""
    ends = _RANGE.fullmatch(word)
    if ends is None:
        return []
    first, last = int(ends[1]), int(ends[2])
    numbers = {uid: group[0].values.get("SeriesNumber") for uid, group in groups.items()}
    return [uid for uid, n in numbers.items() if isinstance(n, int) and first <= n <= last]


def _are_pieces(groups: Sequence[list[Plane]]) -> bool:
    """True if series of one number are the volumes or the slices of one scan.

    Some scanners give each volume (Siemens XA, classic export) or each slice (Canon) a
    SeriesInstanceUID of its own. Two scans that share a number are not taken as one.
    """
    if len(groups) < 2:
        return False
    scans = {_scan_of(plane) for group in groups for plane in group}
    if len(scans) != 1 or None in next(iter(scans))[:2]:
        return False
    return all(_is_one_volume(group) for group in groups) or _are_slices(groups)


def _are_slices(groups: Sequence[list[Plane]]) -> bool:
    """True if each series has one position of its own."""
    positions = [_positions(group) for group in groups]
    return all(len(one) == 1 for one in positions) and len(set(positions)) == len(groups)


def _scan_of(plane: Plane) -> tuple[object, ...]:
    values = [plane.values.get(key) for key in _SAME_SCAN]
    return tuple(_rounded(value) for value in values)


def _rounded(value: object) -> object:
    if isinstance(value, list):
        return tuple(round(n, 3) for n in value if isinstance(n, int | float))
    return value


def _positions(group: Sequence[Plane]) -> frozenset[object]:
    return frozenset(_rounded(plane.values.get("ImagePositionPatient")) for plane in group)


def _is_one_volume(group: Sequence[Plane]) -> bool:
    """True if no place is there twice in one component of the signal."""
    places = [
        (_rounded(plane.values.get("ImagePositionPatient")), _component(plane)) for plane in group
    ]
    return len(set(places)) == len(places)


def _are_two_parts(groups: Sequence[list[Plane]]) -> bool:
    if len(groups) != 2:
        return False
    kinds = [{_component(plane) for plane in group} for group in groups]
    studies = {group[0].values.get("StudyInstanceUID") for group in groups}
    pairs = ({"real", "imaginary"}, {"magnitude", "phase"})
    return (
        all(len(kind) == 1 for kind in kinds) and kinds[0] | kinds[1] in pairs and len(studies) == 1
    )


def _component(plane: Plane) -> str:
    """Which part of the signal it is, or nothing if it does not say, or contradicts itself."""
    with contextlib.suppress(InputError):
        return plane.component or ""
    return ""


def _said_of_pieces(groups: Groups) -> str:
    group = next(iter(groups.values()))
    return (
        f"{len(groups)} series with the number {_number(group)} are taken as one: "
        "they have one study, description and place."
    )


def _said_of_parts(groups: Groups) -> str:
    ordered = sorted(groups.values(), key=_place)
    names = " and ".join(f"{_number(group)} ({_kinds(group)})" for group in ordered)
    return f"Series {names} are taken as the parts of one complex signal."


def _number(group: list[Plane]) -> str:
    return str(group[0].values.get("SeriesNumber", "?"))


def _description(group: list[Plane]) -> str:
    return str(group[0].values.get("SeriesDescription", ""))


def _place(group: list[Plane]) -> tuple[int, str]:
    """To sort series by their numbers."""
    number = group[0].values.get("SeriesNumber")
    if not isinstance(number, int):
        number = 0
    return number, group[0].series


def _kinds(group: list[Plane]) -> str:
    """Which parts of a signal the images of a series are, as far as they say."""
    kinds = {_component(plane) for plane in group}
    return " and ".join(sorted(kind for kind in kinds if kind))


def _choice(groups: Mapping[str, list[Plane]]) -> str:
    """The candidates, as a hint."""
    ordered = sorted(groups.values(), key=_place)
    lines = [_candidate(group) for group in ordered[:_LISTED]]
    if len(ordered) > _LISTED:
        lines.append(f"and {len(ordered) - _LISTED} more")
    words = "choose a series by NUMBER, DESCRIPTION or UID, "
    return (
        f"{words}two with a comma for the two parts of a signal, many by 7001-7020: "
        + "; ".join(lines)
    )


def _candidate(group: list[Plane]) -> str:
    kinds = " ".join(word for word in (_kinds(group), "images") if word)
    return f"{_number(group)} {_description(group)!r}, {len(group)} {kinds}, {group[0].series}"
