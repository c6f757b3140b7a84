"""One image plane of a DICOM series, checked: its pixels, and which part of a complex signal they
are.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mrftool.errors import InputError

Component = Literal["magnitude", "phase", "real", "imaginary"]
Vector = tuple[float, ...]

_MAX_SIDE = 4096
_GE_KINDS: dict[int, Component] = {0: "magnitude", 1: "phase", 2: "real", 3: "imaginary"}
_WORDS: dict[str, Component] = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}
_LONG_WORDS: dict[str, Component] = {
    "MAGNITUDE": "magnitude",
    "PHASE": "phase",
    "PHASE MAP": "phase",
    "REAL": "real",
    "IMAGINARY": "imaginary",
}


@dataclass(frozen=True)
class Plane:
    """values: what the header says. label: how messages call the file. index: of the frame in the
    file, from 0.

    full, corner: if the plane is a tile of a larger stored image, rows and columns of that and
    where the tile begins.
    """

    path: str
    label: str
    index: int
    values: Mapping[str, Any]
    pixels: Mapping[str, Any]
    full: tuple[int, int] | None = None
    corner: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        """The file, and the frame where it has several."""
        if self.n_frames > 1:
            return f"{self.label} frame {self.index + 1}"
        return self.label

    @property
    def n_frames(self) -> int:
        """Frames in the file; a classic image has one."""
        value = self.values.get("NumberOfFrames", 1)
        if isinstance(value, int):
            return value
        return 1

    @property
    def series(self) -> str:
        """Its SeriesInstanceUID."""
        return str(self.values.get("SeriesInstanceUID", ""))

    def number(self, key: str, low: int, high: int) -> int:
        """An integer attribute. Raises InputError if it is missing or outside low to high."""
        value = self.values.get(key)
        if not isinstance(value, int) or not low <= value <= high:
            raise InputError(
                f"{self.name}: {key} is {shown(value)}, expected a number from {low} to {high}"
            )
        return value

    def vector(self, key: str, length: int) -> Vector:
        """A list of finite numbers. Raises InputError if it is missing or has another length."""
        value = self.values.get(key)
        if isinstance(value, list) and len(value) == length:
            try:
                numbers = tuple(map(float, value))
            except (TypeError, ValueError, OverflowError):
                numbers = (math.nan,)
            if all(map(math.isfinite, numbers)):
                return numbers
        raise InputError(f"{self.name}: {key} is {shown(value)}, expected {length} numbers")

    @property
    def component(self) -> Component | None:
        r"""Which part of the complex signal it is: the standard attribute first, then GE's, then
        the image type.

        ComplexImageComponent: PS3.3 C.8.13.3.1.2. GE: (0043,102F). The words of Siemens and
        Philips: their conformance statements (`ORIGINAL\PRIMARY\P\ND`,
        `ORIGINAL\PRIMARY\R_FFE\R\FFE`).

        Raises InputError if the words of the image type contradict each other.
        """
        said = _LONG_WORDS.get(str(self.values.get("ComplexImageComponent", "")).strip().upper())
        if said:
            return said
        if "GeImageKind" in self.values:
            return _GE_KINDS.get(self.values["GeImageKind"])
        words = _as_list(self.values.get("FrameType")) or _as_list(self.values.get("ImageType"))
        found = {part for word in words if (part := _component_of(str(word).strip().upper()))}
        if len(found) > 1:
            raise InputError(
                f"{self.name}: ImageType says {' and '.join(sorted(found))}, expected one of them"
            )
        if not found:
            return None
        return found.pop()


@dataclass(frozen=True)
class Layout:
    """How the pixels of a plane are stored. Equal layouts are read alike."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    syntax: str
    full: tuple[int, int]

    @property
    def kind(self) -> str:
        """Of the stored integers, in NumPy's letters: i with a sign, u without."""
        if self.signed:
            return "i"
        return "u"

    @property
    def row_bytes(self) -> int:
        """Of one row of the stored image, if it is not compressed."""
        return self.full[1] * self.bits_allocated // 8


def layout_of(plane: Plane) -> Layout:
    """Raises InputError if the plane is no greyscale image of a size that MR images have."""
    rows, columns = plane.number("Rows", 1, _MAX_SIDE), plane.number("Columns", 1, _MAX_SIDE)
    photometric = str(plane.values.get("PhotometricInterpretation", "MONOCHROME2"))
    if plane.values.get("SamplesPerPixel", 1) != 1 or not photometric.startswith("MONOCHROME"):
        raise InputError(
            f"{plane.name}: is a colour image ({photometric}), expected one grey value per pixel"
        )
    allocated = plane.number("BitsAllocated", 8, 32)
    if allocated not in (8, 16, 32):
        raise InputError(f"{plane.name}: BitsAllocated is {allocated}, expected 8, 16 or 32")
    stored = allocated
    if "BitsStored" in plane.values:
        stored = plane.number("BitsStored", 1, allocated)
    high = stored - 1
    if "HighBit" in plane.values:
        high = plane.number("HighBit", stored - 1, allocated - 1)
    signed = bool(plane.values.get("PixelRepresentation", 0))
    syntax = str(plane.pixels.get("syntax", ""))
    full = plane.full or (rows, columns)
    return Layout(rows, columns, allocated, stored, high, signed, photometric, syntax, full)


def check_pixels(plane: Plane, layout: Layout, compressed: bool) -> None:
    """Raises InputError if the file does not hold as many pixels as its header claims."""
    if "element" not in plane.pixels:
        raise InputError(f"{plane.label}: ends before its pixel data: cut short?")
    if plane.pixels["element"] != 0x10:
        raise InputError(
            f"{plane.label}: holds floating-point pixels, expected the integers of an MR image"
        )
    if compressed:
        return
    length, available = plane.pixels["length"], plane.pixels["available"]
    expected = layout.row_bytes * layout.full[0] * plane.n_frames
    if length not in (expected, expected + expected % 2):
        raise InputError(
            f"{plane.label}: pixel data of {length} bytes, expected {expected} for "
            f"{plane.n_frames} x {layout.full[0]} x {layout.full[1]} pixels of "
            f"{layout.bits_allocated} bits"
        )
    if available < length:
        raise InputError(
            f"{plane.label}: ends after {available} of {length} bytes of pixels: cut short?"
        )


def _component_of(word: str) -> Component | None:
    """`M`, `PHASE`, `R_FFE`: the part of the signal that a word of the image type names."""
    if re.fullmatch(r"[MPRI]_[A-Z0-9]+", word):
        return _WORDS[word[0]]
    return _WORDS.get(word) or _LONG_WORDS.get(word)


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value[2:]
    return []


def shown(value: Any) -> str:
    """A value as a message quotes it."""
    if value is None:
        return "missing"
    return repr(value)[:80]
