"""Errors of estimates in units of what they can be: the Cramer-Rao bound, and their own error bars.
NumPy only.
"""

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import BoolArray, FloatArray

# Relative bound up to which an estimate is expected to behave as the theory of small errors says.
DETERMINED = 0.2
NORMAL_95 = 1.959964  # 95 % of normal errors are within as many standard deviations


def is_determined(truth: FloatArray, bound: FloatArray) -> BoolArray:
    """Where the bound is known and small enough for estimates to be compared with it."""
    return np.asarray(np.isfinite(bound) & (bound > 0) & (bound < DETERMINED * truth))


def rmse_over_bound(error: FloatArray, bound: FloatArray) -> float:
    """Root mean square of error / bound [1]: 1 for estimates without bias at the bound. Over one
    voxel or more.
    """
    return float(np.sqrt(np.mean((error / bound) ** 2)))


def calibration(error: ArrayLike, sd: ArrayLike) -> dict[str, float | None]:
    """How errors compare with the standard deviations that were reported, over those that are
    positive and finite.

    z_mean, z_sd: of error / sd (0 and 1). coverage_1sd, coverage_2sd, coverage_95: share of errors
    within 1, 2 and 1.96 sd (0.683, 0.954 and 0.95). Empty if there is nothing to compare; z_sd is
    None for one voxel.
    """
    error, sd = np.asarray(error, np.float64), np.asarray(sd, np.float64)
    use = np.isfinite(error) & np.isfinite(sd) & (sd > 0)
    if not use.any():
        return {}
    z = error[use] / sd[use]
    within = {"coverage_1sd": 1.0, "coverage_2sd": 2.0, "coverage_95": NORMAL_95}
    return {
        "z_mean": float(z.mean()),
        "z_sd": float(z.std(ddof=1)) if z.size > 1 else None,
        **{key: float(np.mean(np.abs(z) <= limit)) for key, limit in within.items()},
    }
