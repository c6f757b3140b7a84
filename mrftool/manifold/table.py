"""The tabulated signal manifold: compressed fingerprints of unit m0 as cubic splines over log T1,
log T2 [and B1].

A table answers in place of the engine wherever a fingerprint or its derivatives are needed quickly.
`mrftool.manifold.tabulate` makes it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import Array
from mrftool.errors import ArgumentError
from mrftool.manifold.bspline import Axis, slope_weights, value_weights
from mrftool.manifold.compression import Basis, compress

Form = Literal["complex", "magnitude"]


@dataclass(frozen=True)
class SignalTable:
    """Fingerprints of one sequence for every tissue in a range.

    axes: log T1 [log s], log T2 [log s] and, where it is a variable, B1 [1].
    coefficients: B-spline coefficients `(nodes + 2 of each axis ..., basis.rank)` of the complex
    fingerprint of m0 = 1, compressed with `basis`.
    form: of the signals that it is to explain, "complex" or "magnitude".
    error: largest relative error between the nodes, inside the compressed space and for T2 <= T1
    [1].
    adc: the diffusion coefficient that it was made with [m2/s].
    magnitude_basis: what magnitudes are compressed with, None for complex signals.
    """

    axes: tuple[Axis, ...]
    coefficients: Array
    basis: Basis
    form: Form
    error: float
    adc: float
    sequence_id: str
    magnitude_basis: Basis | None = None

    @property
    def is_real(self) -> bool:
        """Whether the coefficients are real."""
        return not np.iscomplexobj(self.coefficients)

    @property
    def feature_basis(self) -> Basis:
        """What signals of this form are compressed with."""
        return self.magnitude_basis or self.basis

    @property
    def takes_b1(self) -> bool:
        """Whether B1 is an axis."""
        return len(self.axes) == 3

    @property
    def rank(self) -> int:
        """Number of coefficients of a compressed signal."""
        return self.feature_basis.rank


def evaluate(
    table: SignalTable, t1: ArrayLike, t2: ArrayLike, b1: ArrayLike | None = None
) -> Array:
    """Compressed fingerprint of m0 = 1 `(voxel, rank)` at t1, t2 [s], b1 [1], each held inside the
    table.
    """
    return evaluate_derivatives(table, t1, t2, b1)[:, 0]


def evaluate_derivatives(
    table: SignalTable,
    t1: ArrayLike,
    t2: ArrayLike,
    b1: ArrayLike | None = None,
    *,
    by_b1: bool = False,
) -> Array:
    """Compressed fingerprint and its derivatives by log T1 and log T2 `(voxel, 3, rank)`; see
    `evaluate`.

    by_b1: its derivative by B1 as well `(voxel, 4, rank)`.
    """
    if table.takes_b1 == (b1 is None):
        raise ArgumentError("a B1 goes with exactly those tables that have a B1 axis")
    points = [np.log(t1), np.log(t2)] + ([] if b1 is None else [np.asarray(b1)])
    cells, values, slopes = [], [], []
    for axis, x in zip(table.axes, points, strict=True):
        cell, u = axis.locate(x)
        cells.append(cell[:, None] + np.arange(4))
        values.append(value_weights(u))
        slopes.append(slope_weights(u) / axis.step)
    factors = [values, [slopes[0], *values[1:]], [values[0], slopes[1], *values[2:]]]
    factors += [[*values[:2], slopes[2]]] if by_b1 else []
    weights = np.stack([_outer(x) for x in factors], axis=1)
    n = len(cells)
    corners = tuple(
        cell.reshape(-1, *(4 if j == k else 1 for j in range(n))) for k, cell in enumerate(cells)
    )
    return np.asarray(weights @ table.coefficients[corners].reshape(len(weights), 4**n, -1))


def _outer(factors: list[Array]) -> Array:
    """Products of all combinations `(voxel, 4^axes)` of weights `(voxel, 4)` along each axis."""
    product = factors[0]
    for factor in factors[1:]:
        product = (product[:, :, None] * factor[:, None, :]).reshape(len(product), -1)
    return product


def evaluate_features(
    table: SignalTable,
    t1: ArrayLike,
    t2: ArrayLike,
    b1: ArrayLike | None = None,
    *,
    by_b1: bool = False,
) -> Array:
    """Like `evaluate_derivatives`, of what an encoder or a search sees: of the compressed
    magnitude, for that form.
    """
    rows = evaluate_derivatives(table, t1, t2, b1, by_b1=by_b1)
    if table.magnitude_basis is None:
        return rows
    signal, *slopes = np.moveaxis(rows @ table.basis.vectors.T, 1, 0)
    size = abs(signal)
    direction = signal.conj() / np.maximum(size, np.finfo(np.float64).tiny)
    return np.stack(
        [
            compress(row, table.magnitude_basis)
            for row in (size, *((direction * slope).real for slope in slopes))
        ],
        axis=1,
    )
