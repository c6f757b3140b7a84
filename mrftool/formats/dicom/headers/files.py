"""Which files a DICOM series lies in: a folder, a zip archive, one file, or a list."""

import os
import shutil
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mrftool.errors import InputError
from mrftool.formats.dicom.headers.archive import is_archive, unpack
from mrftool.formats.dicom.headers.signature import has_preamble, is_dicom, read_head

Source = str | Path | Sequence[str | Path]

_NIFTI_NAMES = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz")


@dataclass(frozen=True)
class File:
    """path: to read. label: what messages call it. is_certain: it says by its preamble that it is
    DICOM.
    """

    path: str
    label: str
    is_certain: bool = True


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


def find_files(source: Source) -> FileSet:
    """The DICOM files of a folder and all below it, of a zip archive, or of a list; in the order of
    their names.

    Files that are not DICOM, and links to files that are not there, are counted and left aside.
    Links to folders are followed. An archive is unpacked into a temporary folder.

    Raises InputError if there is no DICOM file, or if an archive is damaged, encrypted or made to
    do harm.
    """
    if not isinstance(source, str | Path):
        return _dicom_among([str(path) for path in source], "the list")
    path = Path(source)
    if path.is_dir():
        return _dicom_among(_walk(path), str(path))
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder, "
            "expected a folder, a zip archive or a file of DICOM images"
        )
    if is_archive(read_head(str(path))):
        return _from_archive(path)
    return _dicom_among([str(path)], str(path))


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


def _dicom_among(paths: Iterable[str], where: str) -> FileSet:
    files, missing, others = [], [], 0
    for path in paths:
        try:
            head = read_head(path)
        except FileNotFoundError as error:
            if not os.path.islink(path):  # noqa: PTH114
                raise InputError(f"{path}: cannot be read: No such file or directory") from error
            missing.append(path)
            continue
        if is_dicom(head):
            files.append(File(path, path, has_preamble(head)))
        else:
            others += 1
    found = FileSet(files, others, missing=tuple(missing))
    if not files:
        said = "; ".join((f"no DICOM file among {others} files", *found.notes))
        raise InputError(f"{where}: {said}, expected the images of a series")
    return found


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
        for name in sorted(names):
            yield os.path.join(place, name)  # noqa: PTH118  (Path is slow for thousands of files)


def _from_archive(archive: Path) -> FileSet:
    unpacked = unpack(archive)
    files = [File(str(path), f"{archive}/{name}") for path, name in unpacked.files]
    return FileSet(files, unpacked.others, unpacked.folder)


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
