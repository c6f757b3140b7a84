"""Complex white noise by mrftool's one definition of SNR.

SNR is the root mean square over time of a fingerprint's magnitude, divided by the standard
deviation of the noise in each of the real and imaginary channels.
"""

import numpy as np

from mrftool.arrays import Array, ComplexArray, FloatArray
from mrftool.errors import ArgumentError


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
    noise = complex_noise(signal.shape, random)
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
