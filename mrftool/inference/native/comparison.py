"""Whether two ways to compute the same estimates agree to rounding."""

from collections.abc import Callable, Mapping

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.maps import is_fitted
from mrftool.quantities import Flag

_OF_DEVIATION = 0.01  # largest difference of T1 and T2, over their standard deviation
_OF_SD = 0.01  # and of standard deviations, relative
_OF_M0 = 1e-3  # and of M0, relative
# What single precision leaves open: of values, relative, and of the share of a signal's energy that
# the fit does not explain.
_OF_VALUE, _OF_MISFIT = 1e-4, 3e-6
_SHARE = 0.01  # of voxels that may differ more
_ROUNDING = 1e-7  # of single precision, relative
_TINY = 1e-20
Estimates = Mapping[str, Array]


def excess_shares(
    found: Estimates, expected: Estimates, otherwise: Callable[[], Estimates]
) -> dict[str, float]:
    """Share of the voxels whose estimates differ by more than rounding explains, by estimate.

    Parameters
    ----------
    found, expected
        Estimates by name, and the reference's.
    otherwise
        What the reference gives of signals with other rounding errors (`rounded_otherwise`). Where
        a fit starts far away, or there is nothing but noise, they decide which minimum it finds.
    """
    unequal = _unequal_shares(found, expected)
    if max(unequal.values()) <= _SHARE:
        return {}
    limit = _SHARE + 2 * max(_unequal_shares(otherwise(), expected).values())
    return {name: share for name, share in unequal.items() if share > limit}


def rounded_otherwise(values: Array) -> Array:
    """The same numbers with other rounding errors."""
    errors = np.random.default_rng(0).uniform(-_ROUNDING, _ROUNDING, values.shape)
    with np.errstate(over="ignore"):
        return np.asarray(values * (1 + errors), values.dtype)


def _unequal_shares(found: Estimates, expected: Estimates) -> dict[str, float]:
    """Share of the voxels whose estimates are not equal to rounding, by estimate.

    Only voxels with a fit count, and standard deviations only where they determine a parameter.
    """
    shares = {"flags": _unequal_flags(found, expected)}
    found, expected = _with_complex_m0(found), _with_complex_m0(expected)
    fitted = is_fitted(expected["flags"])
    for name, tolerance in _tolerances(expected).items():
        is_determined = fitted & np.isfinite(tolerance)
        with np.errstate(invalid="ignore"):  # infinities are equal, and have no difference
            is_near = np.abs(found[name] - expected[name]) <= tolerance
        unequal = ~is_near & (found[name] != expected[name])
        shares[name] = float(unequal[is_determined].sum() / max(is_determined.sum(), 1))
    return shares


def _unequal_flags(found: Estimates, expected: Estimates) -> float:
    """Share of the voxels with other flags, or with estimates where there should be none."""
    unequal = found["flags"] != expected["flags"]
    for name, values in expected.items():
        differ = np.isnan(found[name]) != np.isnan(values)
        unequal |= differ.reshape(len(unequal), -1).any(axis=1)
    return float(unequal.mean())


def _with_complex_m0(estimates: Estimates) -> Estimates:
    """m0 as complex numbers where it is given in parts `(voxel, 2)`."""
    m0 = estimates["m0"]
    if m0.ndim == 1:
        return estimates
    return {**estimates, "m0": m0[:, 0] + 1j * m0[:, 1]}


def _tolerances(expected: Estimates) -> dict[str, FloatArray]:
    """Of each estimate `(voxel,)` [its unit]; NaN where any difference will do."""
    residual = np.maximum(expected["residual"], _TINY)
    of_residual = _OF_MISFIT / residual
    found = {"m0": _OF_M0 * np.abs(expected["m0"]), "residual": of_residual}
    for name, flag in (("t1", Flag.T1_UNDETERMINED), ("t2", Flag.T2_UNDETERMINED)):
        deviation = expected[f"sd_{name}"]
        found[name] = _OF_DEVIATION * deviation + _OF_VALUE * expected[name]
        is_open = (expected["flags"] & int(flag)) > 0
        of_deviation = (_OF_SD + of_residual / residual) * deviation
        found[f"sd_{name}"] = np.where(is_open, np.nan, of_deviation)
    return found
