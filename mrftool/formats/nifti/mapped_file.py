"""NIfTI files of series to be written block by block, mapped into memory."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.nifti.data import TILE_TIMES, TILE_VOXELS, as_slice
from mrftool.formats.nifti.files import deflating, is_gzip, require_space, temporary
from mrftool.scan.series import Voxels

_COPY_BYTES = 4 << 20


def require_name(path: Path) -> None:
    """Raise InputError unless a file is named like NIfTI."""
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(f"{path}: is not named like a NIfTI file, expected .nii or .nii.gz")


@contextmanager
def mapped_file(
    part: Path, header: bytes, dtype: np.dtype[Any], shape: tuple[int, int, int], n_time: int
) -> Any:
    """The numbers `(time, voxel)` of a file to be, mapped for writing; compressed at the end if its
    name says so.
    """
    require_name(part)
    n_voxels = int(np.prod(shape, dtype=np.int64))
    size = len(header) + n_time * n_voxels * dtype.itemsize
    compressed = is_gzip(part)
    with (
        temporary(size, "to write a series", part.parent) if compressed else part.open("r+b") as raw
    ):
        _reserve(raw, size, part)
        raw.write(header)
        raw.flush()
        stored = np.memmap(raw, dtype, "r+", len(header), (n_time, n_voxels))
        yield stored
        stored.flush()
        if compressed:
            _deflate(raw, part)


def _reserve(file: IO[bytes], size: int, part: Path) -> None:
    """Claim the space on disk now: a full disk must show here, since under a memory map it kills
    the process.
    """
    require_space(part.parent, size, "to write a series")
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def _deflate(raw: IO[bytes], part: Path) -> None:
    raw.seek(0)
    with deflating(part) as file:
        shutil.copyfileobj(raw, file, _COPY_BYTES)


def scatter(stored: Array, positions: Voxels, signal: Array) -> None:
    """`stored` `(time, voxel)` at `positions` becomes `signal` `(voxel, time)`, tile by tile."""
    order = np.argsort(positions)
    for first in range(0, len(positions), TILE_VOXELS):
        chosen = order[first : first + TILE_VOXELS]
        where, rows = as_slice(positions[chosen]), signal[as_slice(chosen)]
        for start in range(0, signal.shape[1], TILE_TIMES):
            times = slice(start, start + TILE_TIMES)
            stored[times, where] = rows[:, times].T
