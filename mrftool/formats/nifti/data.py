"""The numbers of a NIfTI file: never loaded whole, and turned from time-major to voxel-major piece
by piece.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mrftool.arrays import Array, Float32Array
from mrftool.formats.nifti.stored.frames import Frames
from mrftool.formats.nifti.stored.in_order import tiles_in_order
from mrftool.scan.compression import Sums, sums_of
from mrftool.scan.compressor import CompressingReader, Compressor
from mrftool.scan.series import Signal, Voxels
from mrftool.scan.stream import FramesInOrder, KeptSignals, StreamingReader

Combine = Callable[..., Array]

TILE_TIMES, TILE_VOXELS = 32, 256  # 64 kB of complex64: stays in the cache of one core
_FRAMES = 64  # that are scaled at a time
_SPARSE = 4  # voxels of a span for one that is wanted, from which the others are left out
_READ_VOXELS = 4096  # that are read at a time


@dataclass(frozen=True, eq=False)
class FramesReader(CompressingReader, StreamingReader):
    """What reads a series that lies in files one frame after the other.

    Parameters
    ----------
    parts
        Images of equal shape.
    combine
        Makes a tile of the signal of one tile of each part; None of one part that is the signal.
    is_complex
        Whether the signal is complex.
    kept
        See `StreamingReader`.
    """

    parts: tuple[Frames, ...]
    combine: Combine | None
    is_complex: bool
    kept: KeptSignals = field(default_factory=KeptSignals)

    @property
    def streams(self) -> bool:
        """See `StreamingReader`: of compressed files."""
        return self.is_complex and all(part.is_packed for part in self.parts)

    def frames(self) -> FramesInOrder:
        """See `StreamingReader`."""
        for first, tiles in tiles_in_order(self.parts):
            yield first, self._combined(tiles)

    def prepare(self) -> None:
        """See `StreamingReader`."""
        for part in self.parts:
            part.numbers.mapped()

    def __call__(self, positions: Voxels) -> Signal:
        """Signal `(voxel, time)` of voxels in ascending file order.

        Tile by tile, since a plain transposition of a whole block misses the cache at every number.
        """
        n_times = len(self.parts[0])
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
        for start in range(0, len(self.parts[0]), _FRAMES):
            tile = self._tile(slice(start, start + _FRAMES), where)
            sums.add(np.ascontiguousarray(tile), start)

    def _tile(self, times: slice, where: slice | Voxels) -> Array:
        """The signal `(time, voxel)`."""
        return self._combined([part.values(times, where) for part in self.parts])

    def _combined(self, tiles: list[Array]) -> Array:
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
