"""The numbers of a NIfTI file: read or mapped, never loaded whole, and turned from time-major to
voxel-major piece by piece.
"""

import contextlib
import math
import mmap
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np

from mrftool.arrays import Array, Float32Array
from mrftool.errors import InputError
from mrftool.formats.nifti.files import open_data
from mrftool.formats.nifti.header import NiftiHeader
from mrftool.formats.scan_request import ShowProgress
from mrftool.scan.compression import RowsOfFile, Sums, read_rows, sums_of
from mrftool.scan.compressor import CompressingReader, Compressor
from mrftool.scan.series import Signal, Voxels

Combine = Callable[..., Array]

TILE_TIMES, TILE_VOXELS = 32, 256  # 64 kB of complex64: stays in the cache of one core
_SAMPLE_FRAMES, _SAMPLE_VOXELS = 5, 1 << 20
_FRAMES = 64  # that are scaled at a time
_SPARSE = 4  # voxels of a span for one that is wanted, from which the others are left out
_LONG = 4096  # bytes of neighbours from which they are read
_READ_VOXELS = 4096  # that are read at a time
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


@dataclass(frozen=True, eq=False)
class Frames:
    """The images of a file, one row each.

    stored: `(frame, voxel)` as in the file (x fastest). Values are slope x stored + inter.
    offset: where the first image begins in the file [bytes].
    """

    stored: Array
    slope: float
    inter: float
    file: StoredFile = field(repr=False)
    offset: int = 0

    @property
    def are_values(self) -> bool:
        """Whether the stored numbers are the values, complex64."""
        return self.stored.dtype == np.complex64 and (self.slope, self.inter) == (1.0, 0.0)

    def values(self, frames: slice, voxels: slice | Voxels) -> Array:
        """A tile `(frame, voxel)`, float32 or complex64."""
        return scaled(self._tile(frames, voxels), self.slope, self.inter)

    def _tile(self, frames: slice, voxels: slice | Voxels) -> Array:
        """The stored numbers, read where they are many neighbours, else from the map."""
        chosen = range(*frames.indices(len(self.stored)))
        if isinstance(voxels, slice):
            first, stop, _ = voxels.indices(self.stored.shape[1])
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
        size = self.stored.itemsize
        stride = size * self.stored.shape[1]
        return RowsOfFile(self.file.descriptor, self.offset + first * size, stride)

    def part(self, frames: slice) -> "Frames":
        """Some of the frames."""
        first = frames.indices(len(self.stored))[0]
        offset = self.rows(0).after(first).offset
        return replace(self, stored=self.stored[frames], offset=offset)

    def sample(self) -> Array:
        """Some values from the middle of a few frames, flat: to see early what kind of numbers
        these are.
        """
        n_frames, n_voxels = self.stored.shape
        start = max(0, (n_voxels - _SAMPLE_VOXELS) // 2)
        chosen = np.unique(np.linspace(0, n_frames - 1, _SAMPLE_FRAMES).astype(int))
        middle = slice(start, start + _SAMPLE_VOXELS)
        return np.concatenate([self.values(slice(k, k + 1), middle).ravel() for k in chosen])


def map_frames(header: NiftiHeader, progress: ShowProgress | None = None) -> Frames:
    """The numbers of a file, mapped into memory; a compressed one is inflated once, to a temporary
    file.

    Raises InputError if the file holds less than its header claims, or is damaged.
    """
    shape = math.prod(header.dims[3:]), math.prod(header.shape)
    with contextlib.closing(open_data(header.data_path, header.n_bytes, progress)) as file:
        try:
            stored_file = StoredFile(header.data_path, file)
            stored: Array = np.ndarray(shape, header.dtype, stored_file.memory, header.offset)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{header.path}: cannot be mapped into memory: {error}") from error
    return Frames(stored, header.slope, header.inter, stored_file, header.offset)


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


@dataclass(frozen=True, eq=False)
class FramesReader(CompressingReader):
    """What reads a series that lies in files one frame after the other.

    Parameters
    ----------
    parts
        Images of equal shape.
    combine
        Makes a tile of the signal of one tile of each part; None of one part that is the signal.
    is_complex
        Whether the signal is complex.
    """

    parts: tuple[Frames, ...]
    combine: Combine | None
    is_complex: bool

    def __call__(self, positions: Voxels) -> Signal:
        """Signal `(voxel, time)` of voxels in ascending file order.

        Tile by tile, since a plain transposition of a whole block misses the cache at every number.
        """
        n_times = len(self.parts[0].stored)
        out = np.empty((len(positions), n_times), np.complex64 if self.is_complex else np.float32)
        for first in range(0, len(positions), _READ_VOXELS):
            voxels = positions[first : first + _READ_VOXELS]
            where = as_slice(voxels)
            for start in range(0, n_times, TILE_TIMES):
                times = slice(start, start + TILE_TIMES)
                tile = self._tile(times, where)
                for k in range(0, len(voxels), TILE_VOXELS):
                    few = tile[:, k : k + TILE_VOXELS].T
                    out[first + k : first + k + len(few), times] = few
        return out

    def compressed(
        self, positions: Voxels, compressor: Compressor
    ) -> tuple[Float32Array, Float32Array]:
        """See `CompressingReader`. Frames are compressed where they lie, not transposed."""
        first = int(positions[0])
        span = int(positions[-1]) + 1 - first
        if span > _SPARSE * len(positions):
            sums = sums_of(compressor, len(positions))
            self._add_tiles(sums, positions)
            return sums.columns()
        sums = sums_of(compressor, span)
        whole = self.parts[0]
        if self.combine is None and whole.are_values and whole.file.can_be_read:
            with whole.file.reading():
                sums.read(whole.rows(first))
        else:
            self._add_tiles(sums, slice(first, first + span))
        coefficients, energy = sums.columns()
        if span == len(positions):
            return coefficients, energy
        return coefficients[positions - first], energy[positions - first]

    def _add_tiles(self, sums: Sums, where: slice | Voxels) -> None:
        for start in range(0, len(self.parts[0].stored), _FRAMES):
            tile = self._tile(slice(start, start + _FRAMES), where)
            sums.add(np.ascontiguousarray(tile), start)

    def _tile(self, times: slice, where: slice | Voxels) -> Array:
        """The signal `(time, voxel)`."""
        tiles = [part.values(times, where) for part in self.parts]
        if self.combine is None:
            return tiles[0]
        return self.combine(*tiles)


def as_slice(positions: Voxels) -> slice | Voxels:
    """A run of neighbours as a slice, which numpy reads without a copy of the indices."""
    start, stop = int(positions[0]), int(positions[-1]) + 1
    return (
        slice(start, stop)
        if stop - start == len(positions) and (np.diff(positions) == 1).all()
        else positions
    )
