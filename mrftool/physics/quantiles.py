"""What chi-square and F variables rarely exceed.

Their densities are integrated from far above. scipy has these quantiles too, but to import them
takes a quarter of the time of an export.
"""

import math
from collections.abc import Callable

import numpy as np

from mrftool.arrays import FloatArray

_PAIRS = 8192  # of intervals
_TAIL = 12.0  # standard deviations, and more, above which nothing is left
_LEAST_TAIL = 110.0  # the logarithm of odds that are left out
_ROUNDS = 6  # of Newton's method within a pair of intervals


def chi_square_exceeded(degrees: float, probability: float) -> float:
    """What a chi-square variable exceeds with a probability, to 1e-7.

    Parameters
    ----------
    degrees
        Degrees of freedom, at least a half [1].
    probability
        Up to a half, for less than one degree a tenth [1].
    """
    half = degrees / 2

    def log_density(values: FloatArray) -> FloatArray:
        return np.asarray((half - 1) * np.log(values) - values / 2)

    norm = math.lgamma(half) + half * math.log(2)
    most = degrees + _TAIL * (math.sqrt(2 * degrees) + _TAIL)
    return _exceeded(log_density, norm, (degrees / 8, most), probability)


def f_exceeded(above: float, below: float, probability: float) -> float:
    """What an F-distributed ratio of two variances exceeds with a probability, to 1e-7.

    Parameters
    ----------
    above, below
        Degrees of freedom of the numerator and of the denominator, at least 1 [1].
    probability
        Up to a quarter [1].
    """
    a, b = above / 2, below / 2

    def log_density(logarithms: FloatArray) -> FloatArray:  # of the logarithm of the ratio
        odds = logarithms + math.log(above / below)
        return np.asarray(a * odds - (a + b) * np.logaddexp(0, odds))

    norm = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    most = _TAIL * math.sqrt(2 / above + 2 / below) + _LEAST_TAIL / below
    return math.exp(_exceeded(log_density, norm, (0.0, most), probability))


def _exceeded(
    log_density: Callable[[FloatArray], FloatArray],
    norm: float,
    ends: tuple[float, float],
    probability: float,
) -> float:
    """Where the integral of a density from the upper end down is `probability`, by Simpson's rule.

    norm: logarithm of what the density is divided by.
    """
    values = np.linspace(*ends, 2 * _PAIRS + 1)
    density = np.exp(log_density(values) - norm)
    step = values[1] - values[0]
    first, middle, last = density[:-2:2], density[1::2], density[2::2]
    integrals = np.cumsum((first + 4 * middle + last)[::-1])[::-1] * step / 3
    k = int(np.searchsorted(-integrals, -probability, side="right")) - 1
    linear = (4 * middle[k] - 3 * first[k] - last[k]) / 2  # the parabola through a pair
    square = (first[k] - 2 * middle[k] + last[k]) / 2
    u = 0.0
    for _ in range(_ROUNDS):
        integral = step * u * (first[k] + u * (linear / 2 + u * square / 3))
        slope = step * (first[k] + u * (linear + u * square))
        u += (integrals[k] - probability - integral) / slope
    return float(values[2 * k] + step * u)
