"""Evaluating the table's cubic splines, as nodes of an ONNX graph: fingerprints and their
derivatives at any place.

Places count in nodes of the grid. All weights of a place come from one matrix product: with u and v
the positions in its cell along two axes, a weight is a cubic in u times a cubic in v.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.exporting.graph.ops import INT32, Tape, Value, clip, concat
from mrftool.manifold.bspline import POLYNOMIALS, Axis
from mrftool.manifold.table import SignalTable

_SLOPES = np.stack(
    [POLYNOMIALS[1], 2 * POLYNOMIALS[2], 3 * POLYNOMIALS[3], np.zeros(4)]
)  # of the derivative by u


@dataclass(frozen=True)
class Spline:
    """A table on a tape. `is_real`: its coefficients are real; else a row is real parts, then
    imaginary parts.

    given_corner: first row of each voxel's coefficients along the axes of given parameters
    `(voxel, 1)`, given_weights: `(voxel, 1, 4^given)`; None for tables without any.
    """

    table: SignalTable
    coefficients: Value
    given_corner: Value | None = None
    given_weights: Value | None = None

    @property
    def is_real(self) -> bool:
        """Whether rows are real."""
        return self.table.is_real

    @property
    def n_columns(self) -> int:
        """Length of a row."""
        if self.is_real:
            return self.table.basis.rank
        return 2 * self.table.basis.rank

    def rows(self, place: Value) -> Value:
        """Fingerprint and its derivatives along the fitted axes `(voxel, 1 + fitted, columns)` at
        `place` `(voxel, fitted)`, inside the grid.
        """
        tape, n_fitted = place.tape, self.table.n_fitted
        cell, powers = _cell_and_powers(place, self.table.fitted_axes)
        matrix, constant = _weight_polynomials(n_fitted)
        n_rows, n_near = 1 + n_fitted, 4**n_fitted
        along = tape.op("Gemm", powers, tape.constant(matrix), tape.constant(constant))
        first, *others = along.split(1, [n_rows * n_near] * n_fitted)
        for other in others:
            first = first * other
        weights = first.reshape(0, n_rows, n_near)
        strides, offsets = _neighbours(self.table)
        n_all = len(offsets)
        of_fitted = np.repeat(strides[:n_fitted, None], n_all, axis=1)
        corner = tape.op("Gemm", cell, tape.constant(of_fitted), tape.constant(offsets))
        if self.given_corner is not None and self.given_weights is not None:
            corner = corner + self.given_corner
            columns = weights.reshape(0, n_rows * n_near, 1)
            weights = (columns * self.given_weights).reshape(0, n_rows, n_all)
        return weights @ tape.op("Gather", self.coefficients, corner.to(INT32), axis=0)


def spline_of(tape: Tape, table: SignalTable, given: Value | None = None) -> Spline:
    """Put `table` on the tape; `given` `(voxel, given)`: values of its given parameters."""
    flat = table.coefficients.reshape(-1, table.basis.rank)
    if not table.is_real:
        flat = np.concatenate([flat.real, flat.imag], axis=1)
    coefficients = tape.constant(flat, name="table")
    if given is None:
        return Spline(table, coefficients)
    strides = _neighbours(table)[0][table.n_fitted :]
    corners, weights, columns = [], [], given.split(1, [1] * len(table.given))
    for column, axis, stride in zip(columns, table.given_axes, strides, strict=True):
        place = clip((column - axis.start) * (1 / axis.step), 0.0, axis.size - 1.0)
        cell, powers = _cell_and_powers(place, (axis,))
        matrix, constant = tape.constant(POLYNOMIALS[1:]), tape.constant(POLYNOMIALS[0])
        weights.append(tape.op("Gemm", powers, matrix, constant).reshape(0, 1, 4))
        corners.append(_scaled(cell, float(stride)))
    corner, product = corners[0], weights[0]
    for k in range(1, len(weights)):
        corner = corner + corners[k]
        product = _products(product, weights[k], 4**k)
    return Spline(table, coefficients, corner, product)


def _scaled(value: Value, factor: float) -> Value:
    if factor == 1.0:
        return value
    return value * factor


def _products(weights: Value, along: Value, n: int) -> Value:
    """All products `(voxel, 1, n * 4)` of `(voxel, 1, n)` and `(voxel, 1, 4)`."""
    length = 4 * n
    return (weights.swap() @ along).reshape(0, 1, length)


def _cell_and_powers(place: Value, axes: tuple[Axis, ...]) -> tuple[Value, Value]:
    """Cells `(voxel, axis)` of places, and the powers 1 to 3 of the positions in them."""
    tape = place.tape
    last_cells = tape.constant([[axis.size - 2 for axis in axes]])
    cell = tape.op("Min", tape.op("Floor", place), last_cells)
    u = place - cell
    square = u * u
    return cell, concat([u, square, square * u], 1)


def _neighbours(table: SignalTable) -> tuple[FloatArray, FloatArray]:
    """Rows of the 4^axes coefficients around a cell: cell @ strides `(axis,)` + offsets."""
    sizes = [axis.size + 2 for axis in table.axes]
    strides = np.array([np.prod(sizes[k + 1 :]) for k in range(len(sizes))], np.float64)
    steps = np.meshgrid(*[np.arange(4)] * len(sizes), indexing="ij")
    return strides, np.stack(steps, axis=-1).reshape(-1, len(sizes)) @ strides


def _weight_polynomials(n_axes: int) -> tuple[FloatArray, FloatArray]:
    """(u, v, ..., u^2, ..., u^3, ...) `(3 * axes,)` to rows whose product over the axes is the
    weights `(1 + axes, 4^axes)`: of the value, and of the derivative along each axis.
    """
    n_rows, n_near = 1 + n_axes, 4**n_axes
    matrix = np.zeros((3 * n_axes, n_axes * n_rows * n_near))
    constants = []
    for k in range(n_axes):
        along = np.stack([POLYNOMIALS] * n_rows)  # (row, power, coefficient)
        along[1 + k] = _SLOPES
        spread = np.tile(np.repeat(along, 4 ** (n_axes - 1 - k), axis=2), (1, 1, 4**k))
        of_power = spread.transpose(1, 0, 2).reshape(4, n_rows * n_near)
        part = slice(k * n_rows * n_near, (k + 1) * n_rows * n_near)
        matrix[k::n_axes, part] = of_power[1:]
        constants.append(of_power[0])
    return matrix, np.concatenate(constants)
