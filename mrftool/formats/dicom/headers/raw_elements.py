"""The header of an ordinary DICOM file at speed: its elements as raw bytes, without building a data
set.

A fingerprint series has ten thousand files and more, and nearly all their headers are plain: little
endian, with a preamble, and nothing of interest inside sequences. Those are walked here by tag, VR
and length (DICOM PS3.5 7.1 and 7.5). Whatever is out of the ordinary is left to pydicom, which
reads everything; tests hold the two together.
"""

import struct
from collections.abc import Collection
from dataclasses import dataclass

Elements = dict[int, tuple[bytes, bytes]]

_TAG_AND_LENGTH = struct.Struct("<HHI").unpack_from
_LENGTH = struct.Struct("<I").unpack_from
_LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_SHORT_VRS = frozenset(
    vr.encode() for vr in ("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT")
)
_SHORT_VRS |= {b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
SYNTAX = 0x00020010
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_META_GROUP = b"\2\0"  # of the file meta information
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH = 16
_IMPLICIT, _EXPLICIT, _CODECS = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5"),
)


class OutOfOrdinaryError(Exception):
    """The file is for pydicom to read."""


@dataclass(frozen=True)
class Scanned:
    """Elements of a header, and where they lie in it.

    values: where the wanted values lie, by tag. fixed: pieces of the header that decide where they
    lie: tags, VRs and lengths of all elements, sequences without a length, the transfer syntax.
    place: of the pixel element; the end of the data if there is none. explicit: whether VRs are
    stated; if not, those of the data set are empty.
    """

    values: dict[int, tuple[bytes, slice]]
    fixed: list[slice]
    place: int
    explicit: bool

    def elements(self, data: bytes) -> Elements:
        """VR and raw value of the wanted elements, by tag."""
        return {tag: (vr, data[where]) for tag, (vr, where) in self.values.items()}


def scan(data: bytes, wanted: Collection[int]) -> Scanned:
    """The wanted elements of the file that begins with `data`; none inside of sequences.

    Raises OutOfOrdinaryError, or struct.error where the data end within an element.
    """
    if data[128:132] != b"DICM":
        raise OutOfOrdinaryError
    fixed = [slice(128, 132)]
    meta, place = _walk(data, 132, (SYNTAX, 0x00020002), fixed, explicit=True, meta=True)
    if SYNTAX not in meta:
        raise OutOfOrdinaryError
    fixed.append(meta[SYNTAX][1])
    syntax = data[fixed[-1]].rstrip(b"\0 ").decode("latin-1")
    explicit = syntax == _EXPLICIT or syntax.startswith(_CODECS)
    if not explicit and syntax != _IMPLICIT:
        raise OutOfOrdinaryError
    values, place = _walk(data, place, wanted, fixed, explicit=explicit)
    return Scanned(meta | values, fixed, place, explicit)


def _walk(
    data: bytes,
    place: int,
    wanted: Collection[int],
    fixed: list[slice],
    *,
    explicit: bool,
    meta: bool = False,
) -> tuple[dict[int, tuple[bytes, slice]], int]:
    """Elements from `place` to the pixels, or to the end of the file meta information."""
    found: dict[int, tuple[bytes, slice]] = {}
    end = len(data)
    while place < end and not (meta and data[place : place + 2] != _META_GROUP):
        tag, start, length = _element(data, place, explicit)
        if tag in _PIXELS:
            break
        first, place = place, _after(data, start, length, explicit, 0)
        if length == _UNDEFINED:
            fixed.append(slice(first, place))
        else:
            fixed.append(slice(first, start))
        if tag in wanted:
            found[tag] = _vr(data, first, explicit), slice(start, place)
    if place > end:
        raise OutOfOrdinaryError
    return found, place


def _vr(data: bytes, place: int, explicit: bool) -> bytes:
    """The VR of the element at `place`; empty where VRs are not stated."""
    if explicit:
        return data[place + 4 : place + 6]
    return b""


def _element(data: bytes, place: int, explicit: bool) -> tuple[int, int, int]:
    """Tag, place of the value, and its length."""
    group, element, length = _TAG_AND_LENGTH(data, place)
    if not explicit:
        return group << 16 | element, place + 8, length
    vr = data[place + 4 : place + 6]
    if vr in _SHORT_VRS:
        return group << 16 | element, place + 8, length >> 16
    if vr not in _LONG_VRS:
        raise OutOfOrdinaryError
    (length,) = _LENGTH(data, place + 8)
    if length == _UNDEFINED and vr != b"SQ" and (group, element) != (0x7FE0, 0x0010):
        raise OutOfOrdinaryError
    return group << 16 | element, place + 12, length


def _after(data: bytes, start: int, length: int, explicit: bool, depth: int) -> int:
    """Where the value ends; the items of a sequence without a length are stepped over."""
    if length != _UNDEFINED:
        return start + length
    if depth > _MAX_DEPTH:
        raise OutOfOrdinaryError
    place = start
    while True:
        group, element, length = _TAG_AND_LENGTH(data, place)
        place += 8
        if group << 16 | element == _SEQUENCE_END:
            return place
        if group << 16 | element != _ITEM:
            raise OutOfOrdinaryError
        if length == _UNDEFINED:
            place = _after_item(data, place, explicit, depth)
        else:
            place += length


def _after_item(data: bytes, place: int, explicit: bool, depth: int) -> int:
    while True:
        group, element, _ = _TAG_AND_LENGTH(data, place)
        if group << 16 | element == _ITEM_END:
            return place + 8
        _, start, length = _element(data, place, explicit)
        place = _after(data, start, length, explicit, depth + 1)
