"""T1, T2 and M0 of all voxels at once, from raw data: experimental.

Gauss-Newton on log T1, log T2 and M0 through the normal operator N = A^H A and b = A^H y alone,
with a wide temporal basis. Preconditioned conjugate gradients solve each step. Where each voxel
holds one tissue the estimate reaches the Cramer-Rao bound of the raw data; partial volume, which
the model does not have, biases it.

Error bars are probed: the diagonal of the inverse information is the mean of z times its solution
for random signs z (C. Bekas, E. Kokiopoulou, Y. Saad, Appl Numer Math 57:1214, 2007, doi
10.1016/j.apnum.2007.01.003).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.reconstruction.conjugate_gradient import conjugate_gradient
from mrftool.reconstruction.encoding.toeplitz import NormalOperator

Model = Callable[[FloatArray], Array]  # place (log T1, log T2) to rows `(voxel, 3, K)`

_LONGEST_STEP = 0.4  # in log T1 and log T2 [1]
_TOLERANCE = 3e-3  # relative, of each step's equations
_TINY = 1e-12
_WIDEST = 0.5  # standard deviation of log T1 and log T2 where the data tell nothing [1]
_N_UNKNOWNS = 4  # of a voxel: log T1, log T2, M0 along and across its phase


@dataclass(frozen=True, eq=False)
class JointSettings:
    """outer: Gauss-Newton steps. inner: iterations of each. probes: for the error bars."""

    outer: int = 3
    inner: int = 20
    probes: int = 16
    seed: int = 0


@dataclass(frozen=True, eq=False)
class JointEstimate:
    """place: log T1, log T2 `(voxel, 2)` [log s]. m0 `(voxel,)`. spread: standard deviations of
    the place `(voxel, 2)`, None without probes.
    """

    place: FloatArray
    m0: Array
    spread: FloatArray | None


class JointProblem:
    """The normal equations in the tissue parameters of the voxels in a mask `(x, y)`."""

    def __init__(
        self,
        operator: NormalOperator,
        model: Model,
        mask: BoolArray,
        *,
        scale: float,
        noise_sd: float,
    ) -> None:
        """scale: N is about this times 1. noise_sd: of each channel of the raw data."""
        self._operator, self._model, self._mask = operator, model, mask
        self._scale, self._noise_sd = scale, noise_sd
        # Steps of voxels without signal stay short: as if log T1 and log T2 were known so well.
        self._damping = (noise_sd / _WIDEST) ** 2 * np.array([1.0, 1.0, 0.0, 0.0])

    def solve(
        self,
        right_side: Array,
        place: FloatArray,
        m0: Array,
        settings: JointSettings,
        inside: Callable[[FloatArray], FloatArray],
    ) -> JointEstimate:
        """Estimates from a start `place` `(voxel, 2)`, `m0` `(voxel,)`.

        Parameters
        ----------
        right_side
            b = A^H y `(K, x, y)`.
        inside
            Holds places inside the model's range.
        """
        columns = right_side[:, self._mask].T
        for _ in range(settings.outer):
            rows = self._model(place)
            left = columns - self._normal(m0[:, None] * rows[:, 0])
            gradient = _to_parameters(rows, m0, left)
            step = self._solved(rows, m0, gradient, settings.inner)
            moved = np.clip(step[:, :2], -_LONGEST_STEP, _LONGEST_STEP)
            place = inside(place + moved)
            m0 = m0 + _phase(m0) * (step[:, 2] + 1j * step[:, 3])
        spread = None
        if settings.probes:
            spread = self._noise_sd * self._probed(self._model(place), m0, settings)
        return JointEstimate(place, m0, spread)

    def _normal(self, columns: Array) -> Array:
        """N on columns `(voxel, K)`."""
        images = np.zeros((columns.shape[1], *self._mask.shape), np.complex64)
        images[:, self._mask] = columns.T
        return self._operator(images)[:, self._mask].T

    def _solved(self, rows: Array, m0: Array, right: FloatArray, iterations: int) -> FloatArray:
        inverse = _block_inverses(rows, m0, self._scale, self._damping)

        def information(step: Array) -> Array:
            image = self._normal(_to_coefficients(rows, m0, step))
            return _to_parameters(rows, m0, image) + self._damping * step

        def precondition(residual: Array) -> Array:
            return np.asarray(np.einsum("vij,vj->vi", inverse, residual))

        solution = conjugate_gradient(
            information, right, iterations, precondition=precondition, tolerance=_TOLERANCE
        )
        return np.asarray(solution.x, np.float64)

    def _probed(self, rows: Array, m0: Array, settings: JointSettings) -> FloatArray:
        """Square roots of the inverse information's diagonal, of log T1 and log T2 `(voxel, 2)`.

        The inverses of the blocks are known exactly: only the difference to them is probed.
        """
        random = np.random.default_rng(settings.seed)
        inverse = _block_inverses(rows, m0, self._scale, self._damping)
        known = np.diagonal(inverse, axis1=1, axis2=2)[:, :2]
        total = np.zeros_like(known)
        for _ in range(settings.probes):
            signs = random.choice([-1.0, 1.0], (len(m0), _N_UNKNOWNS))
            solved = self._solved(rows, m0, signs, settings.inner)
            easy = np.einsum("vij,vj->vi", inverse, signs)
            total += (signs * (solved - easy))[:, :2]
        variance = known + total / settings.probes
        return np.asarray(np.sqrt(np.maximum(variance, known / 4)))


def _phase(m0: Array) -> Array:
    return np.asarray(m0 / np.maximum(abs(m0), _TINY))


def _to_coefficients(rows: Array, m0: Array, step: Array) -> Array:
    """Change of the coefficients `(voxel, K)` for a step `(voxel, 4)`."""
    signal, by_t1, by_t2 = rows[:, 0], rows[:, 1], rows[:, 2]
    change = m0[:, None] * (by_t1 * step[:, :1] + by_t2 * step[:, 1:2])
    return np.asarray(change + (_phase(m0) * (step[:, 2] + 1j * step[:, 3]))[:, None] * signal)


def _to_parameters(rows: Array, m0: Array, columns: Array) -> FloatArray:
    """The adjoint of `_to_coefficients`: `(voxel, 4)`."""
    products = np.einsum("vik,vk->vi", rows.conj(), columns)
    along = products[:, 0] * _phase(m0).conj()
    slopes = (products[:, 1:] * m0.conj()[:, None]).real
    return np.concatenate([slopes, along.real[:, None], along.imag[:, None]], axis=1)


def _block_inverses(rows: Array, m0: Array, scale: float, damping: FloatArray) -> FloatArray:
    """Inverses `(voxel, 4, 4)` of the information of each voxel alone, N being scale times 1."""
    phase = _phase(m0)[:, None]
    parts = (m0[:, None] * rows[:, 1], m0[:, None] * rows[:, 2], phase * rows[:, 0])
    slopes = np.stack([*parts, 1j * parts[2]], axis=1)
    information = scale * (slopes.conj() @ slopes.swapaxes(1, 2)).real
    return np.asarray(np.linalg.inv(information + np.diag(damping)))
