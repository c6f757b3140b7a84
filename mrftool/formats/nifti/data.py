"""The numbers of a NIfTI file: mapped, never loaded, and turned from time-major to voxel-major
piece by piece.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.nifti.files import open_data
from mrftool.formats.nifti.header import NiftiHeader
from mrftool.formats.scan_request import ShowProgress
from mrftool.scan.series import Signal, Voxels

Combine = Callable[..., Array]

TILE_TIMES, TILE_VOXELS = 32, 256  # 64 kB of complex64: stays in the cache of one core
_SAMPLE_FRAMES, _SAMPLE_VOXELS = 5, 1 << 20


@dataclass(frozen=True, eq=False)
class Frames:
    """The images of a file, one row each.

    stored: `(frame, voxel)` as in the file (x fastest). Values are slope x stored + inter.
    """

    stored: Array
    slope: float
    inter: float

    def values(self, frames: slice, voxels: slice | Voxels) -> Array:
        """A tile `(frame, voxel)`, float32 or complex64."""
        return scaled(self.stored[frames, voxels], self.slope, self.inter)

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
    n_voxels = int(np.prod(header.shape, dtype=np.int64))
    n_frames = int(np.prod(header.dims[3:], dtype=np.int64))
    with contextlib.closing(open_data(header.data_path, header.n_bytes, progress)) as file:
        try:
            stored = np.memmap(file, header.dtype, "r", header.offset, (n_frames, n_voxels))
        except (OSError, ValueError) as error:
            raise InputError(f"{header.path}: cannot be mapped into memory: {error}") from error
    return Frames(np.asarray(stored), header.slope, header.inter)


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


def gather(
    parts: tuple[Frames, ...], combine: Combine, is_complex: bool, positions: Voxels
) -> Signal:
    """Signal `(voxel, time)` of voxels in ascending file order: `combine` of the tiles of all
    parts.

    Tile by tile, since a plain transposition of a whole block misses the cache at every number.
    """
    n_times = len(parts[0].stored)
    out = np.empty((len(positions), n_times), np.complex64 if is_complex else np.float32)
    for first in range(0, len(positions), TILE_VOXELS):
        voxels = positions[first : first + TILE_VOXELS]
        where = as_slice(voxels)
        for start in range(0, n_times, TILE_TIMES):
            times = slice(start, start + TILE_TIMES)
            tile = combine(*(part.values(times, where) for part in parts))
            out[first : first + len(voxels), times] = tile.T
    return out


def as_slice(positions: Voxels) -> slice | Voxels:
    """A run of neighbours as a slice, which numpy reads without a copy of the indices."""
    start, stop = int(positions[0]), int(positions[-1]) + 1
    return (
        slice(start, stop)
        if stop - start == len(positions) and (np.diff(positions) == 1).all()
        else positions
    )
