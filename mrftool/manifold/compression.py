"""Temporal compression: a few orthonormal vectors over time that span all fingerprints of a
sequence.

Source: D. F. McGivney et al., IEEE Trans Med Imaging 33:2311 (2014), doi 10.1109/TMI.2014.2337321
(SVD compression).
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, Float32Array, FloatArray
from mrftool.errors import CheckFailedError

_REAL_ENOUGH = 1e-6


@dataclass(frozen=True, eq=False)
class Basis:
    """Orthonormal temporal vectors, the first of them the phase reference.

    vectors: `(time, rank)`, complex128 (float64 for magnitudes).
    is_real: the coefficients of a fingerprint with positive m0 are real, as where all RF phases are
    equal.
    phase_factor: the factor of size 1 that makes fingerprints of positive m0 as real as can be.
    truncation: largest relative error of a compressed fingerprint among those that it was made from
    [1].
    reference_floor: smallest |first coefficient| / norm among them [1]: far from 0, the phase is
    well defined.
    """

    vectors: Array
    is_real: bool
    phase_factor: complex
    truncation: float
    reference_floor: float

    @property
    def rank(self) -> int:
        """Number of vectors."""
        return int(self.vectors.shape[1])

    @property
    def reference(self) -> Array:
        """`(time,)`: turn a signal so that its product with this is positive, and it is as real as
        can be.
        """
        return np.asarray(self.vectors[:, 0] * self.phase_factor)


def fit_basis(signals: Array, tolerance: float, *, max_rank: int | None = None) -> Basis:
    """Smallest basis that keeps each of `signals` `(voxel, time)` up to a relative error of
    `tolerance` [1].

    `max_rank` cuts it short. Raises CheckFailedError where a signal is zero or not finite.
    """
    signals = signals.astype(np.result_type(signals, np.float64))  # small differences follow
    norms = np.linalg.norm(signals, axis=1)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise CheckFailedError(
            "the sequence gives no signal for some tissue, expected a signal everywhere"
        )
    units = signals / norms[:, None]
    factor = _common_phase_factor(units)
    units = units * factor
    is_real = not np.iscomplexobj(units) or float(abs(units.imag).max()) < _REAL_ENOUGH
    units = units.real if is_real else units
    vectors = np.linalg.svd(units, full_matrices=False)[2].T
    coefficients = units @ vectors.conj()
    missing = 1 - np.cumsum(abs(coefficients) ** 2, axis=1)
    enough = np.flatnonzero(missing.max(axis=0) <= tolerance**2)
    rank = int(enough[0]) + 1 if enough.size else vectors.shape[1]
    rank = min(rank, max_rank or rank)
    rotation = _reference_rotation(coefficients[:, :rank])
    vectors = vectors[:, :rank] @ rotation
    floor = abs(units @ vectors[:, 0].conj()).min()
    worst = float(np.sqrt(max(missing[:, rank - 1].max(), 0.0)))
    return Basis(vectors * np.conj(factor), is_real, complex(factor), worst, float(floor))


def compress(signals: Array, basis: Basis) -> Array:
    """Coefficients `(voxel, rank)` of `signals` `(voxel, time)`."""
    return np.asarray(signals @ basis.vectors.conj())


def align(coefficients: Array) -> Array:
    """`(voxel, rank)` scaled to norm 1 and turned so that the first coefficient is real and
    positive; zeros stay.
    """
    first = coefficients[:, :1]
    norm = np.linalg.norm(coefficients, axis=1, keepdims=True)
    size = abs(first) * norm
    turned = np.divide(
        coefficients * first.conj(), size, out=np.zeros_like(coefficients), where=size > 0
    )
    return np.asarray(turned)


def features(signals: Array, basis: Basis) -> Float32Array:
    """What an encoder sees of `signals` `(voxel, time)`: aligned coefficients, real parts then
    imaginary parts.

    Complex signals give `(voxel, 2 * rank)`, magnitudes (a real dtype) `(voxel, rank)`.
    """
    aligned = align(compress(signals, basis))
    if not np.iscomplexobj(signals):
        return aligned.astype(np.float32)
    return np.concatenate([aligned.real, aligned.imag], axis=1).astype(np.float32)


def real_fingerprints(signals: Array, basis: Basis) -> Float32Array:
    """What a full-length encoder sees: norm 1, the reference's phase taken out, the real part
    `(voxel, time)`.
    """
    inner = (signals @ basis.reference.conj())[:, None]
    size = np.linalg.norm(signals, axis=1, keepdims=True) * abs(inner)
    turned = (signals * inner.conj()).real
    return np.asarray(
        np.divide(turned, size, out=np.zeros_like(turned), where=size > 0), np.float32
    )


def _common_phase_factor(units: Array) -> complex | float:
    """The factor of size 1 that makes `units` real, if any can; 1 for magnitudes."""
    return np.exp(-0.5j * np.angle((units**2).sum())) if np.iscomplexobj(units) else 1.0


def _reference_rotation(coefficients: Array, rounds: int = 5) -> Array:
    """Orthonormal `(rank, rank)`; the first column is as little orthogonal as can be to any row of
    `coefficients`.

    For rows of known phase that direction is the point of their convex hull that is nearest to 0:
    the widest margin. The phases of positive m0 come first, then those that the last direction saw.
    """
    best, floor, turned = coefficients[0], -1.0, coefficients
    for _ in range(rounds):
        direction = _nearest_to_zero(turned)
        seen = coefficients @ direction.conj()
        if abs(seen).min() <= floor:
            break
        best, floor = direction, abs(seen).min()
        turned = coefficients * (seen.conj() / np.maximum(abs(seen), 1e-12))[:, None]
    # the other columns hold as much as can be of what is left, in order
    left = coefficients - np.outer(coefficients @ best.conj(), best)
    rest = np.linalg.svd(left, full_matrices=False)[2][: len(best) - 1].T
    columns, lengths = np.linalg.qr(np.concatenate([best[:, None], rest], axis=1))
    return np.asarray(columns * np.sign(np.diag(lengths)))


def nonnegative_least_squares(matrix: FloatArray, wanted: FloatArray) -> FloatArray:
    """The x >= 0 `(n,)` for which matrix @ x is nearest to `wanted`.

    C. L. Lawson and R. J. Hanson, Solving Least Squares Problems (1974), ch. 23: one component
    after the other becomes positive while that brings them nearer; those that would become negative
    turn 0 again.
    """
    n = matrix.shape[1]
    x, free = np.zeros(n), np.zeros(n, bool)
    least = 10 * np.finfo(np.float64).eps * n * np.abs(matrix).sum(axis=0).max()
    for _ in range(3 * n):
        gain = np.where(free, -np.inf, matrix.T @ (wanted - matrix @ x))
        best = int(gain.argmax())
        if gain[best] <= least:
            break
        free[best] = True
        x = _feasible(matrix, wanted, x, free)
        if not free[best]:  # what it gains is rounding
            break
    return x


def _feasible(matrix: FloatArray, wanted: FloatArray, x: FloatArray, free: BoolArray) -> FloatArray:
    """Least squares over the free components, of which those that would be negative are set to 0
    and freed no longer.
    """
    while free.any():
        target = np.zeros(len(x))
        target[free] = np.linalg.lstsq(matrix[:, free], wanted, rcond=None)[0]
        blocking = free & (target <= 0)
        if not blocking.any():
            return target
        distance = np.maximum(x - target, np.finfo(np.float64).tiny)
        shares = np.where(blocking, x / distance, np.inf)
        x = x + shares.min() * (target - x)
        free &= ~(blocking & (shares <= shares.min() * (1 + 1e-12)))
        x = np.where(free, x, 0.0)
    return x


def _nearest_to_zero(rows: Array) -> Array:
    """Direction of the smallest vector in the convex hull of `rows`, by non-negative least
    squares.
    """
    flat = np.concatenate([rows.real, rows.imag], axis=1) if np.iscomplexobj(rows) else rows
    matrix = np.vstack([flat.T, np.ones(len(flat))])
    shares = nonnegative_least_squares(matrix, np.r_[np.zeros(flat.shape[1]), 1.0])
    point = shares @ rows
    size = np.linalg.norm(point)
    return np.asarray(point / size if size > 1e-12 else rows[0])
