"""Which files a DICOM series lies in: a folder, a zip archive (hostile ones are refused), one file,
or a list.
"""

import os
import shutil
import stat
import struct
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from mrftool.errors import InputError

Source = str | Path | Sequence[str | Path]

HEAD = 132  # the preamble and the letters DICM
_RAW_ELEMENTS = {0x0000, 0x0001, 0x0002, 0x0005, 0x0008, 0x0010, 0x0012, 0x0016}
_MAX_ENTRIES = 500_000
_MAX_RATIO = 200  # deflate reaches 1032; images of a phantom stay below 50
_RATIO_COUNTS_FROM = 256 << 20
_MAX_TOTAL = 64 << 30


@dataclass(frozen=True)
class File:
    """path: to read. label: what messages call it."""

    path: str
    label: str


@dataclass(eq=False)
class FileSet:
    """DICOM files, and how many others lay beside them. `close` removes what was unpacked from an
    archive.
    """

    files: list[File]
    others: int = 0
    unpacked: Path | None = None
    close: weakref.finalize = field(init=False)  # type: ignore[type-arg]

    def __post_init__(self) -> None:
        self.close = weakref.finalize(self, _remove, self.unpacked)


def find_files(source: Source) -> FileSet:
    """The DICOM files of a folder and all below it, of a zip archive, or of a list; in the order of
    their names.

    Files that are no DICOM are counted and left aside. An archive is unpacked into a temporary
    folder, under names of our own, after it has been judged as a whole.

    Raises InputError if there is no DICOM file, or if an archive is damaged, encrypted or made to
    do harm.
    """
    if not isinstance(source, str | Path):
        return _sorted_out([File(str(path), str(path)) for path in source], "the list")
    path = Path(source)
    if path.is_dir():
        return _sorted_out(_walk(path), str(path))
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder, expected a folder, a zip archive or a file of DICOM images"
        )
    if is_archive(path):
        return _unpack(path)
    return _sorted_out([File(str(path), str(path))], str(path))


def holds_dicom(path: Path) -> bool:
    """True for what `find_files` is for: folders, archives, and files that begin as DICOM does. No
    pipe is opened.
    """
    return path.is_dir() or is_archive(path) or is_dicom(_head(str(path)))


def is_archive(path: Path) -> bool:
    """True for a zip archive, also for one that was cut short, which has lost its directory."""
    head = _head(str(path))
    return not is_dicom(head) and (
        head.startswith(b"PK\3\4") or (path.is_file() and zipfile.is_zipfile(path))
    )


def is_dicom(head: bytes) -> bool:
    """True for the first bytes of a DICOM file: with the preamble, or (old files) a data set from
    its first tag.
    """
    if head[128:HEAD] == b"DICM":
        return True
    if len(head) < 8:
        return False
    group, element = struct.unpack("<HH", head[:4])
    return group in (0x0002, 0x0008) and element in _RAW_ELEMENTS


def _sorted_out(candidates: Iterable[File], where: str) -> FileSet:
    files, others = [], 0
    for file in candidates:
        if is_dicom(_head(file.path)):
            files.append(file)
        else:
            others += 1
    if not files:
        raise InputError(
            f"{where}: no DICOM file among {others} files, expected the images of a series"
        )
    return FileSet(files, others)


def _walk(folder: Path) -> Iterator[File]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)  # noqa: PTH118  (Path is slow for thousands of files)
            yield File(path, path)


def _head(path: str) -> bytes:
    """The first bytes of a regular file; none of a pipe or device, which could block."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            return b""
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return file.read(HEAD)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _unpack(archive: Path) -> FileSet:
    folder = Path(tempfile.mkdtemp(prefix="mrftool-dicom-"))
    try:
        with closing(zipfile.ZipFile(archive)) as opened:
            entries = _safe_entries(opened, archive, shutil.disk_usage(folder).free)
            files = [
                file
                for number, entry in enumerate(entries)
                for file in _copy(opened, entry, folder, number)
            ]
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        ValueError,
    ) as error:
        _remove(folder)
        raise InputError(
            f"{archive}: damaged or unreadable archive ({error}), expected a zip of DICOM files"
        ) from error
    except BaseException:
        _remove(folder)
        raise
    if not files:
        _remove(folder)
        raise InputError(
            f"{archive}: no DICOM file among {len(entries)} entries, expected the images of a series"
        )
    named = [File(file.path, f"{archive}/{file.label}") for file in files]
    return FileSet(named, len(entries) - len(files), folder)


def _safe_entries(opened: zipfile.ZipFile, archive: Path, free: int) -> list[zipfile.ZipInfo]:
    """The entries to unpack, by name.

    Raises InputError for names that lead out of the archive, links, encryption, or more than a disk
    should hold.
    """
    entries = sorted(
        (entry for entry in opened.infolist() if not entry.is_dir()),
        key=lambda entry: entry.filename,
    )
    for entry in entries:
        fault = _entry_fault(entry)
        if fault:
            raise InputError(f"{archive}: entry {entry.filename!r} {fault}; nothing was unpacked")
    total = sum(entry.file_size for entry in entries)
    if len(entries) > _MAX_ENTRIES:
        raise InputError(
            f"{archive}: {len(entries)} entries, expected at most {_MAX_ENTRIES}; nothing was unpacked"
        )
    if total > _RATIO_COUNTS_FROM and total > _MAX_RATIO * archive.stat().st_size:
        raise InputError(
            f"{archive}: would grow more than {_MAX_RATIO}-fold to {total} bytes; nothing was unpacked"
        )
    if total > min(_MAX_TOTAL, free):
        room = min(_MAX_TOTAL, free)
        raise InputError(
            f"{archive}: would grow to {total} bytes, expected at most {room}; nothing was unpacked"
        )
    return entries


def _entry_fault(entry: zipfile.ZipInfo) -> str | None:
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if name.is_absolute() or ":" in name.parts[0] or ".." in name.parts:
        return "leads out of the archive"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a symbolic link"
    if entry.flag_bits & 1:
        return "is encrypted"
    return None


def _copy(
    opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, number: int
) -> Iterator[File]:
    """Unpacks one entry if it is DICOM, to a name that says nothing but its number."""
    with opened.open(entry) as source:
        head = source.read(HEAD)
        if not is_dicom(head):
            return
        target = folder / f"{number:06d}.dcm"
        with target.open("xb") as out:
            out.write(head)
            _pour(source, out)
    yield File(str(target), entry.filename)


def _pour(source: IO[bytes], out: IO[bytes]) -> None:
    shutil.copyfileobj(source, out, 1 << 20)


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
