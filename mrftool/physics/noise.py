"""Complex white noise by mrftool's one definition of SNR.

SNR is the root mean square over time of a fingerprint's magnitude, divided by the standard
deviation of the noise in each of the real and imaginary channels.
"""

import numpy as np

from mrftool.arrays import ComplexArray, FloatArray
from mrftool.errors import ArgumentError


def noise_sd(signal: ComplexArray, snr: float, *, common: bool) -> FloatArray:
    """Standard deviation of the noise per channel `(voxel,)` [m0] that gives `signal` `(voxel,
    time)` this SNR.

    common: one level for all voxels, as a scanner has it: the root mean square voxel then has the
    SNR. Otherwise every voxel has it. Raises ArgumentError unless snr > 0.
    """
    if not snr > 0:
        raise ArgumentError(f"SNR {snr:g}, expected more than 0")
    power = np.mean(np.abs(signal).astype(np.float64) ** 2, axis=1)
    if common:
        power = np.full_like(power, power.mean() if power.size else 0.0)
    return np.asarray(np.sqrt(power) / snr, np.float64)


def add_noise(signal: ComplexArray, sd: FloatArray, random: np.random.Generator) -> ComplexArray:
    """`signal` `(voxel, time)` plus complex white noise of standard deviation sd `(voxel,)` per
    channel [m0].
    """
    noise = random.standard_normal((*signal.shape, 2), np.float32).view(np.complex64)[..., 0]
    return np.asarray(signal + noise * sd[:, None].astype(np.float32), np.complex64)
