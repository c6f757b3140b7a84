"""Noise: complex and white, by mrftool's one definition of SNR, and that of magnitudes.

SNR is the root mean square over time of a fingerprint's magnitude, divided by the standard
deviation of the noise in each of the real and imaginary channels.

Magnitudes in noise: of one coil (Rice's distribution), or root sums of squares of several.

The root of the sum of squares of `coils` coils, each with noise of standard deviation 1 in its real
and its imaginary channel, follows a non-central chi distribution with 2 coils degrees of freedom.
Its non-centrality u is the root of the sum of squares without noise. One coil gives Rice's
distribution, and Rayleigh's where u is 0.

Mean f and variance v follow from one number, the excess e = f^2 - u^2 - (2 coils - 1) = 1 - v,
which falls from about 1/2 to (coils - 1/2) / u^2.

Sources: C. D. Constantinides, E. Atalar, E. R. McVeigh, Magn Reson Med 38:852 (1997), doi
10.1002/mrm.1910380524 (several coils). H. Gudbjartsson and S. Patz, Magn Reson Med 34:910 (1995),
doi 10.1002/mrm.1910340618 (one coil).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mrftool.arrays import Array, ComplexArray, FloatArray
from mrftool.errors import ArgumentError

_NODES = 400
_FAR = 12.0  # u / sqrt(coils) up to which the excess is computed; beyond, its series holds to 1e-4
_ROUNDS = 4
_SPREAD = 9.0  # standard deviations of a Poisson distribution that count
# Of one coil, fitted up to u = 40; the mean is right to 1.4e-4.
_RICE_TOP = (np.pi / 2 - 1, 0.03937463, 0.01843151 / 2)
_RICE_BOTTOM = (0.45045679, 0.08620228, 0.01843151)


def level_of(signal: Array) -> FloatArray:
    """Root mean square over time of each fingerprint `(voxel,)`, in the unit of the signal."""
    return np.asarray(np.sqrt(np.mean(np.abs(signal).astype(np.float64) ** 2, axis=1)))


def noise_sd(signal: ComplexArray, snr: float, *, common: bool) -> FloatArray:
    """Standard deviation of the noise that gives fingerprints an SNR.

    Parameters
    ----------
    signal : array (voxel, time)
        Fingerprints [m0].
    snr
        More than 0 [1].
    common
        One level for all voxels, as a scanner has it: the root mean square voxel then has the SNR.
        Otherwise every voxel has it.

    Returns
    -------
    array (voxel,)
        Standard deviation in each channel [m0].

    Raises
    ------
    ArgumentError
        Unless the SNR is more than 0.
    """
    if not snr > 0:
        raise ArgumentError(f"SNR {snr:g}, expected more than 0")
    level = level_of(signal)
    if common and level.size:
        level = np.full_like(level, np.sqrt(np.mean(level**2)))
    return np.asarray(level / snr, np.float64)


def complex_noise(shape: tuple[int, ...], random: np.random.Generator) -> ComplexArray:
    """White noise of standard deviation 1 in the real and in the imaginary part."""
    both = random.standard_normal((*shape, 2), np.float32)
    return both.view(np.complex64)[..., 0]


def add_noise(signal: Array, sd: FloatArray, random: np.random.Generator) -> ComplexArray:
    """Fingerprints with complex white noise; nothing is drawn where all of `sd` is 0.

    Parameters
    ----------
    signal : array (voxel, time)
        Fingerprints, real or complex [m0].
    sd : array (voxel,)
        Standard deviation in each channel [m0].
    random
        Generator of the noise.

    Returns
    -------
    array (voxel, time)
        In single precision [m0].
    """
    if not sd.any():
        return np.asarray(signal, np.complex64)
    return with_noise(signal, complex_noise(signal.shape, random), sd)


def with_noise(signal: Array, noise: ComplexArray, sd: FloatArray) -> ComplexArray:
    """Fingerprints `(voxel, time)` with noise that was drawn, in single precision [m0].

    Parameters
    ----------
    signal
        Fingerprints, real or complex `(voxel, time)` [m0].
    noise
        Of standard deviation 1 in each channel `(voxel, time)` [1].
    sd
        Standard deviation in each channel `(voxel,)` [m0].
    """
    return np.asarray(signal + noise * sd[:, None].astype(np.float32), np.complex64)


def rician_moments(ratio: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of magnitudes in noise of standard deviation 1 in each channel.

    ratio: magnitude without noise over the noise's standard deviation [1].
    Source: H. Gudbjartsson and S. Patz, Magn Reson Med 34:910 (1995).
    """
    from scipy.special import i0e, i1e  # heavy

    half = np.asarray(ratio, np.float64) ** 2 / 2
    mean = np.sqrt(np.pi / 2) * ((1 + half) * i0e(half / 2) + half * i1e(half / 2))
    return mean, np.maximum(2 + 2 * half - mean**2, 2 - np.pi / 2)


@dataclass(frozen=True)
class ExcessFormula:
    """The excess as a ratio of polynomials in q = u^2: (t0 + t1 q + t2 q^2) / (1 + b1 q + b2 q^2 +
    b3 q^3).
    """

    top: tuple[float, float, float]
    bottom: tuple[float, float, float]

    def at(self, q: FloatArray) -> FloatArray:
        """Its value at q = u^2 [1]."""
        (t0, t1, t2), (b1, b2, b3) = self.top, self.bottom
        return np.asarray(((t2 * q + t1) * q + t0) / (((b3 * q + b2) * q + b1) * q + 1))


