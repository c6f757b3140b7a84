"""Arrays in a zip file (.npz), read without trust: no pickle, no array larger than its file can
hold.

The format is NumPy's: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.regular_file import ALWAYS_EXPANDED, MOST_EXPANDED, require_regular

_DEFLATE_RATIO = 1040  # the most that deflate can shrink
_PIECE = 16 << 20  # [bytes]
_FAULTS = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    struct.error,
)


@contextmanager
def reading_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open the file. Whatever is wrong with it while the block reads becomes an InputError."""
    require_regular(path, "a readable .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _FAULTS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{path}: {reason}, expected a readable .npz file") from error


def require_schema(archive: zipfile.ZipFile, key: str, known: int) -> None:
    """Raise ValueError if the file states another schema than `known`, in the array `key`.

    Files without that array are as old as schema 1.
    """
    found = 1
    if key in member_names(archive):
        number = read_member(archive, key)
        if number.size != 1 or number.dtype.kind not in "iu":
            raise ValueError(f"array {key!r} is no schema number")
        found = int(number.reshape(-1)[0])
    if found != known:
        raise ValueError(f"has schema {found}, and this version reads schema {known}")


def member_names(archive: zipfile.ZipFile) -> set[str]:
    """Names of the arrays."""
    return {name.removesuffix(".npy") for name in archive.namelist()}


def array_shape(archive: zipfile.ZipFile, key: str) -> tuple[int, ...]:
    """The shape of the array `key`, without reading it."""
    info = _checked(archive, key)
    with archive.open(info) as stream:
        return _header(stream, info, key)[0]


def read_member(archive: zipfile.ZipFile, key: str) -> Array:
    """The array `key`, of numbers or text. Raises what `reading_npz` turns into an InputError."""
    info = _checked(archive, key)
    with archive.open(info) as stream:
        shape, is_fortran, dtype = _header(stream, info, key)
        data = bytearray(math.prod(shape) * dtype.itemsize)
        _fill(stream, memoryview(data), key)
    return np.frombuffer(data, dtype).reshape(shape, order=_order(is_fortran))


def map_member(archive: zipfile.ZipFile, key: str) -> Array:
    """The array `key` as a read-only view of the file; a compressed one is read into memory."""
    info = _checked(archive, key)
    if info.compress_type != zipfile.ZIP_STORED:
        return read_member(archive, key)
    with archive.open(info) as stream:
        shape, is_fortran, dtype = _header(stream, info, key)
        within = stream.tell()
    with Path(str(archive.filename)).open("rb") as raw:
        raw.seek(info.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", raw.read(4))
    start = info.header_offset + 30 + name_length + extra_length + within
    flat = np.memmap(str(archive.filename), dtype, "r", start, (math.prod(shape),))
    return flat.reshape(shape, order=_order(is_fortran))


def write_member(archive: zipfile.ZipFile, key: str, values: Array) -> None:
    """Append an array."""
    with archive.open(f"{key}.npy", "w", force_zip64=True) as stream:
        npy.write_array(stream, np.asanyarray(values), allow_pickle=False)


@contextmanager
def streaming_member(
    archive: zipfile.ZipFile, key: str, shape: tuple[int, int], dtype: type
) -> Iterator[IO[bytes]]:
    """Append an array of `shape` of which the block writes the bytes, in C order."""
    header = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with archive.open(f"{key}.npy", "w", force_zip64=True) as stream:
        npy.write_array_header_2_0(stream, header)
        yield stream


def _checked(archive: zipfile.ZipFile, key: str) -> zipfile.ZipInfo:
    """The entry of `key`, if its sizes are possible: before memory is taken for it."""
    try:
        info = archive.getinfo(f"{key}.npy")
    except KeyError:
        raise ValueError(f"has no array {key!r}") from None
    packed, size = info.compress_size, info.file_size
    if packed > Path(str(archive.filename)).stat().st_size:
        raise ValueError(f"array {key!r} is longer than the file")
    largest = packed
    if info.compress_type != zipfile.ZIP_STORED:
        largest = min(_DEFLATE_RATIO * packed, max(ALWAYS_EXPANDED, MOST_EXPANDED * packed))
    if size > largest:
        raise ValueError(
            f"array {key!r} claims {size} bytes, expected at most {largest} in its {packed}"
        )
    return info


def _header(
    stream: IO[bytes], info: zipfile.ZipInfo, key: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array {key!r} has the npy version {version}, which is not known")
    read = npy.read_array_header_2_0
    if version == (1, 0):
        read = npy.read_array_header_1_0
    try:
        shape, is_fortran, dtype = read(stream)
    except Exception as error:  # a damaged header makes NumPy's parser raise all kinds
        raise ValueError(f"array {key!r} has a damaged header") from error
    if dtype.kind not in "biufcU":
        raise ValueError(f"array {key!r} has the type {dtype}, which is no number or text")
    size = math.prod(shape) * dtype.itemsize
    if size != info.file_size - stream.tell():
        raise ValueError(
            f"array {key!r} has {info.file_size - stream.tell()} bytes of data, not {size}"
        )
    return shape, is_fortran, dtype


def _order(is_fortran: bool) -> Literal["F", "C"]:
    if is_fortran:
        return "F"
    return "C"


def _fill(stream: IO[bytes], target: memoryview, key: str) -> None:
    """Read to the end, so that the checksum of the member is checked."""
    done = 0
    while piece := stream.read(_PIECE):
        if done + len(piece) > len(target):
            raise ValueError(f"array {key!r} is longer than it claims")
        target[done : done + len(piece)] = piece
        done += len(piece)
    if done < len(target):
        raise EOFError(f"array {key!r} ends after {done} of {len(target)} bytes")
