"""Zip archives of DICOM files, unpacked under names of our own; hostile ones are refused."""

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mrftool.errors import InputError
from mrftool.formats.dicom.headers.signature import HEAD, is_dicom

_MARKS = (b"PK\3\4", b"PK\5\6")  # of the first entry; of an archive without entries
_MAX_ENTRIES = 500_000
_MAX_RATIO = 200  # deflate reaches 1032; images of a phantom stay below 50
_RATIO_COUNTS_FROM = 256 << 20  # bytes
_MAX_TOTAL = 64 << 30  # bytes
_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class Unpacked:
    """DICOM files of an archive: where they lie now, and what they are called in it.

    others: how many of its entries are not DICOM.
    """

    folder: Path
    files: list[tuple[Path, str]]
    others: int


def is_archive(head: bytes) -> bool:
    """True for the first bytes of a zip archive, also for one that was cut short."""
    return head.startswith(_MARKS)


def unpack(archive: Path) -> Unpacked:
    """Unpack the DICOM files into a temporary folder, once the archive is found safe as a whole.

    Raises InputError if it holds no DICOM, is damaged or encrypted, or could do harm.
    """
    folder = Path(tempfile.mkdtemp(prefix="mrftool-dicom-"))
    with ExitStack() as if_it_fails:
        if_it_fails.callback(shutil.rmtree, folder, ignore_errors=True)
        entries, files = _unpack_into(folder, archive)
        if not files:
            raise InputError(
                f"{archive}: no DICOM file among {len(entries)} entries, "
                "expected the images of a series"
            )
        if_it_fails.pop_all()
    return Unpacked(folder, files, len(entries) - len(files))


def _unpack_into(
    folder: Path, archive: Path
) -> tuple[list[zipfile.ZipInfo], list[tuple[Path, str]]]:
    try:
        with closing(zipfile.ZipFile(archive)) as opened:
            entries = _safe_entries(opened, archive, shutil.disk_usage(folder).free)
            files = []
            for number, entry in enumerate(entries):
                target = folder / f"{number:06d}.dcm"
                if _copy(opened, entry, target):
                    files.append((target, entry.filename))
            return entries, files
    except InputError:
        raise
    except Exception as error:  # zipfile and its decompressors raise whatever they like
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(
            f"{archive}: damaged or unreadable archive ({said}), expected a zip of DICOM files"
        ) from error


def _copy(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> bool:
    """Unpack one entry if it is DICOM; whether it is."""
    with opened.open(entry) as source:
        head = source.read(HEAD)
        if not is_dicom(head):
            return False
        with target.open("xb") as out:
            out.write(head)
            shutil.copyfileobj(source, out, _COPY_BYTES)
    return True


def _safe_entries(opened: zipfile.ZipFile, archive: Path, free: int) -> list[zipfile.ZipInfo]:
    """The entries to unpack, by name.

    Raises InputError for names that lead out of the archive, links, encryption, or more than a disk
    should hold.
    """
    files = (entry for entry in opened.infolist() if not entry.is_dir())
    entries = sorted(files, key=lambda entry: entry.filename)
    for fault in _faults(entries, archive.stat().st_size, free):
        raise InputError(f"{archive}: {fault}; nothing was unpacked")
    return entries


def _faults(entries: list[zipfile.ZipInfo], size: int, free: int) -> Iterator[str]:
    for entry in entries:
        fault = _entry_fault(entry)
        if fault:
            yield f"entry {entry.filename!r} {fault}"
    total = sum(entry.file_size for entry in entries)
    room = min(_MAX_TOTAL, free)
    if len(entries) > _MAX_ENTRIES:
        yield f"{len(entries)} entries, expected at most {_MAX_ENTRIES}"
    if total > _RATIO_COUNTS_FROM and total > _MAX_RATIO * size:
        yield f"would grow more than {_MAX_RATIO}-fold to {total} bytes"
    if total > room:
        yield f"would grow to {total} bytes, expected at most {room}"


def _entry_fault(entry: zipfile.ZipInfo) -> str | None:
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if not name.parts:
        return "has no name"
    if name.is_absolute() or ":" in name.parts[0] or ".." in name.parts:
        return "leads out of the archive"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a symbolic link"
    if entry.flag_bits & 1:
        return "is encrypted"
    return None
