"""The files that make up a NIfTI image: their names, and their bytes, compressed or not."""

import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from isal import igzip, isal_zlib

from mrftool.arrays import Progress
from mrftool.environment.reporter import SilentReporter
from mrftool.errors import InputError
from mrftool.formats.scan_request import ShowProgress

_DAMAGED: tuple[Any, ...] = (gzip.BadGzipFile, zlib.error, isal_zlib.error)
_CHUNK = 4 << 20
_SLACK = 1 << 20  # bytes that may follow the numbers
_MOST_DEFLATED = 1032  # deflate cannot shrink by more: https://zlib.net/zlib_tech.html
_ALWAYS_INFLATED = 4 << 30  # a larger series shrinks by less, even without noise [bytes]
_MOST_INFLATED = 200  # times the compressed size
_NAMES = ".nii, .nii.gz, .hdr or .img"


def is_gzip(path: Path) -> bool:
    """Whether the name says that the file is compressed."""
    return path.name.lower().endswith(".gz")


def stem(path: Path) -> str:
    """The file name without its NIfTI ending."""
    name = path.name[:-3] if is_gzip(path) else path.name
    return name[:-4] if name.lower().endswith((".nii", ".hdr", ".img")) else name


def find_files(path: Path) -> tuple[Path, Path]:
    """The files of the header and of the numbers: the same one for `.nii`, two for a pair.

    Raises InputError if one is missing, no regular file, or not named like NIfTI.
    """
    _require_file(path)
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return path, path
    for mine, other in ((".hdr", ".img"), (".img", ".hdr")):
        if name.endswith((mine, f"{mine}.gz")):
            partner = _partner(path, other)
            return (path, partner) if mine == ".hdr" else (partner, path)
    raise InputError(f"{path}: is not named like a NIfTI file, expected {_NAMES}")


def _partner(path: Path, ending: str) -> Path:
    """The other half of a pair, compressed or not, preferably like this one."""
    compressed = [".gz", ""] if is_gzip(path) else ["", ".gz"]
    places = [
        path.with_name(stem(path) + half + gz)
        for gz in compressed
        for half in (ending, ending.upper())
    ]
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"{path}: its other half is missing, expected {places[0].name} beside it")


def _require_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, expected a file named {_NAMES}")
        if not path.exists():
            raise InputError(f"{path}: no such file, expected one named {_NAMES}")
        if not path.is_file():
            raise InputError(f"{path}: is no regular file, expected {_NAMES}")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


@contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of `path`, decompressed. Raises InputError for whatever goes wrong while they are
    read.
    """
    try:
        with path.open("rb") as file:
            if not is_gzip(path):
                yield file
            elif file.read(2) != b"\x1f\x8b":
                raise InputError(f"{path}: is not gzip-compressed, as its name says")
            else:
                file.seek(0)
                open_gzip: Any = igzip.IGzipFile
                with open_gzip(fileobj=file) as stream:
                    yield stream
    except EOFError as error:
        raise InputError(f"{path}: is cut short, expected more compressed data") from error
    except _DAMAGED as error:
        raise InputError(f"{path}: its compressed data is damaged ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


@contextmanager
def deflating(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, compressed with little effort; the same content gives the same bytes."""
    open_gzip: Any = igzip.IGzipFile
    with path.open("wb") as file, open_gzip("", "wb", 1, file, 0) as stream:
        yield stream


def read_start(path: Path, n_bytes: int) -> bytes:
    """The first bytes of `path`, decompressed, as many of `n_bytes` as there are."""
    with reading(path) as stream:
        return stream.read(n_bytes)


def open_data(path: Path, n_bytes: int, progress: ShowProgress | None = None) -> IO[bytes]:
    """An uncompressed file with the content of `path`, of which a header claims `n_bytes`.

    A compressed file is inflated once, to a temporary file without a name: nothing of it is left,
    however we end. It lies in $TMPDIR, or in /var/tmp, which is a disk where /tmp may be memory. No
    more is inflated than claimed.

    Raises InputError if the file holds less than claimed, or is damaged, or there is no space for
    it.
    """
    if not is_gzip(path):
        with reading(path) as file:
            require_size(path, os.fstat(file.fileno()).st_size, n_bytes)
            return os.fdopen(os.dup(file.fileno()), "rb")
    require_inflatable(path, n_bytes)
    file = temporary(n_bytes, f"to decompress {path}")
    try:
        with (progress or SilentReporter().progress)(
            f"decompressing {path.name}", n_bytes
        ) as advance:
            _inflate(path, file, n_bytes, advance)
    except BaseException:
        file.close()
        raise
    return file


def require_inflatable(path: Path, n_bytes: int) -> None:
    """Raises InputError where a compressed file cannot hold `n_bytes`, or would be a bomb."""
    packed = path.stat().st_size
    require_size(path, packed * _MOST_DEFLATED + _SLACK, n_bytes)
    if n_bytes > max(_ALWAYS_INFLATED, packed * _MOST_INFLATED):
        raise InputError(f"{path}: would grow more than {_MOST_INFLATED}-fold to {n_bytes} bytes")


def temporary(n_bytes: int, purpose: str, folder: Path | None = None) -> IO[bytes]:
    """A temporary file without a name, for `n_bytes`. Raises InputError if there is no space for
    it.
    """
    place = folder or Path(os.environ.get("TMPDIR") or _large_temporary_folder())
    require_space(place, n_bytes, purpose)
    try:
        return tempfile.TemporaryFile(dir=place)
    except OSError as error:
        raise InputError(
            f"{place}: cannot be written {purpose}: {error.strerror or error}"
        ) from error


def require_space(folder: Path, n_bytes: int, purpose: str) -> None:
    """Raises InputError if the disk of `folder` has less than `n_bytes` free."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written {purpose}: {error.strerror or error}"
        ) from error
    if n_bytes > free:
        raise InputError(
            f"{folder}: has {free / 1e9:.3g} GB free, expected {n_bytes / 1e9:.3g} GB {purpose}",
            hint="free some space, or set TMPDIR to a folder with more, for temporary files",
        )


def _large_temporary_folder() -> str:
    return next(place for place in ("/var/tmp", tempfile.gettempdir()) if os.access(place, os.W_OK))  # noqa: S108


def _inflate(path: Path, target: IO[bytes], n_bytes: int, advance: Progress) -> None:
    done, buffer = 0, memoryview(bytearray(_CHUNK))
    with reading(path) as stream:
        while count := stream.readinto(buffer):  # type: ignore[attr-defined]
            _store(target, buffer[:count], path)
            done += count
            require_no_more(path, done, n_bytes)
            advance(count)
    require_size(path, done, n_bytes)


def _store(target: IO[bytes], data: memoryview, path: Path) -> None:
    try:
        target.write(data)
        target.flush()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be decompressed to a temporary file: {error.strerror or error}"
        ) from error


def require_no_more(path: Path, available: int, claimed: int) -> None:
    """Raises InputError if there are more bytes than claimed, and some that may follow."""
    if available > claimed + _SLACK:
        raise InputError(f"{path}: holds more than the {claimed} bytes that its header claims")


def require_size(path: Path, available: int, claimed: int) -> None:
    """Raises InputError if there are fewer bytes than claimed."""
    if available < claimed:
        raise InputError(
            f"{path}: is cut short, its header claims {claimed} bytes and it holds {available} "
            f"at most"
        )
