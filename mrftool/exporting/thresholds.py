"""When a voxel is flagged: thresholds from chosen false-alarm rates. mrftool.quantities.Flag says
what the bits mean.

A voxel fits when the misfit inside the compressed space, where the sequence's fingerprints live,
and along a few directions in which model errors show, is no larger than noise as strong as that
elsewhere would leave: a ratio of two variances, F-distributed.
"""

from dataclasses import dataclass

from mrftool.inference.foreground import FALSE_ALARM, detection_limit
from mrftool.physics.quantiles import chi_square_exceeded, f_exceeded

UNDETERMINED = 0.5  # a standard deviation above this share of the value does not determine it
# Relative misfit below which no voxel is called a bad fit: the errors of the table and of single
# precision.
LEAST_MISFIT = 1e-3


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


def thresholds(n_values: int, n_inside: int, n_fitted: int, coils: int = 1) -> Thresholds:
    """For signals of `n_values` real numbers, `n_inside` of them in telling directions, and
    `n_fitted` parameters.
    """
    inside, outside = max(n_inside - n_fitted, 1), max(n_values - n_inside, 1)
    return Thresholds(
        inside=inside,
        outside=outside,
        ratio=f_exceeded(inside, outside, FALSE_ALARM),
        inside_known=chi_square_exceeded(inside, FALSE_ALARM / 2),
        total_known=chi_square_exceeded(n_values - n_fitted, FALSE_ALARM / 2),
        detected=detection_limit(),
        noise_energy=chi_square_exceeded(2 * coils * n_values, FALSE_ALARM),
    )
