"""What compresses the signals of a series on the way from its file."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mrftool.arrays import Array, Float32Array, IndexArray
from mrftool.scan.series import Signal, Voxels

GROUP = 8  # vectors that the native kernel sums at a time
_ROUNDING = 1e-9  # relative size of what rounding leaves of a part that is 0


@dataclass(frozen=True, eq=False)
class Compressor:
    """A matrix that compresses complex signals, as sums over time of few real vectors.

    Parameters
    ----------
    vectors
        `(vector, time)` float32; neither 0 nor, but for the sign, equal.
    real_row, imaginary_row
        Which vector each column takes of the real and of the imaginary part `(column,)`.
    real_sign, imaginary_sign
        Its factor `(column,)` float32: 1, -1, or 0 where the column takes nothing of it.
    """

    vectors: Float32Array
    real_row: IndexArray
    imaginary_row: IndexArray
    real_sign: Float32Array
    imaginary_sign: Float32Array

    @staticmethod
    def from_matrix(matrix: Array) -> "Compressor":
        """Of a real matrix `(2 * time, column)` for signals with their parts interleaved."""
        both = np.concatenate([matrix[0::2].T, matrix[1::2].T]).astype(np.float32)
        sizes = abs(both).max(axis=1, keepdims=True)
        both = np.where(sizes > _ROUNDING * sizes.max(), both, np.float32(0))
        signs = np.sign(both[np.arange(len(both)), (both != 0).argmax(axis=1)])
        alike = both * signs[:, None] + np.float32(0)  # which makes -0 a 0
        known: dict[bytes, int] = {}
        rows = [
            known.setdefault(row.tobytes(), len(known)) if sign else 0
            for row, sign in zip(alike, signs, strict=True)
        ]
        vectors = np.frombuffer(b"".join(known), np.float32).reshape(-1, alike.shape[1])
        real_row, imaginary_row = np.split(np.array(rows), 2)
        real_sign, imaginary_sign = np.split(signs, 2)
        return Compressor(vectors, real_row, imaginary_row, real_sign, imaginary_sign)

    @property
    def n_time(self) -> int:
        """Samples of a signal."""
        return int(self.vectors.shape[1])

    @cached_property
    def grouped(self) -> Float32Array:
        """The vectors as the native kernel reads them, `(group, time, vector of the group)`; 0
        fills up the last group.
        """
        count = -(-len(self.vectors) // GROUP) * GROUP
        filled = np.zeros((count, self.n_time), np.float32)
        filled[: len(self.vectors)] = self.vectors
        groups = filled.reshape(-1, GROUP, self.n_time).swapaxes(1, 2)
        return np.ascontiguousarray(groups)


class CompressingReader(ABC):
    """What reads the signals of a series, and can compress them on the way."""

    @abstractmethod
    def __call__(self, positions: Voxels) -> Signal:
        """As `Series.read`."""

    @abstractmethod
    def compressed(
        self, positions: Voxels, compressor: Compressor
    ) -> tuple[Float32Array, Float32Array]:
        """Coefficients `(voxel, column)` and energies `(voxel, 1)` [scanner's unit, and squared].

        positions: of the voxels in file order, ascending.
        """