@lru_cache(maxsize=8)
def excess_formula(coils: int) -> ExcessFormula:
    """The formula for a number of coils; the mean of magnitudes is right to 2e-4."""
    if coils == 1:
        return ExcessFormula(_RICE_TOP, _RICE_BOTTOM)
    from scipy.optimize import least_squares  # heavy

    u = np.linspace(0, _FAR, _NODES)
    q, exact = u**2, _exact_excess(u * np.sqrt(coils), coils)

    def formula(x: FloatArray) -> ExcessFormula:
        t1, b1, b2, b3 = (float(value) for value in np.exp(x))
        asymptote = b3 * (coils - 0.5) / coils
        return ExcessFormula((float(exact[0]), t1, asymptote), (b1, b2, b3))

    first = np.log([0.05, 0.5, 0.1, 0.02])
    found = formula(least_squares(lambda x: formula(x).at(q) - exact, first).x)
    top = tuple(value / coils**k for k, value in enumerate(found.top))
    bottom = tuple(value / coils ** (1 + k) for k, value in enumerate(found.bottom))
    return ExcessFormula(top, bottom)


def moments(ratio: FloatArray, coils: int = 1) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of magnitudes in noise of standard deviation 1 in each channel.

    Parameters
    ----------
    ratio
        Magnitude without noise over the standard deviation of the noise [1].
    coils
        Whose root sum of squares it is.
    """
    if coils == 1:
        return rician_moments(ratio)
    q = np.asarray(ratio, np.float64) ** 2
    excess = excess_formula(coils).at(q)
    return np.sqrt(q + 2 * coils - 1 + excess), 1 - excess


def noise_of_misfit(mean_square: FloatArray, magnitude: FloatArray, coils: int) -> FloatArray:
    """Standard deviation of the noise per channel `(voxel,)` that leaves a misfit.

    Parameters
    ----------
    mean_square
        Of the difference between magnitudes and their expectation `(voxel,)` [scanner's unit^2].
    magnitude
        Without noise `(voxel, time)` [scanner's unit].
    coils
        Whose root sum of squares the magnitudes are.
    """
    sd = np.sqrt(mean_square)
    for _ in range(_ROUNDS):
        variance = moments(magnitude / sd[:, None], coils)[1].mean(axis=1)
        sd = np.sqrt(mean_square / variance)
    return np.asarray(sd)


def as_of_one_coil(
    signal: FloatArray, magnitude: FloatArray, sd: FloatArray, coils: int
) -> FloatArray:
    """Magnitudes of several coils, less what their noise adds beyond that of one `(voxel, time)`.

    Parameters
    ----------
    signal, magnitude
        With and without noise `(voxel, time)` [scanner's unit].
    sd
        Standard deviation of the noise per channel `(voxel,)` [scanner's unit].
    coils
        Whose root sum of squares the signal is.
    """
    ratio = magnitude / sd[:, None]
    excess = moments(ratio, coils)[0] - moments(ratio)[0]
    return np.asarray(signal - sd[:, None] * excess)


def noise_ratio(coils: int = 1) -> float:
    """Mean over standard deviation of magnitudes of nothing but noise [1]."""
    mean, variance = noise_moments(coils)
    return float(mean / np.sqrt(variance))


def noise_moments(coils: int) -> tuple[float, float]:
    """Mean and variance of magnitudes of nothing but noise of standard deviation 1."""
    mean = math.sqrt(2) * math.exp(math.lgamma(coils + 0.5) - math.lgamma(coils))
    return mean, 2 * coils - mean**2


def largest_noise_ratio(n_time: int, false_alarm: float, coils: int = 1) -> float:
    """Largest ratio of mean and standard deviation that `n_time` magnitudes of nothing but noise
    have, but for a share of false alarms [1].

    The spread of the ratio follows from skewness and kurtosis to first order in 1 / n_time.
    """
    from statistics import NormalDist  # heavy

    mean, variance = noise_moments(coils)
    # Raw moments of a chi distribution with 2 coils degrees of freedom.
    second, third, fourth = 2 * coils, mean * (2 * coils + 1), 4 * coils * (coils + 1)
    skewness = (third - 3 * mean * second + 2 * mean**3) / variance**1.5
    kurtosis = (fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4) / variance**2
    ratio = mean / np.sqrt(variance)
    spread = np.sqrt((1 - ratio * skewness + ratio**2 * (kurtosis - 1) / 4) / n_time)
    return float(ratio - NormalDist().inv_cdf(false_alarm) * spread)


def _exact_excess(u: FloatArray, coils: int) -> FloatArray:
    """From the mean, a Poisson mixture of those of central chi distributions."""
    from scipy.special import gammaln

    half = u**2 / 2
    last = int(half.max() + _SPREAD * np.sqrt(half.max()) + 60)
    k = np.arange(last)[:, None]
    log_weight = k * np.log(np.maximum(half, 1e-300)) - half - gammaln(k + 1.0)
    weight = np.where((k == 0) & (half == 0), 1.0, np.exp(log_weight))
    root = np.sqrt(2) * np.exp(gammaln(coils + k + 0.5) - gammaln(coils + k))
    mean = (weight * root).sum(axis=0) / weight.sum(axis=0)
    return np.asarray((mean - u) * (mean + u) - (2 * coils - 1))
