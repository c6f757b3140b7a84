"""The values of an ordinary classic header, from its raw elements: the same as pydicom gives, many
times faster.
"""

import struct
from itertools import compress, count
from operator import ne
from typing import Any, BinaryIO

from pydicom.datadict import dictionary_VR, tag_for_keyword

from mrftool.formats.dicom.headers.keywords import (
    BLOCKS,
    EITHER_SIGN,
    KEYWORDS,
    LISTS,
    PRIVATE,
    SEQUENCES,
    Values,
    is_block_of,
)
from mrftool.formats.dicom.headers.layouts import KnownLayout, KnownLayouts
from mrftool.formats.dicom.headers.raw_elements import SYNTAX, Elements, OutOfOrdinaryError

_MOST_VALUES = 200_000
_NAMES = {int(tag_for_keyword(name) or 0): (name, dictionary_VR(name)) for name in KEYWORDS}
_INSIDE = frozenset(int(tag_for_keyword(name) or 0) for name in SEQUENCES)
_CREATORS = frozenset(
    group << 16 | block for group, _, _, _ in PRIVATE.values() for block in BLOCKS
)
_PRIVATE = {  # tag: our name, and the tag of the creator of its block
    group << 16 | block << 8 | low: (name, group << 16 | block)
    for name, (group, low, _, _) in PRIVATE.items()
    for block in BLOCKS
}
_FREE = frozenset(  # elements on which the meaning of no other depends
    tag for tag, (name, _) in _NAMES.items() if name not in ("SOPClassUID", "ImageType")
)
_WANTED = frozenset((*_NAMES, *_INSIDE, *_CREATORS, *_PRIVATE))
_TYPES: dict[str, type] = {"IS": int, "DS": float}  # of VRs that are written as text
_PRIVATE_VR = {"<h": b"SS", "<H": b"US", "<f": b"FL"}


class Known(KnownLayouts):
    """What earlier headers taught: layouts of headers, and values of raw bytes, most of which the
    files of a series share.
    """

    def __init__(self) -> None:
        super().__init__(_WANTED)
        self._values: dict[tuple[int, bytes, bytes], Any] = {}

    def value(self, tag: int, vr: bytes, raw: bytes) -> Any:
        """The value of an element that is not private."""
        key = tag, vr, raw
        if key not in self._values:
            if len(self._values) > _MOST_VALUES:
                self._values.clear()
            self._values[key] = _value(tag, vr, raw)
        return self._values[key]


def quick_header(file: BinaryIO, size: int, known: Known | None = None) -> Values:
    """As `read_header` gives it.

    Parameters
    ----------
    file : binary file
        Open at its start.
    size : int
        Its size [bytes].
    known : Known, optional
        What the headers read before have taught.

    Raises
    ------
    OutOfOrdinaryError, struct.error, ValueError
        If pydicom must read the file.
    """
    known = known or Known()
    layout, data = known.layout_of(file, size)
    raw = layout.raw_values(data)
    header = _as_the_last(layout, raw, known) or _header(layout, data, size, known)
    layout.last = raw, header
    return header


def _as_the_last(layout: KnownLayout, raw: list[bytes], known: Known) -> Values | None:
    """The last header of this layout with the values that differ; None where more than values may
    differ.
    """
    if layout.last is None:
        return None
    raw_before, header = layout.last
    values = header["file"].copy()
    for number in compress(count(), map(ne, raw, raw_before)):
        tag = layout.tags[number]
        if tag not in _FREE:
            return None
        value = known.value(tag, layout.vrs[number], raw[number])
        if value is None:
            return None
        values[_NAMES[tag][0]] = value
    return {**header, "file": values}


def _header(layout: KnownLayout, data: bytes, size: int, known: Known) -> Values:
    place, explicit = layout.scanned.place, layout.scanned.explicit
    elements = layout.scanned.elements(data)
    is_cut = place == len(data) and len(data) < size
    if is_cut or _INSIDE & elements.keys():
        raise OutOfOrdinaryError
    values = _values(elements, known)
    if not values.get("SOPClassUID") or _is_mosaic(values):
        raise OutOfOrdinaryError
    return {
        "file": values,
        "frames": [],
        "pixels": _pixels(data, place, explicit, size) | {"syntax": _text(elements[SYNTAX][1])},
    }


def _values(elements: Elements, known: Known) -> Values:
    """The values of the elements by name, without those that are empty."""
    values = {
        _NAMES[tag][0]: known.value(tag, *elements[tag]) for tag in elements.keys() & _NAMES.keys()
    }
    values |= _private(elements)
    values.setdefault("SOPClassUID", _text(elements.get(0x00020002, (b"", b""))[1]))
    return {name: value for name, value in values.items() if value is not None}


def _is_mosaic(values: Values) -> bool:
    """True for images whose tiles only Siemens' own header describes."""
    return values.get("MosaicTiles", 0) > 1 or "MOSAIC" in (values.get("ImageType") or ())


def _value(tag: int, vr: bytes, raw: bytes) -> Any:
    name, expected = _NAMES[tag]
    if name in EITHER_SIGN:
        return struct.unpack("<H", raw)[0]
    if vr and vr.decode("latin-1") != expected:
        raise OutOfOrdinaryError
    if not raw:
        return None
    if expected == "US":
        return struct.unpack("<H", raw)[0]
    return _from_text(_text(raw), _TYPES.get(expected, str), is_list=name in LISTS)


def _from_text(text: str, kind: type, *, is_list: bool) -> Any:
    """A value or a list of values; None if the text is empty or a list where none may be."""
    if not text:
        return None
    if "\\" not in text:
        return kind(text)
    if is_list:
        return [kind(one) for one in text.split("\\")]
    return None


def _text(raw: bytes) -> str:
    """Raises UnicodeDecodeError, which is a ValueError, where letters need a character set."""
    text = raw.decode("ascii").rstrip("\0 ")
    if not text.isprintable() or text.startswith(" "):
        raise OutOfOrdinaryError
    return text


def _private(elements: Elements) -> Values:
    values: Values = {}
    for tag in elements.keys() & _PRIVATE.keys():
        name, block = _PRIVATE[tag]
        group, _, creator, form = PRIVATE[name]
        vr, raw = elements[tag]
        found = _text(elements.get(block, (b"", b""))[1]).strip()
        if not is_block_of(creator, found, group, block & 0xFF):
            continue
        if vr not in (b"", b"UN", _PRIVATE_VR[form]):
            raise OutOfOrdinaryError
        values[name] = struct.unpack(form, raw)[0]
    return values


def _pixels(data: bytes, place: int, explicit: bool, size: int) -> Values:
    if place == len(data):
        return {}
    start = place + 8
    _, element, length = struct.unpack_from("<HHI", data, place)
    if explicit:
        start = place + 12
        (length,) = struct.unpack_from("<I", data, place + 8)
    return {"element": element, "offset": start, "length": length, "available": size - start}
