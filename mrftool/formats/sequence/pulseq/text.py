"""The text of a Pulseq file, checked before its parser sees it: sections, version, signature."""

import hashlib
from pathlib import Path

from mrftool.errors import InputError
from mrftool.formats.regular_file import read_regular

MAX_BYTES = 100_000_000
MAX_SAMPLES = 5_000_000  # in one shape; usual ones have some thousand
_SECTIONS = {"[VERSION]", "[BLOCKS]"}
_RASTERS = (
    "BlockDurationRaster",
    "GradientRasterTime",
    "RadiofrequencyRasterTime",
    "AdcRasterTime",
)


def check_and_tidy(path: Path) -> tuple[str, str, tuple[str, ...]]:
    """Text without comments and with one blank line between sections; version; notes.

    Raises
    ------
    InputError
        If the file cannot be Pulseq, is too large, or does not define its rasters.
    """
    text = read_regular(path, MAX_BYTES, "a Pulseq file").decode("utf-8", errors="replace")
    stripped = [line.strip() for line in text.splitlines()]
    lines = [line for line in stripped if line and not line.startswith("#")]
    if not _SECTIONS.issubset(lines) or not lines[0].startswith("["):
        raise InputError(f"{path}: is no Pulseq file, expected the sections [VERSION] and [BLOCKS]")
    version = _version(lines, path)
    _check_shapes(lines, path)
    notes = _raster_notes(lines, version, path)
    if _is_altered(text):
        notes.append("the file was altered after it was signed: its hash differs")
    return _with_blank_lines(lines), ".".join(map(str, version)), tuple(notes)


def _raster_notes(lines: list[str], version: tuple[int, int, int], path: Path) -> list[str]:
    """A note if rasters are assumed, as files of version 1.3 do not define them."""
    defined = {line.split()[0] for line in lines}
    missing = [key for key in _RASTERS if key not in defined]
    if not missing:
        return []
    if version >= (1, 4, 0):
        raise InputError(
            f"{path}: does not define {', '.join(missing)}, expected them in a file of version 1.4 "
            "or later"
        )
    return ["version 1.3 does not say its rasters: 1 us for RF and 10 us for gradients are assumed"]


def _version(lines: list[str], path: Path) -> tuple[int, int, int]:
    stated = {}
    for line in lines[lines.index("[VERSION]") + 1 :]:
        if line.startswith("["):
            break
        key, _, value = line.partition(" ")
        stated[key] = value.strip()
    try:
        version = (int(stated["major"]), int(stated["minor"]), int(stated["revision"][:1]))
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path}: its version is not readable, expected major, minor and revision"
        ) from error
    if not (1, 3, 0) <= version < (1, 6, 0):
        raise InputError(
            f"{path}: Pulseq version {'.'.join(map(str, version))}, expected 1.3 to 1.5"
        )
    return version


def _check_shapes(lines: list[str], path: Path) -> None:
    for line in lines:
        if line.startswith("num_samples"):
            count = line.split()[-1]
            if not count.isdecimal() or int(count) > MAX_SAMPLES:
                raise InputError(
                    f"{path}: a shape of {count[:20]} samples, expected at most {MAX_SAMPLES}"
                )


def _is_altered(text: str) -> bool:
    """Whether the file has an MD5 signature that is not that of the text before it."""
    body, found, signature = text.replace("\r\n", "\n").partition("\n[SIGNATURE]")
    words = signature.split()
    if not found or "md5" not in words or "Hash" not in words[:-1]:
        return False
    stated = words[words.index("Hash") + 1]
    return stated != hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def _with_blank_lines(lines: list[str]) -> str:
    """Sections separated by blank lines, without empty sections and the signature.

    pypulseq's parser does not end on some files that are written otherwise.
    """
    spaced: list[str] = []
    following = [*lines[1:], "["]
    for line, after in zip(lines, following, strict=True):
        if line == "[SIGNATURE]":
            break
        if line.startswith("[") and after.startswith("["):
            continue
        if line.startswith(("[", "extension", "shape_id")):
            spaced.append("")
        spaced.append(line)
    return "\n".join(spaced) + "\n\n\n"
