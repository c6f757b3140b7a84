"""When a voxel is flagged: thresholds from chosen false-alarm rates. mrftool.quantities.Flag says
what
the bits mean.

A voxel fits when the misfit inside the compressed space, where the sequence's fingerprints live,
and along a few directions in which model errors show, is no larger than noise as strong as that
elsewhere would leave: a ratio of two variances, F-distributed.
"""

from dataclasses import dataclass

import numpy as np

FALSE_ALARM = 1e-3  # of MISFIT, for a voxel of the right model and white noise
UNDETERMINED = 0.5  # a standard deviation above this share of the value does not determine it
# Relative misfit below which no voxel is called a bad fit: the errors of the table and of single
# precision.
LEAST_MISFIT = 1e-3
_SEARCHED = 1e4  # independent fingerprints that the search can choose among, generously


@dataclass(frozen=True)
class Thresholds:
    """Limits of the tests for MISFIT.

    inside, outside: degrees of freedom of the misfit in those directions, and in all others.
    ratio: largest (misfit inside / inside) / (misfit outside / outside).
    inside_known, total_known: largest misfit / noise variance, inside and altogether, for a given
    noise level.
    detected: least energy explained / noise variance of a signal that is no noise.
    noise_energy: largest energy / noise variance of magnitudes that are nothing but noise.
    """

    inside: int
    outside: int
    ratio: float
    inside_known: float
    total_known: float
    detected: float
    noise_energy: float


def thresholds(n_values: int, n_inside: int, n_fitted: int) -> Thresholds:
    """For signals of `n_values` real numbers, `n_inside` of them in telling directions, and
    `n_fitted` parameters.
    """
    from scipy import special

    inside, outside = max(n_inside - n_fitted, 1), max(n_values - n_inside, 1)
    return Thresholds(
        inside=inside,
        outside=outside,
        ratio=float(special.fdtri(inside, outside, 1 - FALSE_ALARM)),
        inside_known=float(special.chdtri(inside, FALSE_ALARM / 2)),
        total_known=float(special.chdtri(n_values - n_fitted, FALSE_ALARM / 2)),
        detected=float(2 * np.log(_SEARCHED / FALSE_ALARM)),
        noise_energy=float(special.chdtri(2 * n_values, FALSE_ALARM)),
    )


def rayleigh_ratio(n_time: int) -> float:
    """Largest ratio of mean and standard deviation that `n_time` magnitudes of pure noise have, but
    for false alarms.

    Rayleigh's distribution has mean sqrt(pi / 2) and variance 2 - pi / 2. The spread of the ratio
    follows from its skewness and kurtosis to first order in 1 / n_time.
    """
    from scipy import special

    variance = 2 - np.pi / 2
    skewness = np.sqrt(np.pi / 2) * (np.pi - 3) / variance**1.5
    kurtosis = (8 - 3 * np.pi**2 / 4) / variance**2
    ratio = np.sqrt(np.pi / 2 / variance)
    spread = np.sqrt((1 - ratio * skewness + ratio**2 * (kurtosis - 1) / 4) / n_time)
    return float(ratio - special.ndtri(FALSE_ALARM) * spread)
