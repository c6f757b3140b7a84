"""The noise of a whole scan, from the residual of a sample of its voxels: its shape and level."""

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.inference.assessment.sample import SampledResiduals
from mrftool.manifold.effects import NoiseShape
from mrftool.physics.noise import rician_moments

_LONGEST_LAG = 100
_LEAST_CORRELATION = 0.01  # where the autocorrelation counts as over
_QUIET = 1.5  # times the variance of the best quarter
_ROUNDS = 4
_STEP = 1e-3  # of the ratio of signal and noise, for the slope of their mean magnitude
_LEAST_LINEAR = 0.1
_MOST_TAKEN = 0.1  # of the noise, by the fit
_VOXELS_OF_SPECTRUM = 32  # at a time
_EMPTY_CHANNEL = 0.5  # of the variances of both channels: noise this uneven is not circular


def quietest(sample: SampledResiduals) -> SampledResiduals:
    """Voxels whose noise is about that of the best quarter: misfits of single voxels, as from
    mixed tissues, do not count as noise.
    """
    variance = np.square(sample.noise_sd)
    return sample[variance <= _QUIET * np.quantile(variance, 0.25)]


def noise_shape(sample: SampledResiduals) -> NoiseShape:
    """How the residual's noise differs from white, circular noise.

    The autocorrelation counts up to the first lag where it is over. The fit takes up as much noise
    as its unknowns hold, slow noise more than its share; that is added again.
    """
    best = quietest(sample)
    noise = best.noise
    observed = _autocorrelation(noise)
    least = max(_LEAST_CORRELATION, 3 / np.sqrt(noise.size))
    taken = sample.n_unknowns / sample.n_values
    is_over = np.flatnonzero(observed * (1 - taken) + taken < least)
    if is_over.size:
        observed = observed[: int(is_over[0])]
    if not np.iscomplexobj(noise):
        observed = _of_channels(observed, _linear_share(best))
    for _ in range(_ROUNDS):
        correlation = observed * (1 - taken) + taken
        time = 1 + 2 * correlation[1:].sum()
        taken = min(sample.n_unknowns * time / sample.n_values, _MOST_TAKEN)
    variance = (1 - sample.n_unknowns / sample.n_values) / (1 - taken)
    covariance = correlation * max(variance, 1.0)
    if not np.iscomplexobj(noise):
        return NoiseShape(covariance)
    own, other = (noise.real**2).mean(), (noise.imag**2).mean()
    mean = (own + other) / 2
    if min(own, other) > _EMPTY_CHANNEL * max(own, other):
        own = other = mean
    return NoiseShape(covariance, float(own / mean), float(other / mean))


def _linear_share(sample: SampledResiduals) -> float:
    """Share of the variance of magnitudes that follows the channel along the signal, mean over
    voxels and frames [1]: 1 of strong signals, 0 of noise alone.
    """
    ratio = np.abs(sample.model) / sample.noise_sd[:, None]
    _, variance = rician_moments(ratio)
    slope = (rician_moments(ratio + _STEP)[0] - rician_moments(ratio)[0]) / _STEP
    return float(np.clip(np.mean(np.square(slope) / variance), _LEAST_LINEAR, 1.0))


def _of_channels(correlation: FloatArray, linear: float) -> FloatArray:
    """Correlation of the channels from that of magnitudes, by lag.

    With r that of the channels, the part of magnitudes that is linear in them has the correlation
    r, and the rest, next to all of which is quadratic, r^2 (the expansion of a function of normal
    numbers by Hermite polynomials, of which that of order n has the correlation r^n; F. G. Mehler,
    J. Reine Angew. Math. 66:161, 1866).
    """
    curved = 1 - linear
    root = np.sqrt(np.maximum(linear**2 + 4 * curved * correlation, 0.0))
    return np.asarray(2 * correlation / (linear + root))


def _autocorrelation(noise: Array) -> FloatArray:
    """Of noise `(voxel, time)`, mean over voxels `(lag,)`; the first is 1."""
    n_time = noise.shape[1]
    n_lags = min(_LONGEST_LAG, n_time // 4)
    values = lagged_sums(noise, n_lags) / (n_time - np.arange(n_lags))
    return np.asarray(values / values[0])


def lagged_sums(noise: Array, n_lags: int) -> FloatArray:
    """Sums over voxels and time of the products of noise `(voxel, time)` at each lag `(lag,)`.

    By way of the power spectrum, padded so that no lag wraps around (Wiener-Khinchin).
    """
    n_voxels, n_time = noise.shape
    length = 1 << (n_time + n_lags).bit_length()
    power = np.zeros(length)
    for start in range(0, n_voxels, _VOXELS_OF_SPECTRUM):
        spectrum = np.fft.fft(noise[start : start + _VOXELS_OF_SPECTRUM], length)
        power += np.square(np.abs(spectrum)).sum(axis=0, dtype=np.float64)
    return np.asarray(np.fft.ifft(power).real[:n_lags])


def shared_misfit(sample: SampledResiduals) -> float:
    """Share of the noise's variance that voxels of similar tissue have in common [1].

    Noise of different voxels is independent, whatever its spectrum; model errors are not.
    """
    noise = sample.noise
    shared = (noise[1:].conj() * noise[:-1]).real.mean()
    return float(np.clip(shared / (np.abs(noise) ** 2).mean(), 0.0, 1.0))


def typical_noise_sd(sample: SampledResiduals) -> float:
    """Median over voxels of the noise's standard deviation, mean over both channels [scanner's
    unit], less what voxels have in common.
    """
    best = quietest(sample)
    return float(np.median(best.noise_sd) * np.sqrt(1 - shared_misfit(best)))


def channel_noise_sd(sample: SampledResiduals) -> float:
    """Standard deviation of the noise in each channel that holds any [scanner's unit]."""
    shape = noise_shape(sample)
    return typical_noise_sd(sample) * float(np.sqrt(max(shape.in_phase, shape.quadrature)))
