"""What the air around a head tells of magnitudes: from how many coils they come.

Magnitudes of nothing but noise follow a chi distribution with two degrees of freedom for each coil
of a root sum of squares: the ratio of their mean and standard deviation tells the number of coils.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.physics.noise import noise_ratio
from mrftool.scan.series import Series

_LEAST_VOXELS = 50
_DARK = 0.5  # of the 98th percentile of the levels, below which a voxel may be air
_LAGS = 8  # at which noise is not correlated over time
_CERTAIN = 4.0  # standard deviations of their sum
_LARGEST_SPREAD = 0.2  # relative, of the level of air
_MOST_COILS = 64
_FACTOR = 1.5  # between the numbers of coils that contradict each other


@dataclass(frozen=True)
class Background:
    """Voxels of nothing but noise.

    Parameters
    ----------
    n_voxels
        How many were looked at.
    ratio
        Mean over standard deviation of their magnitudes [1].
    """

    n_voxels: int
    ratio: float

    @property
    def coils(self) -> int:
        """The number of coils that gives the nearest ratio."""
        ratios = np.array([noise_ratio(coils) for coils in range(1, _MOST_COILS + 1)])
        return 1 + int(np.argmin(np.abs(np.log(ratios / self.ratio))))

    def contradicts(self, coils: int) -> bool:
        """Whether the noise is clearly not that of a number of coils."""
        return max(self.coils / coils, coils / self.coils) > _FACTOR


def background_of(series: Series) -> Background | None:
    """The background of magnitudes; None of complex signals, or where too few voxels are air."""
    if series.form != "magnitude":
        return None
    levels = np.zeros(series.n_voxels)
    ratios = np.zeros(series.n_voxels)
    for voxels, signal in series.blocks():
        levels[voxels], ratios[voxels] = _level_and_ratio(signal)
    bright = levels[levels > 0]
    if not bright.size:
        return None
    air = (ratios > 0) & (levels < _DARK * np.percentile(bright, 98.0))
    if np.count_nonzero(air) < _LEAST_VOXELS:
        return None
    typical = np.median(levels[air])
    air &= np.abs(levels - typical) < _LARGEST_SPREAD * typical
    if np.count_nonzero(air) < _LEAST_VOXELS:
        return None
    return Background(int(np.count_nonzero(air)), float(np.median(ratios[air])))


def _level_and_ratio(signal: Array) -> tuple[FloatArray, FloatArray]:
    """Mean over time, and mean over standard deviation; 0 where the signal has a shape over time,
    as fingerprints have `(voxel,)`.
    """
    values = signal.astype(np.float64)
    n_time = values.shape[1]
    mean = values.mean(axis=1)
    left = values - mean[:, None]
    variance = np.mean(np.square(left), axis=1)
    usable = np.isfinite(variance) & (variance > 0) & (n_time > 2 * _LAGS)
    scale = np.where(usable, variance, 1.0)
    total = np.zeros(len(values))
    for lag in range(1, _LAGS + 1):
        total += np.square((left[:, lag:] * left[:, :-lag]).sum(axis=1) / (scale * n_time))
    # Each is about normal with variance 1 / n_time.
    excess = (n_time * total - _LAGS) / np.sqrt(2 * _LAGS)
    is_noise = usable & (excess < _CERTAIN)
    return np.where(usable, mean, 0.0), np.where(is_noise, mean / np.sqrt(scale), 0.0)
