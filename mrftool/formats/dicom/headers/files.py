"""Which files a DICOM series lies in: a folder, a zip archive, one file, or a list."""

import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mrftool.environment.reporter import SilentReporter
from mrftool.errors import InputError
from mrftool.formats.dicom.headers.archive import is_archive, unpack
from mrftool.formats.dicom.headers.keywords import Values
from mrftool.formats.dicom.headers.signature import has_preamble, is_dicom, read_head
from mrftool.formats.scan_request import ShowProgress

Source = str | Path | Sequence[str | Path]
Look = Callable[[str], tuple[bytes, Values | None]]

_BATCH = 64  # files between two reports of progress
_NIFTI_NAMES = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz")


@dataclass(frozen=True)
class File:
    """path: to read. label: what messages call it. is_certain: it says by its preamble that it is
    DICOM. header: as `read_header` gives it, where it was read when the file was found.
    """

    path: str
    label: str
    is_certain: bool = True
    header: Values | None = None


@dataclass(eq=False)
class FileSet:
    """DICOM files, and how many others lay beside them. `close` removes what was unpacked from an
    archive.

    missing: links that lead nowhere.
    """

    files: list[File]
    others: int = 0
    unpacked: Path | None = None
    missing: tuple[str, ...] = ()
    close: weakref.finalize = field(init=False)  # type: ignore[type-arg]

    def __post_init__(self) -> None:
        self.close = weakref.finalize(self, _remove, self.unpacked)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth a note about the files."""
        if not self.missing:
            return ()
        count, first = len(self.missing), self.missing[0]
        return (f"{count} links lead to no file, {first} the first of them: not fetched?",)


def only_head(path: str) -> tuple[bytes, Values | None]:
    """The first bytes of a file, and no header."""
    return read_head(path), None


def find_files(source: Source, look: Look = only_head, show: ShowProgress | None = None) -> FileSet:
    """The DICOM files of a folder and all below it, of a zip archive, or of a list; in the order of
    their names.

    Files that are not DICOM, and links to files that are not there, are counted and left aside.
    Links to folders are followed. An archive is unpacked into a temporary folder.

    Parameters
    ----------
    source : path or list of paths
        A folder, a zip archive, a file or a list of files.
    look : callable
        Takes a path and gives the first bytes of the file, and its header if it is read at once.
    show : callable
        Shows how many files have been looked at, as `Reporter.progress` does.

    Raises
    ------
    InputError
        If there is no DICOM file, or if an archive is damaged, encrypted or made to do harm.
    """
    show = show or SilentReporter().progress
    if not isinstance(source, str | Path):
        return _dicom_among([str(path) for path in source], "the list", look, show)
    path = Path(source)
    if path.is_dir():
        return _dicom_among(list(_walk(path)), str(path), look, show)
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder, "
            "expected a folder, a zip archive or a file of DICOM images"
        )
    if is_archive(read_head(str(path))):
        return _from_archive(path, look)
    return _dicom_among([str(path)], str(path), look, show)


def holds_dicom(path: Path) -> bool:
    """True for what `find_files` is for: folders, archives, and files that begin as DICOM does. No
    pipe is opened.

    A file named like NIfTI is DICOM only if it says so by its preamble: the first bytes of an image
    may look like anything.
    """
    if path.is_dir():
        return True
    head = read_head(str(path))
    if has_preamble(head) or path.name.lower().endswith(_NIFTI_NAMES):
        return has_preamble(head)
    return is_archive(head) or is_dicom(head)


def _dicom_among(paths: Sequence[str], where: str, look: Look, show: ShowProgress) -> FileSet:
    files, missing = [], []
    with show("reading DICOM headers", len(paths)) as advance:
        for number, path in enumerate(paths, start=1):
            head, header = _look_unless_missing(path, look)
            if head is None:
                missing.append(path)
            elif is_dicom(head):
                files.append(File(path, path, has_preamble(head), header))
            if number % _BATCH == 0:
                advance(_BATCH)
        advance(len(paths) % _BATCH)
    others = len(paths) - len(files) - len(missing)
    found = FileSet(files, others, missing=tuple(missing))
    if not files:
        said = "; ".join((f"no DICOM file among {others} files", *found.notes))
        raise InputError(f"{where}: {said}, expected the images of a series")
    return found


def _look_unless_missing(path: str, look: Look) -> tuple[bytes | None, Values | None]:
    """What `look` gives; None for a link that leads nowhere, or back to itself."""
    try:
        return look(path)
    except (FileNotFoundError, InputError) as error:
        link = Path(path)
        if link.is_symlink() and not link.exists():
            return None, None
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read: No such file or directory") from error


def _walk(folder: Path) -> Iterator[str]:
    """Paths of all files in and below a folder; each folder once, however many links lead to it."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}")

    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        status = os.stat(place)  # noqa: PTH116
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders.sort()
        start = os.path.join(place, "")  # noqa: PTH118  (Path is slow for thousands of files)
        for name in sorted(names):
            yield start + name


def _from_archive(archive: Path, look: Look) -> FileSet:
    unpacked = unpack(archive)
    found = FileSet([], unpacked.others, unpacked.folder)
    for path, name in unpacked.files:
        _, header = look(str(path))
        found.files.append(File(str(path), f"{archive}/{name}", header=header))
    return found


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
