"""The tabulated signal manifold: compressed fingerprints of unit m0 as cubic splines over the
parameters of a voxel, the fitted ones (log T1, log T2) first, then those given with the scan (B1).

A table answers in place of the engine wherever a fingerprint or its derivatives are needed quickly.
`mrftool.manifold.tabulate` makes it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mrftool.arrays import Array, FloatArray, Range
from mrftool.errors import ArgumentError
from mrftool.fingerprints import CHANNELS
from mrftool.manifold.bspline import Axis, slope_weights, value_weights
from mrftool.manifold.compression import Basis, compress
from mrftool.manifold.parameters import FITTED, Parameter, points_of
from mrftool.tissue import Tissue

Form = Literal["complex", "magnitude"]

# Of the residual that noise leaves, up to which the error of a table hardly counts [1]. It adds to
# the noise, and lies mostly across the directions of T1 and T2: a table with a B1 axis that erred
# as much had RMSE / bound of 1.02 to 1.04, and 94 % in its 95 % intervals (1500 random tissues).
TABLE_SHARE = 0.3


def snr_of_table(error: float, form: str) -> float:
    """SNR up to which noise hides the largest relative error of a table [1]; inf for none."""
    if error <= 0:
        return float("inf")
    return float(TABLE_SHARE * np.sqrt(CHANNELS[form]) / error)


@dataclass(frozen=True, eq=False)
class SignalTable:
    """Fingerprints of one sequence for every tissue in a range.

    axes: one for each of `parameters`, in its transform.
    coefficients: B-spline coefficients `(nodes + 2 of each axis ..., basis.rank)` of the complex
    fingerprint of m0 = 1, compressed with `basis`.
    form: of the signals that it is to explain, "complex" or "magnitude".
    error: largest relative error between the nodes, inside the compressed space and for T2 <= T1
    [1].
    adc: the diffusion coefficient that it was made with [m2/s].
    magnitude_basis: what magnitudes are compressed with, None for complex signals.
    parameters: of the axes, the fitted ones first.
    """

    axes: tuple[Axis, ...]
    coefficients: Array
    basis: Basis
    form: Form
    error: float
    adc: float
    sequence_id: str
    magnitude_basis: Basis | None = None
    parameters: tuple[Parameter, ...] = FITTED

    def __post_init__(self) -> None:
        if len(self.parameters) != len(self.axes):
            raise ArgumentError(f"{len(self.axes)} axes for {len(self.parameters)} parameters")

    @property
    def is_real(self) -> bool:
        """Whether the coefficients are real."""
        return not np.iscomplexobj(self.coefficients)

    @property
    def feature_basis(self) -> Basis:
        """What signals of this form are compressed with."""
        return self.magnitude_basis or self.basis

    @property
    def n_fitted(self) -> int:
        """Number of fitted parameters: the first axes."""
        return sum(parameter.fitted for parameter in self.parameters)

    @property
    def given(self) -> tuple[Parameter, ...]:
        """Parameters of the other axes."""
        return self.parameters[self.n_fitted :]

    @property
    def fitted_axes(self) -> tuple[Axis, ...]:
        """Axes of the fitted parameters."""
        return self.axes[: self.n_fitted]

    @property
    def given_axes(self) -> tuple[Axis, ...]:
        """Axes of the given parameters."""
        return self.axes[self.n_fitted :]

    @property
    def limits(self) -> list[Range]:
        """Ends of each axis."""
        return [(axis.start, axis.stop) for axis in self.axes]

    def points(self, tissue: Tissue) -> FloatArray:
        """Where `tissue` lies on the axes `(voxel, axis)`."""
        columns = {parameter.name: getattr(tissue, parameter.name) for parameter in self.parameters}
        return points_of(self.parameters, columns)

    @property
    def rank(self) -> int:
        """Number of coefficients of a compressed signal."""
        return self.feature_basis.rank


def evaluate(table: SignalTable, points: Array) -> Array:
    """Compressed fingerprint of m0 = 1 `(voxel, rank)` at `points` `(voxel, axis)` on the table's
    axes, each held inside the table; see `SignalTable.points`.
    """
    return evaluate_derivatives(table, points)[:, 0]


def evaluate_derivatives(table: SignalTable, points: Array, *, by_given: bool = False) -> Array:
    """Compressed fingerprint and its derivatives along the axes of the fitted parameters
    `(voxel, 1 + fitted, rank)`; see `evaluate`.

    by_given: along those of the given parameters as well `(voxel, 1 + axes, rank)`.

    Raises ArgumentError where the points have another number of axes.
    """
    if np.ndim(points) != 2 or np.shape(points)[1] != len(table.axes):
        names = ", ".join(parameter.label for parameter in table.parameters)
        raise ArgumentError(
            f"points of shape {np.shape(points)}, expected (voxel, axis) of {names}"
        )
    cells, values, slopes = [], [], []
    for axis, x in zip(table.axes, np.transpose(points), strict=True):
        cell, u = axis.locate(x)
        cells.append(cell[:, None] + np.arange(4))
        values.append(value_weights(u))
        slopes.append(slope_weights(u) / axis.step)
    n_slopes = len(cells) if by_given else table.n_fitted
    weights = _weights(values, slopes, n_slopes)
    rows = table.coefficients[_corners(cells)].reshape(len(weights), 4 ** len(cells), -1)
    return np.asarray(weights @ rows)


def _weights(values: list[Array], slopes: list[Array], n_slopes: int) -> Array:
    """Weights of the coefficients for the value and `n_slopes` derivatives `(voxel, row, 4^axes)`.

    The weights of a derivative are those of the value, but for those along its own axis.
    """
    factors = [values]
    factors += [[*values[:k], slopes[k], *values[k + 1 :]] for k in range(n_slopes)]
    return np.stack([_outer(each) for each in factors], axis=1)


def _corners(cells: list[Array]) -> tuple[Array, ...]:
    """Indices of the coefficients around each point, one array for each axis of the table."""
    corners = []
    for k, cell in enumerate(cells):
        shape = [1] * len(cells)
        shape[k] = 4
        corners.append(cell.reshape(-1, *shape))
    return tuple(corners)


def _outer(factors: list[Array]) -> Array:
    """Products of all combinations `(voxel, 4^axes)` of weights `(voxel, 4)` along each axis."""
    product = factors[0]
    for factor in factors[1:]:
        product = (product[:, :, None] * factor[:, None, :]).reshape(len(product), -1)
    return product


def evaluate_features(table: SignalTable, points: Array, *, by_given: bool = False) -> Array:
    """Like `evaluate_derivatives`, of what an encoder or a search sees: of the compressed
    magnitude, for that form.
    """
    rows = evaluate_derivatives(table, points, by_given=by_given)
    if table.magnitude_basis is None:
        return rows
    signal, *slopes = np.moveaxis(rows @ table.basis.vectors.T, 1, 0)
    size = abs(signal)
    direction = signal.conj() / np.maximum(size, np.finfo(np.float64).tiny)
    changes = [size, *((direction * slope).real for slope in slopes)]
    return np.stack([compress(row, table.magnitude_basis) for row in changes], axis=1)
