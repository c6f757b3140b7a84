"""What a fit of common values found: the values, how well they are known, and how they follow
errors of what is still taken for granted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Float32Array, FloatArray
from mrftool.inference.common.linear import Linearised
from mrftool.inference.common.unknowns import Unknown
from mrftool.manifold.first_order import Following
from mrftool.manifold.influences import Influence

_MEDIAN_CHI2 = 0.4549  # of one degree of freedom
_CERTAIN = 3.0  # standard deviations of the median of squares of normal numbers
_SD_OF_MEDIAN = 2.33  # of those squares over the root of their number, relative to their median


@dataclass(frozen=True, eq=False)
class FittedValue:
    """A common value.

    Parameters
    ----------
    unknown
        What was fitted.
    common
        Its coefficients `(coefficient,)`.
    mean
        Mean change over the voxels [unit].
    noise_sd
        Standard deviation by noise [unit].
    others_sd
        Standard uncertainty by values that are still taken for granted [unit].
    spread
        Standard deviation of the voxels' own values about what was fitted, beyond that of noise
        [unit]; 0 where none shows.
    moves
        Median relative change of T1 and T2 per change of it `(2,)` [1 / unit].
    """

    unknown: Unknown
    common: FloatArray
    mean: float
    noise_sd: float
    others_sd: float
    spread: float
    moves: FloatArray

    @property
    def uncertainty(self) -> float:
        """Standard uncertainty of what voxels share [unit]."""
        return float(np.hypot(self.noise_sd, self.others_sd))

    def image(self, known: Float32Array) -> Float32Array:
        """The fitted values `(x, y, z)` from the ones that were known [unit]."""
        change = self.unknown.shapes(np.arange(known.size)) @ self.common
        return np.asarray(known + change.reshape(known.shape), np.float32)


@dataclass(frozen=True, eq=False)
class CommonFit:
    """All common values of a fit.

    Parameters
    ----------
    values
        Each of them.
    following
        Change of the fitted values per error of another one.
    """

    values: tuple[FittedValue, ...]
    following: Following

    def value_of(self, influence: Influence) -> FittedValue | None:
        """The fitted value; None where it was not fitted."""
        for value in self.values:
            if value.unknown.influence == influence:
                return value
        return None


def summarised(
    unknowns: Sequence[Unknown],
    rows: FloatArray,
    precision: FloatArray,
    common: FloatArray,
    near: Linearised,
    others: Mapping[Influence, float],
) -> CommonFit:
    """The result of a fit that has converged.

    Parameters
    ----------
    unknowns
        What was fitted.
    rows
        Change of each value per coefficient `(voxel, unknown, coefficient)` [unit].
    precision
        Inverse variances of the prior `(coefficient,)`.
    common
        Coefficients `(coefficient,)`.
    near
        The sample at the fit, with derivatives by the fitted values and then the others.
    others
        Standard uncertainties of the latter [SI unit].
    """
    n = len(unknowns)
    normal = np.einsum("vuk,vuw,vwl->kl", rows, near.gram[:, :n, :n], rows, optimize=True)
    inverse = np.linalg.pinv(normal + np.diag(precision), hermitian=True)
    covariance = _covariance(rows, near, inverse, precision)
    moved = -np.einsum("vuk,vuo->ko", rows, near.gram[:, :n, n:])
    follows = rows.mean(axis=0) @ (inverse @ moved)  # (unknown, other)
    sizes = np.array(list(others.values()))
    values = []
    for k, unknown in enumerate(unknowns):
        own = rows[:, k]
        part = np.flatnonzero(own.any(axis=0))
        values.append(
            FittedValue(
                unknown,
                common[part],
                mean=float((own @ common).mean()),
                noise_sd=float(np.sqrt(np.einsum("vk,kl,vl->v", own, covariance, own).mean())),
                others_sd=float(np.linalg.norm(follows[k] * sizes)),
                spread=_spread(near, k),
                moves=np.median(near.slopes[:, k], axis=0),
            )
        )
    return CommonFit(tuple(values), _following(unknowns, rows, covariance, follows, others))


def _covariance(
    rows: FloatArray, near: Linearised, inverse: FloatArray, precision: FloatArray
) -> FloatArray:
    """Of the coefficients: the sandwich of the scores of single voxels, with the prior."""
    n = rows.shape[1]
    scores = np.einsum("vuk,vu->vk", rows, near.cross[:, :n])
    freedom = max(len(scores) - scores.shape[1], 1)
    middle = scores.T @ scores * len(scores) / freedom + np.diag(precision)
    return np.asarray(inverse @ middle @ inverse)


def _following(
    unknowns: Sequence[Unknown],
    rows: FloatArray,
    covariance: FloatArray,
    follows: FloatArray,
    others: Mapping[Influence, float],
) -> dict[str, dict[str, float]]:
    """Changes of fitted values per error of others; of two that are fitted, the first one follows
    the noise of the second as their covariance says.
    """
    names = [unknown.influence.name for unknown in unknowns]
    found: dict[str, dict[str, float]] = {}
    for o, other in enumerate(others):
        changes = follows[:, o].tolist()
        found[other.name] = dict(zip(names, changes, strict=True))
    if len(unknowns) > 1:
        mean = rows.mean(axis=0)
        joint = mean @ covariance @ mean.T
        found[names[1]] = {names[0]: float(joint[0, 1] / max(joint[1, 1], 1e-300))}
    return found


def _spread(near: Linearised, k: int) -> float:
    """Standard deviation of the voxels' own values about the fitted ones, beyond noise.

    Each voxel's deviation has variance v by noise; the variance t^2 is added at which the median of
    deviation^2 / (v + t^2) is that of a normal distribution, where it is significantly above.
    """
    energy = near.gram[:, k, k]
    usable = energy > 0
    deviation = near.cross[usable, k] / energy[usable]
    variance = near.coloured[usable, k] / energy[usable]
    limit = _MEDIAN_CHI2 * (1 + _CERTAIN * _SD_OF_MEDIAN / np.sqrt(max(usable.sum(), 1)))
    if not usable.any() or np.median(deviation**2 / variance) < limit:
        return 0.0
    low, high = 0.0, float(np.max(deviation**2)) / _MEDIAN_CHI2
    for _ in range(60):
        middle = (low + high) / 2
        if np.median(deviation**2 / (variance + middle)) > _MEDIAN_CHI2:
            low = middle
        else:
            high = middle
    return float(np.sqrt(high))
