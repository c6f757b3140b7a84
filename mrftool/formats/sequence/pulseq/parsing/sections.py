"""The text of a Pulseq file in its sections, with version, definitions and signature.

Format: K. J. Layton et al., Magn Reson Med 77:1544 (2017), doi 10.1002/mrm.26235, and its
specification up to 1.5.1, https://pulseq.github.io/specification.pdf.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from mrftool.errors import InputError
from mrftool.formats.regular_file import read_regular

MAX_BYTES = 100_000_000
LARGEST_NUMBER = 1e15
LARGEST_WHOLE = 2**31 - 1
OLDEST, NEWEST = (1, 2, 0), (1, 6, 0)  # the oldest version that is read, and the first that is not
_REQUIRED = {"[VERSION]", "[BLOCKS]"}
_RASTERS = {
    "BlockDurationRaster": 1e-5,
    "GradientRasterTime": 1e-5,
    "RadiofrequencyRasterTime": 1e-6,
    "AdcRasterTime": 1e-7,
}  # [s], where files before version 1.4 do not define them

T = TypeVar("T")


class Line(NamedTuple):
    """A line of the file, split into words."""

    number: int
    words: list[str]


def number(word: str) -> float:
    """A finite number. Raises ValueError if it is none."""
    value = float(word)
    if not abs(value) <= LARGEST_NUMBER:
        raise ValueError("not finite")
    return value


def whole(word: str) -> int:
    """A whole number of usual size. Raises ValueError if it is none."""
    value = int(word[:20])
    if abs(value) > LARGEST_WHOLE:
        raise ValueError("too large")
    return value


@dataclass(frozen=True, eq=False)
class Sections:
    """A Pulseq file in its sections.

    Attributes
    ----------
    path : Path
    version : tuple of int
    definitions : dict
        Words of each definition.
    lines : dict
        Lines of each section by its title, such as "[RF]" or "extension LABELSET 1".
    rasters : dict
        Rasters by the name of their definition [s].
    notes : tuple of str
    """

    path: Path
    version: tuple[int, int, int]
    definitions: dict[str, list[str]]
    lines: dict[str, list[Line]]
    rasters: dict[str, float]
    notes: tuple[str, ...]

    def rows(self, title: str, parse: Callable[[list[str]], T]) -> dict[int, T]:
        """Events of a section by their number, the first word of each line."""
        events: dict[int, T] = {}
        for line in self.lines.get(title, ()):
            try:
                events[whole(line.words[0])] = parse(line.words[1:])
            except (ValueError, IndexError, OverflowError) as error:
                raise self.damaged(line, f"is no event of {title} in finite numbers") from error
        return events

    def damaged(self, line: Line, what: str) -> InputError:
        """The error for a line that does not fit its section."""
        shown = " ".join(line.words)[:40]
        return InputError(
            f"{self.path}: line {line.number}: {shown!r} {what}, expected a complete Pulseq file"
        )


def read_sections(path: Path) -> Sections:
    """Read the sections of a Pulseq file.

    Raises
    ------
    InputError
        If the file cannot be Pulseq, is too large, or does not define its rasters.
    """
    content = read_regular(path, MAX_BYTES, "a Pulseq file")
    text = content.decode("utf-8-sig", errors="replace")
    lines = _split(text)
    if not _REQUIRED.issubset(lines):
        raise InputError(f"{path}: is no Pulseq file, expected the sections [VERSION] and [BLOCKS]")
    version = _version(lines["[VERSION]"], path)
    definitions = {line.words[0]: line.words[1:] for line in lines.get("[DEFINITIONS]", ())}
    rasters, notes = _rasters(definitions, version, path)
    if _is_altered(text):
        notes.append("the file was altered after it was signed: its hash differs")
    return Sections(path, version, definitions, lines, rasters, tuple(notes))


def _split(text: str) -> dict[str, list[Line]]:
    """Lines without comments, by the title of their section."""
    sections: dict[str, list[Line]] = {}
    current: list[Line] = []  # what stands before the first title belongs to none
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped == "[SIGNATURE]":
            break
        if stripped.startswith(("[", "extension ")):
            current = sections.setdefault(" ".join(stripped.split()), [])
        elif stripped and not stripped.startswith("#"):
            current.append(Line(number, stripped.split()))
    return sections


def _version(lines: list[Line], path: Path) -> tuple[int, int, int]:
    stated = {line.words[0]: line.words[-1] for line in lines}
    try:
        version = (int(stated["major"]), int(stated["minor"]), int(stated["revision"][:1]))
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path}: its version is not readable, expected major, minor and revision"
        ) from error
    if not OLDEST <= version < NEWEST:
        shown = ".".join(map(str, version))
        raise InputError(f"{path}: Pulseq version {shown}, expected 1.2 to 1.5")
    return version


def _rasters(
    definitions: dict[str, list[str]], version: tuple[int, int, int], path: Path
) -> tuple[dict[str, float], list[str]]:
    """All rasters [s], and a note if they are assumed."""
    missing = [key for key in _RASTERS if key not in definitions]
    if missing and version >= (1, 4, 0):
        raise InputError(
            f"{path}: does not define {', '.join(missing)}, expected them in a file of version 1.4 "
            "or later"
        )
    rasters = dict(_RASTERS)
    for key in _RASTERS.keys() & definitions.keys():
        rasters[key] = _raster(key, definitions[key], path)
    if not missing:
        return rasters, []
    shown = ".".join(map(str, version[:2]))
    note = f"version {shown} does not say its rasters: 1 us for RF and 10 us for gradients"
    return rasters, [f"{note} are assumed"]


def _raster(key: str, words: list[str], path: Path) -> float:
    try:
        raster = float(words[0])
    except (ValueError, IndexError):
        raster = 0.0
    if not 1e-9 <= raster <= 1:
        shown = " ".join(words)[:40]
        raise InputError(f"{path}: {key} {shown!r}, expected a time from 1 ns to 1 s")
    return raster


def _is_altered(text: str) -> bool:
    """Whether the file has an MD5 signature that is not that of the text before it."""
    body, found, signature = text.replace("\r\n", "\n").partition("\n[SIGNATURE]")
    words = signature.split()
    if not found or "md5" not in words or "Hash" not in words[:-1]:
        return False
    stated = words[words.index("Hash") + 1]
    return stated != hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
