"""What a fit leaves of a scan: averaged over voxels, and in single ones.

Noise averages out over voxels; what is left in the same frame of all of them is an error of the
model, or frames that are lost, scaled or swapped. Each voxel by itself hides it in its noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array, FloatArray, IndexArray
from mrftool.evaluation.given_values import SuspectedError, suspected_error
from mrftool.inference.assessment.frames import FrameFault, frame_residuals
from mrftool.inference.assessment.given_values import default_uncertainties
from mrftool.inference.assessment.noise import channel_noise_sd
from mrftool.inference.assessment.sample import (
    N_NEEDED,
    SampledResiduals,
    fullest_slice,
    in_slice,
    sample_residuals,
)
from mrftool.manifold.influences import influences_on
from mrftool.maps import Maps
from mrftool.quantities import Flag
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence

_ABOVE_NOISE, _ABOVE_OTHERS = 5.0, 6.0  # factors from which the residual of a frame stands out
_CERTAIN = 3.0  # standard deviations of the energy of noise
_CONSPICUOUS = 0.03  # residual of a frame below which it is never named [1]


@dataclass(frozen=True, eq=False)
class AverageResidual:
    """The residual of each frame, averaged over voxels.

    Parameters
    ----------
    size
        Its modulus, relative to the root mean square of the average signal `(time,)` [1].
    noise
        What noise alone leaves there, root mean square [1].
    n_voxels
        Number of voxels in the average.
    """

    size: FloatArray
    noise: float
    n_voxels: int

    @property
    def level(self) -> float:
        """Root mean square over the frames [1]."""
        return float(np.sqrt(np.mean(self.size**2)))

    @property
    def excess(self) -> float:
        """Root mean square over the frames that noise does not explain [1]."""
        certain = 1 + _CERTAIN * np.sqrt(2 / self.size.size)
        return float(np.sqrt(max(self.level**2 - self.noise**2 * certain, 0.0)))

    def conspicuous(self) -> IndexArray:
        """Frames whose residual stands out from noise and from most others, counted from 0."""
        limit = max(
            _ABOVE_NOISE * self.noise, _ABOVE_OTHERS * float(np.median(self.size)), _CONSPICUOUS
        )
        return np.flatnonzero(self.size > limit)


@dataclass(frozen=True, eq=False)
class VoxelFit:
    """The measured and the fitted fingerprint of a voxel, both real `(time,)` [scanner's unit].

    voxel: its indices. residual: norm of the difference / norm of the measured one [1].
    """

    voxel: tuple[int, int, int]
    measured: FloatArray
    fitted: FloatArray
    residual: float


@dataclass(frozen=True, eq=False)
class FitResiduals:
    """Of one slice of the scan.

    Parameters
    ----------
    slice_index
        Its index along the third axis.
    average
        Over its voxels.
    faults
        Frames that do not hold what the sequence says.
    typical, worst
        The voxel with the median residual, and that with the largest.
    suspected
        An error of a given value that would leave this residual, if one would.
    frames
        Index in the scan of each frame that was fitted `(time,)`; None where all were.
    noise_sd
        Standard deviation of the noise in each channel that holds any [scanner's unit].
    """

    slice_index: int
    average: AverageResidual
    faults: tuple[FrameFault, ...]
    typical: VoxelFit
    worst: VoxelFit
    suspected: SuspectedError | None = None
    frames: IndexArray | None = None
    noise_sd: float | None = None

    def conspicuous(self) -> list[int]:
        """Frames of the scan whose residual stands out, counted from 0."""
        found = self.average.conspicuous()
        if self.frames is not None:
            found = self.frames[found]
        return [int(frame) for frame in found]

    def over_frames(self, values: FloatArray) -> FloatArray:
        """Values of the fitted frames, over all frames up to the last one; those that were left out
        lie on a line between their neighbours.
        """
        if self.frames is None:
            return values
        return np.interp(np.arange(self.frames[-1] + 1), self.frames, values)


def fit_residuals(
    series: Series,
    maps: Maps,
    sequence: PulseSequence,
    given: Mapping[str, Array | float],
    stated: Mapping[str, float] | None = None,
    *,
    coils: int = 1,
    sample: SampledResiduals | None = None,
) -> FitResiduals | None:
    """What the fit leaves in the slice with most signal; None where too few voxels hold any.

    Parameters
    ----------
    series
        The scan; one slice of it is read.
    maps
        What was fitted.
    sequence
        That the scan was fitted with, one repetition per frame.
    given
        What the fit took as known: images `(x, y, z)`, or numbers, of b1 [1], adc [m2/s] and
        off_resonance [Hz]. Maps of them take their place.
    stated
        Standard uncertainty of given values by name [SI unit]; typical ones of the others.
    coils
        Whose root sum of squares magnitudes are.
    sample
        Voxels that were drawn before, with directions; by default they are drawn here.
    """
    if series.n_time != len(sequence):
        return None
    slice_index = fullest_slice(maps)
    if sample is None:
        sample = _drawn(series, maps, sequence, given, stated, coils)
    else:
        sample = sample[in_slice(sample.voxels, maps, slice_index)]
    if sample is None or len(sample.m0) < N_NEEDED:
        return None
    shares = np.linalg.norm(sample.signal - sample.model, axis=1)
    order = np.argsort(shares / np.linalg.norm(sample.signal, axis=1))
    middle, last = int(order[len(order) // 2]), int(order[-1])
    suspected = None
    if coils == 1:  # the search for errors of given values knows the noise of one coil alone
        suspected = _suspected(sample, stated, tuple(maps.extra))
    return FitResiduals(
        slice_index=slice_index,
        average=average_residual(sample),
        faults=frame_residuals(sample).numbered(series.frames).faults,
        suspected=suspected,
        typical=_voxel_fit(sample, middle, maps.t1.shape),
        worst=_voxel_fit(sample, last, maps.t1.shape),
        frames=series.frames,
        noise_sd=channel_noise_sd(sample),
    )


def _drawn(
    series: Series,
    maps: Maps,
    sequence: PulseSequence,
    given: Mapping[str, Array | float],
    stated: Mapping[str, float] | None,
    coils: int,
) -> SampledResiduals | None:
    """Voxels of the slice with most signal."""
    sizes = stated
    if sizes is None:
        sizes = default_uncertainties(sequence)
    every = influences_on(sequence)
    uncertain = [each for each in every if sizes.get(each.name, 0.0) > 0]
    return sample_residuals(
        series,
        _of_slice(maps, fullest_slice(maps)),
        sequence,
        given=given,
        influences=uncertain,
        exact=[each for each in every if each not in uncertain],
        with_directions=True,
        coils=coils,
    )


def _of_slice(maps: Maps, index: int) -> Maps:
    """Maps whose other slices are masked."""
    flags = np.full_like(maps.flags, int(Flag.MASKED))
    flags[:, :, index] = maps.flags[:, :, index]
    return replace(maps, flags=flags)


def average_residual(sample: SampledResiduals) -> AverageResidual:
    """The residual of each frame, averaged over voxels in the phase and with the size of M0."""
    weights = np.conj(sample.m0) / np.sum(np.abs(sample.m0) ** 2)
    expected, variance = sample.moments()
    residual = sample.signal - expected
    level = np.sqrt(np.mean(np.abs(weights @ sample.model) ** 2))
    noise = np.sqrt(np.mean(np.abs(weights) ** 2 @ variance))
    return AverageResidual(
        size=np.abs(weights @ residual).astype(np.float64) / level,
        noise=float(noise / level),
        n_voxels=len(sample.m0),
    )


def _suspected(
    sample: SampledResiduals,
    stated: Mapping[str, float] | None,
    fitted: tuple[str, ...],
) -> SuspectedError | None:
    if sample.directions is None:
        return None
    influences = sample.influences
    given = [place for place, each in enumerate(influences) if each.name not in fitted]
    return suspected_error(
        sample.signal - sample.moments()[0],
        sample.m0,
        sample.noise_sd,
        sample.directions.of(given),
        [influences[place] for place in given],
        stated=stated,
    )


def _voxel_fit(sample: SampledResiduals, row: int, shape: tuple[int, ...]) -> VoxelFit:
    """In the phase in which most of the fitted fingerprint is real."""
    signal, fitted = sample.signal[row], sample.model[row]
    phase = np.angle(np.sum(np.asarray(fitted, np.complex128) ** 2)) / 2
    turn = np.exp(-1j * phase)
    x, y, z = (int(index) for index in np.unravel_index(sample.voxels[row], shape))
    residual = float(np.linalg.norm(signal - fitted) / np.linalg.norm(signal))
    return VoxelFit((x, y, z), (signal * turn).real, (fitted * turn).real, residual)
