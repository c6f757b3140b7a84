"""Symmetric matrices of each voxel, as values of an ONNX graph, and their elimination row by
row.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations_with_replacement

from mrftool.exporting.graph.ops import Value


@dataclass(frozen=True)
class Symmetric:
    """A symmetric matrix of each voxel: its elements (j, k), j <= k, are `(voxel, 1)`."""

    elements: dict[tuple[int, int], Value]

    @staticmethod
    def from_upper(values: list[Value], size: int) -> "Symmetric":
        """From the upper triangle, row by row."""
        return Symmetric(dict(zip(_upper(range(size)), values, strict=True)))

    def __getitem__(self, index: tuple[int, int]) -> Value:
        return self.elements[min(index), max(index)]

    @property
    def indices(self) -> list[int]:
        """Rows that there are: all, but for those that were eliminated."""
        return [j for j, k in self.elements if j == k]

    @property
    def diagonal(self) -> list[Value]:
        """Elements (k, k)."""
        return [self[k, k] for k in self.indices]

    def with_diagonal(self, values: list[Value]) -> "Symmetric":
        """The same with another diagonal."""
        changed = {(k, k): value for k, value in zip(self.indices, values, strict=True)}
        return Symmetric(self.elements | changed)

    def ratios(self, pivot: int, divisor: Value) -> dict[int, Value]:
        """Elements (pivot, k) / divisor of the other rows k."""
        return {k: self[pivot, k] / divisor for k in self.indices if k != pivot}

    def without(self, pivot: int, ratios: dict[int, Value]) -> "Symmetric":
        """Row and column `pivot` eliminated; ratios: its elements over the diagonal one."""
        left = {}
        for j, k in _upper(ratios):
            left[j, k] = self[j, k] - self[pivot, k] * ratios[j]
        return Symmetric(left)


def _upper(indices: Iterable[int]) -> list[tuple[int, int]]:
    return list(combinations_with_replacement(indices, 2))


def columns_of(value: Value, matrix: Symmetric) -> list[Value]:
    """Columns `(voxel, 1)` of `value` `(voxel, row)`, one for each row of the matrix."""
    return value.split(1, [1] * len(matrix.indices))
