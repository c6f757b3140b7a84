"""Misfit, graded by what it can do to T1 and T2.

Its share is what of the residual noise does not explain, relative to the signal. The stated
uncertainties leave a residual too; they explain as much of the misfit. If the rest came from larger
errors of the same values, in proportion to their uncertainties, it would move T1 and T2 by the
systematic part x the rest / what the uncertainties leave: its severity is that over the combined
uncertainty. Errors of single voxels, as those of a B1 map, may reach twice it (coverage factor 2,
GUM 6.2). Where it is above 1 in the median voxel, the error is no accident of single voxels, and
all voxels above 1 are flagged.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.manifold.effects import NoiseShape
from mrftool.manifold.parameters import FITTED
from mrftool.physics.quantiles import chi_square_exceeded

COVERAGE_FACTOR = 2.0
_RARELY = 1e-3  # share of the voxels in which noise leaves more than it certainly explains


@dataclass(frozen=True)
class NoiseLevel:
    """Shape and level of the noise.

    Parameters
    ----------
    shape
        Beside white noise.
    sd
        Per channel, of all voxels or of each `(voxel,)` [scanner's unit]; None where it is not
        known.
    n_values
        Real numbers in the signal of a voxel.
    is_known
        Whether the level does not come from the residual of each voxel by itself.
    """

    shape: NoiseShape
    sd: float | FloatArray | None
    n_values: int
    is_known: bool

    def misfit(self, residual: FloatArray, fit: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Share of the residual that noise does not explain, relative to the signal `(voxel,)` [1],
        and the same of what it hardly ever explains. fit: its norm over time.
        """
        if self.sd is None:
            return residual, residual
        energy = np.square(fit) / np.maximum(1 - np.square(residual), 1e-12)
        noise = np.square(self.sd) * self.n_values / energy
        degrees = self.n_values / self.shape.energy_spread
        largest = chi_square_exceeded(degrees, _RARELY) / degrees
        share, certain = (
            np.sqrt(np.maximum(np.square(residual) - noise * factor, 0.0))
            for factor in (1.0, largest)
        )
        if self.shape.is_white:  # the model's own test of each voxel holds
            certain = np.where(share > 0, share, residual)
        return share, certain


def share_of_noise(residual: FloatArray, misfit: FloatArray, remainder: FloatArray) -> FloatArray:
    """Standard deviation of the noise over that of the residual `(voxel,)` [1].

    The misfit is no noise as far as the stated uncertainties explain it.

    Parameters
    ----------
    residual, misfit
        Relative to the signal `(voxel,)` [1].
    remainder
        What the stated uncertainties leave, relative to the signal `(voxel,)` [1].
    """
    explained = np.minimum(misfit, COVERAGE_FACTOR * remainder)
    share = explained / np.maximum(residual, 1e-300)
    return np.asarray(np.sqrt(np.maximum(1 - np.square(share), 0)))


def severity(
    uncertainties: Mapping[str, Array], misfit: FloatArray, remainder: FloatArray
) -> FloatArray:
    """How far the misfit could move an estimate, over its combined uncertainty `(voxel,)` [1].

    Parameters
    ----------
    uncertainties
        Columns systematic_t1, combined_t1 [s] and so on `(voxel,)`.
    misfit, remainder
        As in `share_of_noise`.
    """
    unexplained = np.sqrt(np.maximum(misfit**2 - remainder**2, 0))
    parts = np.maximum(remainder, 1e-300)
    found = np.where((remainder == 0) & (unexplained > 0), np.inf, 0.0)
    for parameter in FITTED:
        systematic = uncertainties[f"systematic_{parameter.name}"]
        combined = np.maximum(uncertainties[f"combined_{parameter.name}"], 1e-30)
        moves = systematic * unexplained / (combined * parts)
        found = np.fmax(found, moves)
    return found


def is_severe(certain: FloatArray, likely: FloatArray, typical: BoolArray) -> BoolArray:
    """Which voxels are to be flagged `(voxel,)`.

    Parameters
    ----------
    certain, likely
        Severity `(voxel,)` of the misfit that noise hardly ever explains, and of what it does not
        explain on average [1]; NaN without estimates.
    typical
        Voxels that tell what is common to all `(voxel,)`.
    """
    severe = certain > COVERAGE_FACTOR
    both = np.minimum(certain, likely)
    if typical.any() and np.nanmedian(both[typical]) > 1:
        severe |= likely > 1
    return np.asarray(severe)
