"""Evaluating the table's cubic splines, as nodes of an ONNX graph: fingerprints and their
derivatives at any place.

Places count in nodes of the grid. All weights of a place come from one matrix product: with u and v
the positions in its cell, a weight is a cubic in u times a cubic in v.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.export.graph.ops import INT32, Tape, Value, clip, concat
from mrftool.manifold.bspline import POLYNOMIALS
from mrftool.manifold.table import SignalTable

_SLOPES = np.stack(
    [POLYNOMIALS[1], 2 * POLYNOMIALS[2], 3 * POLYNOMIALS[3], np.zeros(4)]
)  # of the derivative by u


@dataclass(frozen=True)
class Spline:
    """A table on a tape. `is_real`: its coefficients are real; else a row is real parts, then
    imaginary parts.

    b1_corner: first row of each voxel's coefficients along the B1 axis `(voxel, 1)`, b1_weights:
    `(voxel, 1, 4)`; None for tables without one.
    """

    table: SignalTable
    coefficients: Value
    b1_corner: Value | None = None
    b1_weights: Value | None = None

    @property
    def is_real(self) -> bool:
        """Whether rows are real."""
        return self.table.is_real

    @property
    def n_columns(self) -> int:
        """Length of a row."""
        return self.table.basis.rank * (1 if self.is_real else 2)

    def rows(self, place: Value) -> Value:
        """Fingerprint and its derivatives by x and y `(voxel, 3, columns)` at `place` `(voxel, 2)`,
        inside the grid.
        """
        tape = place.tape
        last_cells = tape.constant([[axis.size - 2 for axis in self.table.axes[:2]]])
        cell = tape.op("Min", tape.op("Floor", place), last_cells)
        u = place - cell
        square = u * u
        powers = concat([u, square, square * u], 1)
        matrix, constant = _weight_polynomials()
        first, second = tape.op(
            "Gemm", powers, tape.constant(matrix), tape.constant(constant)
        ).split(1, [48, 48])
        weights = (first * second).reshape(0, 3, 16)
        strides, offsets = self._neighbours()
        corner = tape.op("Gemm", cell, tape.constant(strides), tape.constant(offsets))
        if self.b1_corner is not None and self.b1_weights is not None:
            corner = corner + self.b1_corner
            weights = (weights.reshape(0, 48, 1) * self.b1_weights).reshape(0, 3, 64)
        return weights @ tape.op("Gather", self.coefficients, corner.to(INT32), axis=0)

    def _neighbours(self) -> tuple[FloatArray, FloatArray]:
        """Rows of the 16 or 64 coefficients around a cell: cell `(voxel, 2)` @ strides + offsets."""
        sizes = [axis.size + 2 for axis in self.table.axes]
        strides = np.array([np.prod(sizes[1:]), np.prod(sizes[2:]), 1.0])[: len(sizes)]
        offsets = np.stack(
            np.meshgrid(*[np.arange(4)] * len(sizes), indexing="ij"), axis=-1
        ).reshape(-1, len(sizes))
        return np.repeat(strides[:2, None], len(offsets), axis=1), offsets @ strides


def spline_of(tape: Tape, table: SignalTable, b1: Value | None = None) -> Spline:
    """Put `table` on the tape; `b1` `(voxel, 1)` [1] goes with a table that has a B1 axis."""
    flat = table.coefficients.reshape(-1, table.basis.rank)
    if not table.is_real:
        flat = np.concatenate([flat.real, flat.imag], axis=1)
    coefficients = tape.constant(flat, name="table")
    if b1 is None:
        return Spline(table, coefficients)
    axis = table.axes[2]
    place = clip((b1 - axis.start) * (1 / axis.step), 0.0, axis.size - 1.0)
    cell = tape.op("Min", tape.op("Floor", place), axis.size - 2.0)
    u = place - cell
    square = u * u
    powers = concat([u, square, square * u], 1)
    weights = tape.op("Gemm", powers, tape.constant(POLYNOMIALS[1:]), tape.constant(POLYNOMIALS[0]))
    return Spline(table, coefficients, cell, weights.reshape(0, 1, 4))


def _weight_polynomials() -> tuple[FloatArray, FloatArray]:
    """(u, v, u^2, v^2, u^3, v^3) `(6,)` to two rows of 48 whose product is the weights `(3, 16)`:
    value, by x, by y.
    """
    along_u = np.stack([POLYNOMIALS, _SLOPES, POLYNOMIALS])  # (row, power, coefficient)
    along_v = np.stack([POLYNOMIALS, POLYNOMIALS, _SLOPES])
    u = np.repeat(along_u, 4, axis=2).transpose(1, 0, 2).reshape(4, 48)
    v = np.tile(along_v, (1, 1, 4)).transpose(1, 0, 2).reshape(4, 48)
    matrix = np.zeros((6, 96))
    matrix[0::2, :48], matrix[1::2, 48:] = u[1:], v[1:]
    return matrix, np.concatenate([u[0], v[0]])
