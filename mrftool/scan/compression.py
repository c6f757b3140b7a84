"""Compression of series that are stored one frame after the other: the native kernel, and its
readable twin.

Compression is linear, so frames can be added as they come. The native code is `native/compress.c`,
in a library of its own. Where it is missing, or where the environment says
MRFTOOL_ENGINE=reference, the twin serves: the same numbers to rounding, slower.
"""

import ctypes
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array, Float32Array
from mrftool.environment.native import (
    WIDTHS,
    library_in_use,
    native_library,
    widest_registers,
)
from mrftool.errors import ArgumentError
from mrftool.scan.compressor import GROUP, Compressor

_CUT_SHORT = 1  # what functions of the library return
_TILE_FRAMES, _TILE_STRIDE, _WIDEST = 32, 8208, 32  # as in native/compress.c


@dataclass(frozen=True)
class RowsOfFile:
    """Rows of a file, evenly apart.

    Parameters
    ----------
    descriptor
        Of the open file.
    offset
        Where the first row begins [bytes].
    stride
        From a row to the next [bytes].
    """

    descriptor: int
    offset: int
    stride: int

    def after(self, count: int) -> "RowsOfFile":
        """The rows without the first `count`."""
        return replace(self, offset=self.offset + count * self.stride)


def read_rows(source: RowsOfFile, count: int, n_bytes: int) -> Array:
    """The first `n_bytes` of each of `count` rows, uint8 `(row, byte)`.

    Raises
    ------
    OSError
        If the file cannot be read.
    EOFError
        If it is cut short.
    """
    rows = np.empty((count, n_bytes), np.uint8)
    library = _library()
    if library is not None:
        numbers = (source.descriptor, source.offset, source.stride, count, n_bytes)
        arguments = [ctypes.c_int64(number) for number in numbers]
        _check(library.compress_read(*arguments, ctypes.c_void_p(rows.ctypes.data)))
        return rows
    for place, row in enumerate(rows):
        part = os.pread(source.descriptor, n_bytes, source.offset + place * source.stride)
        if len(part) < n_bytes:
            raise EOFError
        row[:] = np.frombuffer(part, np.uint8)
    return rows


def _check(failure: int) -> None:
    """Raise what a function of the library reports."""
    if failure == _CUT_SHORT:
        raise EOFError
    if failure:
        raise OSError("cannot be read")


class Sums(ABC):
    """Sums over the frames of some voxels that have been added."""

    def add(self, frames: Array, first: int) -> None:
        """Add `frames` `(frame, voxel)`, of which the first is frame `first`: complex64, with
        voxels that lie side by side. Frames may come in any order, each once.

        Raises
        ------
        ArgumentError
            If shape or type do not fit.
        """
        inside = 0 <= first <= first + len(frames) <= self.compressor.n_time
        if frames.shape[1:] != (self.n_voxels,) or not inside:
            raise ArgumentError(
                f"{frames.shape} frames and voxels from frame {first} on, expected {self.n_voxels} "
                f"voxels and at most {self.compressor.n_time} frames"
            )
        if frames.dtype != np.complex64 or frames.strides[1] != frames.itemsize:
            raise ArgumentError("expected complex64 frames with voxels side by side")
        self._add(frames, first)

    def read(self, source: "RowsOfFile") -> None:
        """Add all frames from a file: complex64 in the byte order of this machine.

        Raises
        ------
        OSError
            If the file cannot be read, or is cut short (EOFError).
        """
        for first in range(0, self.compressor.n_time, _TILE_FRAMES):
            count = min(_TILE_FRAMES, self.compressor.n_time - first)
            rows = read_rows(source.after(first), count, 8 * self.n_voxels)
            self._add(rows.view(np.complex64), first)

    def __init__(self, compressor: Compressor, n_voxels: int) -> None:
        self.compressor = compressor
        self.n_voxels = n_voxels

    @abstractmethod
    def _add(self, frames: Array, first: int) -> None:
        """Add frames that fit."""

    @abstractmethod
    def columns(self) -> tuple[Float32Array, Float32Array]:
        """Coefficients `(voxel, column)` and energies `(voxel, 1)` of what was added."""


