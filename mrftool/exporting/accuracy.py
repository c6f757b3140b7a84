"""Whether a model reaches the Cramer-Rao bound everywhere in its range, and where it does not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.errors import CheckFailedError
from mrftool.manifold.parameters import FITTED, T1, T2
from mrftool.physics.calibration import rmse_over_bound

LARGEST_RATIO = 1.2  # of RMSE and bound, in any region of tissue
_LINEAR = 0.1  # bound / value up to which it can be reached: measured, see `worst_region`
_REGIONS = 6  # along log T1 and along log T2
_LEAST_VOXELS = 50  # of a region
_CERTAIN = 3.0  # standard deviations by which chance may raise a ratio


@dataclass(frozen=True)
class RegionScore:
    """RMSE over the bound in a region of tissue, at an SNR.

    Parameters
    ----------
    parameter
        Name of the parameter.
    ratio
        RMSE / bound, less what chance may have added [1].
    t1, t2
        Median of the region [s].
    """

    parameter: str
    ratio: float
    t1: float
    t2: float

    def to_dict(self) -> dict[str, Any]:
        """As scores keep it, times in milliseconds."""
        return {
            "parameter": self.parameter,
            "rmse_over_bound": float(f"{self.ratio:.4g}"),
            "t1_ms": float(f"{1e3 * self.t1:.4g}"),
            "t2_ms": float(f"{1e3 * self.t2:.4g}"),
        }


def worst_region(
    found: dict[str, Array], reference: FloatArray, bound: FloatArray
) -> RegionScore | None:
    """The region with the largest ratio; None where none has enough voxels.

    Voxels with a bound above a tenth of the value do not count: there the signal is no longer
    linear within the noise, and no fit reaches the bound. With 48 repetitions at SNR 5, a fit that
    has converged errs 1.3 (complex) to 2.0 times (magnitudes) the bound where that is up to a
    fifth of the value, and 1.1 times at most where it is up to a tenth.

    Parameters
    ----------
    found
        Estimates by name `(voxel,)` [s].
    reference, bound
        True values and their bound `(voxel, parameter)` [s].
    """
    logs = np.log(reference)
    low, high = logs.min(axis=0), logs.max(axis=0)
    place = np.clip((logs - low) / np.maximum(high - low, 1e-12) * _REGIONS, 0, _REGIONS - 1)
    region = place.astype(int) @ np.array([_REGIONS, 1])
    scores = []
    for k, parameter in enumerate(FITTED):
        reachable = (bound[:, k] > 0) & (bound[:, k] < _LINEAR * reference[:, k])
        error = found[parameter.name] - reference[:, k]
        for chosen in _groups(region, reachable):
            ratio = rmse_over_bound(error[chosen], bound[chosen, k])
            ratio /= 1 + _CERTAIN / np.sqrt(2 * len(chosen))
            t1, t2 = np.median(reference[chosen], axis=0)
            scores.append(RegionScore(parameter.name, ratio, float(t1), float(t2)))
    return max(scores, key=lambda score: score.ratio, default=None)


def _groups(region: Array, used: Array) -> Iterator[Array]:
    """Voxels of each region that are used, where there are enough."""
    for number in np.unique(region):
        chosen = np.flatnonzero((region == number) & used)
        if len(chosen) >= _LEAST_VOXELS:
            yield chosen


def require_near_bound(scores: dict[str, Any], largest: float = LARGEST_RATIO) -> None:
    """Raises CheckFailedError, naming the tissue, where a model errs more than `largest` times its
    bound in a region. scores: those of `verify`.
    """
    for key, score in scores.items():
        worst = key.startswith("snr_") and score.get("worst_region")
        if worst and worst["rmse_over_bound"] > largest:
            label = {p.name: p.label for p in (T1, T2)}[worst["parameter"]]
            tissue = f"{T1.label} {worst['t1_ms']:g} ms, {T2.label} {worst['t2_ms']:g} ms"
            ratio, snr = worst["rmse_over_bound"], key.removeprefix("snr_")
            raise CheckFailedError(
                f"at {tissue} and SNR {snr}, the error of {label} is {ratio:.2f} times its "
                f"Cramer-Rao bound, expected at most {largest:g}",
                hint="more Gauss-Newton steps, a longer training or a narrower range",
            )
