"""The numbers of a NIfTI file: mapped, never loaded, and turned from time-major to voxel-major
piece by piece.
"""

import contextlib
import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from mrftool.arrays import Array, Float32Array
from mrftool.errors import InputError
from mrftool.formats.nifti.files import open_data
from mrftool.formats.nifti.header import NiftiHeader
from mrftool.formats.scan_request import ShowProgress
from mrftool.scan.compression import sums_of
from mrftool.scan.compressor import CompressingReader, Compressor
from mrftool.scan.series import Signal, Voxels

Combine = Callable[..., Array]

TILE_TIMES, TILE_VOXELS = 32, 256  # 64 kB of complex64: stays in the cache of one core
_SAMPLE_FRAMES, _SAMPLE_VOXELS = 5, 1 << 20
_FRAMES = 64  # that are scaled at a time
_SPARSE = 4  # voxels of a span for one that is wanted, from which the others are left out
_RESIDENT = 128 << 20  # bytes of mapped pages that are used before they are given back
_AROUND = 64 << 10  # bytes that Linux maps around one that is used


class MappedPages:
    """The memory map of a file. Pages of it count as memory of the process once they are used; they
    are given back now and then, and stay in the cache of the system.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._used = 0

    def used(self, n_bytes: int) -> None:
        """Say that so many bytes have been used, at most."""
        self._used += n_bytes
        if self._used > _RESIDENT and hasattr(mmap, "MADV_DONTNEED"):
            self._used = 0
            self._memory.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, eq=False)
class Frames:
    """The images of a file, one row each.

    stored: `(frame, voxel)` as in the file (x fastest). Values are slope x stored + inter.
    """

    stored: Array
    slope: float
    inter: float
    pages: MappedPages = field(repr=False)

    @property
    def are_values(self) -> bool:
        """Whether the stored numbers are the values, in single precision."""
        native = self.stored.dtype in (np.dtype(np.complex64), np.dtype(np.float32))
        return native and (self.slope, self.inter) == (1.0, 0.0)

    def values(self, frames: slice, voxels: slice | Voxels) -> Array:
        """A tile `(frame, voxel)`, float32 or complex64."""
        return scaled(self.stored[frames, voxels], self.slope, self.inter)

    def used(self, frames: slice, voxels: slice | Voxels) -> None:
        """Say that a tile is being used, so that its pages are given back some time."""
        n_frames = len(range(*frames.indices(len(self.stored))))
        if isinstance(voxels, slice):
            each = (voxels.stop - voxels.start) * self.stored.itemsize
        else:
            each = len(voxels) * _AROUND
        self.pages.used(n_frames * each)

    def part(self, frames: slice) -> "Frames":
        """Some of the frames."""
        return replace(self, stored=self.stored[frames])

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
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            stored: Array = np.ndarray(shape, header.dtype, memory, header.offset)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{header.path}: cannot be mapped into memory: {error}") from error
    return Frames(stored, header.slope, header.inter, MappedPages(memory))


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
        for first in range(0, len(positions), TILE_VOXELS):
            voxels = positions[first : first + TILE_VOXELS]
            where = as_slice(voxels)
            for start in range(0, n_times, TILE_TIMES):
                times = slice(start, start + TILE_TIMES)
                out[first : first + len(voxels), times] = self._tile(times, where).T
        return out

    def compressed(
        self, positions: Voxels, compressor: Compressor
    ) -> tuple[Float32Array, Float32Array]:
        """See `CompressingReader`. Frames are compressed where they lie, not transposed."""
        span = int(positions[-1]) + 1 - int(positions[0])
        where: slice | Voxels = positions
        n_voxels, chosen = len(positions), slice(None)
        if span <= _SPARSE * len(positions):
            where = slice(int(positions[0]), int(positions[0]) + span)
            n_voxels, chosen = span, positions - positions[0]
        sums = sums_of(compressor, n_voxels)
        step = _FRAMES
        if self.combine is None and self.parts[0].are_values and isinstance(where, slice):
            step = compressor.n_time
        for start in range(0, compressor.n_time, step):
            tile = self._tile(slice(start, start + step), where)
            if not isinstance(where, slice):
                tile = np.ascontiguousarray(tile)
            sums.add(tile, start)
        coefficients, energy = sums.columns()
        return coefficients[chosen], energy[chosen]

    def _tile(self, times: slice, where: slice | Voxels) -> Array:
        """The signal `(time, voxel)`."""
        tiles = [part.values(times, where) for part in self.parts]
        for part in self.parts:
            part.used(times, where)
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