class ReadableSums(Sums):
    """The readable twin of the native sums."""

    def __init__(self, compressor: Compressor, n_voxels: int) -> None:
        super().__init__(compressor, n_voxels)
        self._sums = np.zeros((len(compressor.vectors), n_voxels), np.complex64)
        self._energy = np.zeros(n_voxels, np.float32)

    def _add(self, frames: Array, first: int) -> None:
        values = np.ascontiguousarray(frames).view(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            part = self.compressor.vectors[:, first : first + len(frames)] @ values
            self._sums += part.view(np.complex64)
            power = np.square(values).sum(axis=0)
            self._energy += power[0::2] + power[1::2]

    def columns(self) -> tuple[Float32Array, Float32Array]:
        """See `Sums`."""
        own = self.compressor
        with np.errstate(over="ignore", invalid="ignore"):
            real = self._sums.real[own.real_row] * own.real_sign[:, None]
            imaginary = self._sums.imag[own.imaginary_row] * own.imaginary_sign[:, None]
            return np.ascontiguousarray((real + imaginary).T), self._energy[:, None]


class _Job(ctypes.Structure):
    """`job` of native/compress.c, field by field."""

    _fields_ = (
        ("vectors", ctypes.c_void_p),
        *((key, ctypes.c_int64) for key in ("n_groups", "n_frames", "first", "last")),
        ("values", ctypes.c_void_p),
        *((key, ctypes.c_int64) for key in ("stride", "file", "offset", "n_values", "row")),
        *((key, ctypes.c_void_p) for key in ("sums", "power", "tile")),
    )


class _NativeSums(Sums):
    """Sums by the native kernel."""

    def __init__(self, compressor: Compressor, n_voxels: int, library: ctypes.CDLL) -> None:
        super().__init__(compressor, n_voxels)
        self._library = library
        self._vectors = compressor.grouped
        row = -(-2 * n_voxels // _WIDEST) * _WIDEST
        self._sums = np.zeros((len(self._vectors) * GROUP, row), np.float32)
        self._power = np.zeros(row, np.float32)
        self._tile = np.empty((_TILE_FRAMES, _TILE_STRIDE), np.float32)
        self._job = _Job(
            vectors=self._vectors.ctypes.data,
            n_groups=len(self._vectors),
            n_frames=compressor.n_time,
            n_values=2 * n_voxels,
            row=row,
            sums=self._sums.ctypes.data,
            power=self._power.ctypes.data,
            tile=self._tile.ctypes.data,
        )

    def _add(self, frames: Array, first: int) -> None:
        job = self._job
        job.first, job.last = first, first + len(frames)
        job.values = frames.ctypes.data
        job.stride = frames.strides[0] // 4
        self._library.compress_add(ctypes.byref(job), WIDTHS[widest()])

    def read(self, source: RowsOfFile) -> None:
        """See `Sums`; a tile of the file never leaves the processor's cache."""
        job = self._job
        job.first, job.last = 0, self.compressor.n_time
        job.values = None
        job.stride = source.stride // 4
        job.file, job.offset = source.descriptor, source.offset
        _check(self._library.compress_add(ctypes.byref(job), WIDTHS[widest()]))

    def columns(self) -> tuple[Float32Array, Float32Array]:
        """See `Sums`."""
        own = self.compressor
        signs = [own.real_sign, own.imaginary_sign]
        rows = [np.asarray(each, np.int32) for each in (own.real_row, own.imaginary_row)]
        found = np.empty((self.n_voxels, len(own.real_row)), np.float32)
        energy = np.empty((self.n_voxels, 1), np.float32)
        places = [ctypes.c_void_p(each.ctypes.data) for each in (*rows, *signs)]
        outputs = [ctypes.c_void_p(each.ctypes.data) for each in (found, energy)]
        count = ctypes.c_int64(len(own.real_row))
        self._library.compress_finish(ctypes.byref(self._job), *places, count, *outputs)
        return found, energy


def sums_of(compressor: Compressor, n_voxels: int) -> Sums:
    """Sums over no frames yet, of voxels."""
    library = _library()
    if library is None:
        return ReadableSums(compressor, n_voxels)
    return _NativeSums(compressor, n_voxels, library)


def widest() -> str:
    """The widest registers that both the library and this processor have, one of WIDTHS."""
    return widest_registers(native_library("compress", _Job), "compress")


def _library() -> ctypes.CDLL | None:
    return library_in_use("compress", _Job)
