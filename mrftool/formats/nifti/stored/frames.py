"""The images of a NIfTI file, one row each: read, mapped into memory, or not inflated yet."""

import contextlib
import math
import mmap
import os
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.nifti.files import is_gzip, open_data, require_inflatable
from mrftool.formats.nifti.header import NiftiHeader
from mrftool.formats.scan_request import ShowProgress
from mrftool.scan.compression import RowsOfFile, read_rows
from mrftool.scan.series import Voxels

_SAMPLE_FRAMES, _SAMPLE_VOXELS = 5, 1 << 20
_LONG = 4096  # bytes of neighbours from which they are read
_RESIDENT = 128 << 20  # bytes of mapped pages that are used before they are given back
_AROUND = 64 << 10  # bytes that Linux maps around one that is used


class StoredFile:
    """A file with a memory map. Pages of the map count as memory of the process once they are used;
    so neighbours are read instead, and pages are given back now and then.

    Parameters
    ----------
    path
        For messages.
    file
        The open file; it may be closed.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.descriptor)
        self.can_be_read = hasattr(os, "pread")
        self._used = 0

    def used(self, n_bytes: int) -> None:
        """Say that so many bytes of the map have been used, at most."""
        self._used += n_bytes
        if self._used > _RESIDENT and hasattr(mmap, "MADV_DONTNEED"):
            self._used = 0
            self.memory.madvise(mmap.MADV_DONTNEED)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Raises InputError where the file is cut short or fails."""
        try:
            yield
        except (EOFError, OSError) as error:
            raise InputError(
                f"{self.path}: became shorter while it was in use, or cannot be read, expected a "
                "file that stays as it is"
            ) from error


class Numbers:
    """The numbers of a file `(frame, voxel)`, to be mapped into memory. A compressed file is
    inflated for that, once, to a temporary file.

    Parameters
    ----------
    header
        What the file says of them.
    progress
        Shows how far a compressed file has been inflated.

    Raises
    ------
    InputError
        If the file holds less than its header claims.
    """

    def __init__(self, header: NiftiHeader, progress: ShowProgress | None = None) -> None:
        self.header = header
        self.shape = math.prod(header.dims[3:]), math.prod(header.shape)
        self._progress = progress
        self._lock = threading.Lock()
        self._mapped: tuple[Array, StoredFile] | None = None
        if is_gzip(header.data_path):
            require_inflatable(header.data_path, header.n_bytes)
        else:
            self.mapped()

    @property
    def is_packed(self) -> bool:
        """Whether the numbers are compressed, and no inflated copy of them is at hand."""
        return self._mapped is None

    def mapped(self) -> tuple[Array, StoredFile]:
        """The numbers, and the file that holds them.

        Raises InputError if the file is damaged or cannot be mapped, or there is no space for the
        inflated one.
        """
        with self._lock:
            if self._mapped is None:
                self._mapped = self._map()
            return self._mapped

    def _map(self) -> tuple[Array, StoredFile]:
        header = self.header
        data = open_data(header.data_path, header.n_bytes, self._progress)
        with contextlib.closing(data) as file:
            try:
                stored_file = StoredFile(header.data_path, file)
                memory = stored_file.memory
                return np.ndarray(self.shape, header.dtype, memory, header.offset), stored_file
            except (OSError, ValueError, TypeError) as error:
                raise InputError(f"{header.path}: cannot be mapped into memory: {error}") from error


@dataclass(frozen=True, eq=False)
class Frames:
    """Some images of a file, one row each. Values are slope x stored + inter of the header.

    numbers: of all images. first, count: which of them these are.
    """

    numbers: Numbers = field(repr=False)
    first: int
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def header(self) -> NiftiHeader:
        """Of the file."""
        return self.numbers.header

    @property
    def n_voxels(self) -> int:
        """Of an image."""
        return self.numbers.shape[1]

    @cached_property
    def stored(self) -> Array:
        """`(frame, voxel)` as in the file (x fastest)."""
        return self.numbers.mapped()[0][self.first : self.first + self.count]

    @property
    def file(self) -> StoredFile:
        """That holds the numbers."""
        return self.numbers.mapped()[1]

    @property
    def is_packed(self) -> bool:
        """Whether these are all images of a compressed file without an inflated copy."""
        return self.numbers.is_packed and self.count == self.numbers.shape[0]

    @property
    def are_values(self) -> bool:
        """Whether the stored numbers are the values, complex64."""
        header = self.header
        return header.dtype == np.complex64 and (header.slope, header.inter) == (1.0, 0.0)

    def values(self, frames: slice, voxels: slice | Voxels) -> Array:
        """A tile `(frame, voxel)`, float32 or complex64."""
        return self.scaled(self._tile(frames, voxels))

    def scaled(self, stored: Array) -> Array:
        """Values of stored numbers."""
        return scaled(stored, self.header.slope, self.header.inter)

    def _tile(self, frames: slice, voxels: slice | Voxels) -> Array:
        """The stored numbers, read where they are many neighbours, else from the map."""
        chosen = range(*frames.indices(self.count))
        if isinstance(voxels, slice):
            first, stop, _ = voxels.indices(self.n_voxels)
            n_bytes = (stop - first) * self.stored.itemsize
            if n_bytes > _LONG and self.file.can_be_read:
                with self.file.reading():
                    read = read_rows(self.rows(first).after(chosen.start), len(chosen), n_bytes)
                return read.view(self.stored.dtype)
            self.file.used(len(chosen) * (n_bytes + _AROUND))
        else:
            self.file.used(len(chosen) * len(voxels) * _AROUND)
        return self.stored[frames, voxels]

    def rows(self, first: int) -> RowsOfFile:
        """The frames from voxel `first` on."""
        size = self.header.dtype.itemsize
        whole = RowsOfFile(
            self.file.descriptor, self.header.offset + first * size, size * self.n_voxels
        )
        return whole.after(self.first)

    def part(self, frames: slice) -> "Frames":
        """Some of the frames."""
        chosen = range(*frames.indices(self.count))
        return replace(self, first=self.first + chosen.start, count=len(chosen))

    def sample(self) -> Array:
        """Some values from the middle of a few frames, flat: to see early what kind of numbers
        these are.
        """
        start = max(0, (self.n_voxels - _SAMPLE_VOXELS) // 2)
        chosen = np.unique(np.linspace(0, self.count - 1, _SAMPLE_FRAMES).astype(int))
        middle = slice(start, start + _SAMPLE_VOXELS)
        return np.concatenate([self.values(slice(k, k + 1), middle).ravel() for k in chosen])


def map_frames(header: NiftiHeader, progress: ShowProgress | None = None) -> Frames:
    """All images of a file.

    Raises InputError if the file holds less than its header claims.
    """
    numbers = Numbers(header, progress)
    return Frames(numbers, 0, numbers.shape[0])


def scaled(stored: Array, slope: float, inter: float) -> Array:
    """Values of stored numbers, slope x stored + inter, rounded once; of complex numbers in both
    parts (nifti1.h).
    """
    is_complex = stored.dtype.kind == "c"
    with np.errstate(over="ignore", invalid="ignore"):
        if (slope, inter) == (1.0, 0.0):
            return stored.astype(np.complex64 if is_complex else np.float32, copy=False)
        if is_complex:
            return (stored.astype(np.complex128) * slope + inter * (1 + 1j)).astype(np.complex64)
        return (stored.astype(np.float64) * slope + inter).astype(np.float32)
