"""Least squares of coefficients against a table: the fit of each voxel, and its covariance.

M0 is eliminated (variable projection: G. Golub, V. Pereyra, Inverse Probl 19:R1, 2003), and
Gauss-Newton steps in log T1 and log T2 start at the best of a grid. Covariance of the estimate: S.
M. Kay, Estimation Theory (1993), ch. 3 and 15.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.manifold.table import SignalTable, evaluate_derivatives

_STEPS = 8
_LONGEST_STEP = 0.5  # in log T1 and log T2 [1]
_MOST_ENERGY = 1e150  # of whitened values; its square is a double
_GRID = (40, 40)
TINY = 1e-30
_LEAST_SHARE = 1e-9  # of the diagonal, so that a singular matrix has an inverse [1]


@dataclass(frozen=True, eq=False)
class TableInBasis:
    """The table in the basis of the images. projection: `(table rank, K)`."""

    table: SignalTable
    projection: Array

    def rows(self, place: FloatArray, given: FloatArray) -> Array:
        """Coefficients of m0 = 1 and their derivatives by log T1 and log T2 `(voxel, 3, K)`."""
        points = np.concatenate([place, given], axis=1)
        return np.asarray(evaluate_derivatives(self.table, points) @ self.projection)

    def inside(self, place: FloatArray) -> FloatArray:
        """Places `(voxel, 2)` held inside the table."""
        low, high = np.array([(axis.start, axis.stop) for axis in self.table.fitted_axes]).T
        return np.clip(place, low, high)


@dataclass(frozen=True, eq=False)
class Fit:
    """Estimates of voxels: place (log T1, log T2) and its covariance for noise of the covariance
    given `(voxel, 2, 2)`, m0, misfit: squared norm of the whitened residual, and total: that of the
    whitened coefficients.
    """

    place: FloatArray
    spread: FloatArray
    m0: Array
    misfit: FloatArray
    total: FloatArray


def grid_places(table: SignalTable) -> FloatArray:
    """Places `(atom, 2)` with T2 <= T1 on a regular grid over the table."""
    axes = [
        np.linspace(axis.start, axis.stop, size)
        for axis, size in zip(table.fitted_axes, _GRID, strict=True)
    ]
    places = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)
    return np.asarray(places[places[:, 1] <= places[:, 0]])


@np.errstate(over="ignore", invalid="ignore")
def best_on_grid(
    model: TableInBasis, whitened: Array, factor: Array, given: FloatArray
) -> FloatArray:
    """The place on the grid whose fingerprint is most like each voxel, at the mean of the given
    parameters.
    """
    places = grid_places(model.table)
    field = np.tile(np.nan_to_num(given).mean(axis=0), (len(places), 1))
    atoms = model.rows(places, field)[:, 0] @ factor.T
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    likeness = abs(whitened.astype(np.complex64) @ atoms.conj().T.astype(np.complex64))
    return np.asarray(places[likeness.argmax(axis=1)])


@np.errstate(over="ignore", invalid="ignore")
def refined(
    model: TableInBasis, values: Array, factors: Array, place: FloatArray, given: FloatArray
) -> Fit:
    """Gauss-Newton steps from `place`; factors whiten `values` `(voxel, K)`.

    The total of voxels whose whitened values are too large to compute with is NaN.
    """
    whitened = _applied(factors, values[:, None])[:, 0]
    total = energy(whitened)
    sound = total < _MOST_ENERGY
    if not sound.all():
        whitened = np.where(sound[:, None], whitened, 0)
        factors = np.where(sound[:, None, None], factors, np.eye(factors.shape[-1]))
    for _ in range(_STEPS):
        step, *_ = normal_equations(_applied(factors, model.rows(place, given)), whitened)
        step = np.clip(np.nan_to_num(step), -_LONGEST_STEP, _LONGEST_STEP)
        place = model.inside(place + step)
    _, spread, m0, residual = normal_equations(
        _applied(factors, model.rows(place, given)), whitened
    )
    return Fit(place, spread, m0, energy(residual), np.where(sound, total, np.nan))


def _applied(factors: Array, rows: Array) -> Array:
    """Factors `(voxel, K, K)` or `(K, K)` times rows `(voxel, n, K)`."""
    return np.asarray(rows @ factors.swapaxes(-1, -2))


def normal_equations(rows: Array, whitened: Array) -> tuple[FloatArray, FloatArray, Array, Array]:
    """Gauss-Newton step, its covariance, m0 and residual.

    Parameters
    ----------
    rows
        Whitened model of m0 = 1, and its derivatives by log T1 and log T2 `(voxel, 3, K)`.
    whitened
        Whitened values `(voxel, K)`.
    """
    signal, slopes = rows[:, 0], rows[:, 1:]
    power = np.maximum(energy(signal), TINY)
    m0 = (signal.conj() * whitened).sum(axis=1) / power
    residual = whitened - m0[:, None] * signal
    shares = (slopes @ signal.conj()[:, :, None])[:, :, 0] / power[:, None]
    slopes = slopes - shares[:, :, None] * signal[:, None]
    weighted = m0[:, None, None] * slopes
    information = (weighted.conj() @ weighted.swapaxes(1, 2)).real
    gradient = (weighted.conj() @ residual[:, :, None]).real[:, :, 0]
    covariance = _inverse(information)
    step = (covariance @ gradient[:, :, None])[:, :, 0]
    return step, covariance, m0, residual


def _inverse(matrices: FloatArray) -> FloatArray:
    """Inverses of symmetric `(voxel, n, n)`; very large where they are singular."""
    if matrices.shape[1] > 2:
        return _scaled_inverse(matrices)
    a, b, d = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    determinant = np.maximum(a * d - b * b, TINY + 1e-12 * a * d)
    cofactors = np.stack([np.stack([d, -b], -1), np.stack([-b, a], -1)], -2)
    return np.asarray(cofactors / determinant[:, None, None])


def _scaled_inverse(matrices: FloatArray) -> FloatArray:
    """Inverses of symmetric `(voxel, n, n)` whose rows may have any unit."""
    scale = np.sqrt(np.maximum(np.diagonal(matrices, axis1=1, axis2=2), TINY)).astype(np.float64)
    alike = matrices / (scale[:, :, None] * scale[:, None])
    alike = alike + _LEAST_SHARE * np.eye(matrices.shape[1])
    return np.asarray(np.linalg.inv(alike) / (scale[:, :, None] * scale[:, None]))


def energy(rows: Array) -> FloatArray:
    """Squared norm of each row `(...)`."""
    return np.asarray((abs(rows) ** 2).sum(axis=-1))
