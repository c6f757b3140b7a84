"""The noise of a scan: its shape and level, and what of it makes error bars of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.inference.assessment.aliasing import with_sandwich_deviations
from mrftool.inference.assessment.misfit import NoiseLevel
from mrftool.inference.assessment.noise import noise_shape, typical_noise_sd
from mrftool.inference.assessment.sample import SampledResiduals, sample_residuals
from mrftool.inference.assessment.structure import (
    arm_cycle,
    courses_sentence,
    cycle_sentence,
    number_of_courses,
)
from mrftool.inference.local_misfit import local_variance
from mrftool.manifold.effects import (
    WHITE,
    EffectTable,
    NoiseShape,
    confined_noise,
    noise_of_covariance,
)
from mrftool.manifold.influences import Influence, influences_on
from mrftool.manifold.parameters import FITTED
from mrftool.maps import Maps, has_estimate
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence

_N_UNKNOWNS = 4  # of a complex fit: both parts of m0, T1 and T2
_CYCLES = 2  # of the arms, over which aliasing counts as correlated


@dataclass(frozen=True, eq=False)
class ScanNoise:
    """The noise of a scan.

    Parameters
    ----------
    shape
        Beside white noise.
    sd
        Per channel [scanner's unit]; None where it is not known.
    maps
        With standard deviations for noise of this shape's level.
    sentence
        What the frames are, where they are not independent images; else empty.
    is_known
        Whether the level does not come from the residual of each voxel by itself.
    n_courses
        Independent time courses of the frames, where they are few.
    sample
        What told it, if anything did.
    """

    shape: NoiseShape
    sd: float | None
    maps: Maps
    sentence: str = ""
    is_known: bool = False
    n_courses: int | None = None
    sample: SampledResiduals | None = None

    def level(self, series: Series) -> NoiseLevel:
        """For the share of misfit."""
        n_values = series.n_time
        if series.form == "complex":
            n_values = 2 * series.n_time
        return NoiseLevel(self.shape, self.sd, n_values, self.is_known)


def noise_of_scan(
    series: Series,
    maps: Maps,
    sequence: PulseSequence,
    *,
    known: Mapping[str, Array | float],
    influences: Sequence[Influence] = (),
    coils: int = 1,
    noise_sd: float | None = None,
    relative: FloatArray | None = None,
    with_directions: bool = False,
) -> ScanNoise:
    """The noise of a scan, from the residual of a sample of its voxels.

    Parameters
    ----------
    series, maps, sequence
        The scan, what was found in it, and the sequence that was fitted.
    known
        What the fit took as known: images `(x, y, z)`, or numbers, of b1 [1] and adc [m2/s].
    influences
        Given values that have an uncertainty.
    coils
        Whose root sum of squares magnitudes are.
    noise_sd
        Of the noise per channel, if it was given [scanner's unit].
    relative
        Covariance of its frames over their mean variance, if it was given `(time, time)` [1].
    with_directions
        Whether the sample holds the directions of all given values.
    """
    sample = sample_residuals(
        series,
        maps,
        sequence,
        given=known,
        influences=influences,
        exact=[each for each in influences_on(sequence) if each not in influences],
        with_directions=with_directions,
        coils=coils,
    )
    noise = _told_by(sample, series, maps, sequence, known, noise_sd, relative)
    return replace(noise, sample=sample)


def _told_by(
    sample: SampledResiduals | None,
    series: Series,
    maps: Maps,
    sequence: PulseSequence,
    known: Mapping[str, Array | float],
    noise_sd: float | None,
    relative: FloatArray | None,
) -> ScanNoise:
    """The noise as a sample tells it, with what was given of it."""
    is_given = noise_sd is not None
    if relative is not None:
        return _of_covariance(relative, sample, maps, noise_sd)
    if sample is None:
        return ScanNoise(WHITE, noise_sd, maps, is_known=is_given)
    level = noise_sd or typical_noise_sd(sample)
    count, cycle = number_of_courses(sample), arm_cycle(sample)
    if count is not None:
        shape = confined_noise(series.n_time, count, 0 if is_given else _N_UNKNOWNS)
        return ScanNoise(shape, level, maps, courses_sentence(count), is_given, count)
    if cycle is not None and not is_given:
        window = _CYCLES * cycle
        extra = with_sandwich_deviations(series, maps, sequence, known, window)
        maps = replace(maps, extra=extra)
        return ScanNoise(WHITE, level, maps, cycle_sentence(cycle), is_known=True)
    return ScanNoise(noise_shape(sample), level, maps, is_known=is_given)


def _of_covariance(
    relative: FloatArray, sample: SampledResiduals | None, maps: Maps, noise_sd: float | None
) -> ScanNoise:
    """Noise whose covariance was given, and perhaps its level."""
    if noise_sd is not None or sample is None:
        is_known = noise_sd is not None
        return ScanNoise(noise_of_covariance(relative), noise_sd, maps, is_known=is_known)
    shape = noise_of_covariance(relative, sample.n_unknowns / sample.n_values)
    return ScanNoise(shape, typical_noise_sd(sample), maps)


def with_local_noise(
    noise: ScanNoise, table: EffectTable, columns: Mapping[str, Array]
) -> tuple[Maps, FloatArray | None]:
    """Maps whose standard deviations are of the noise around each voxel, and this noise's standard
    deviation per channel `(voxel,)`; as they are where each voxel tells enough of its noise.

    The residual of a voxel of few independent time courses hardly does.

    Parameters
    ----------
    table, columns
        Norms of the signals, and parameters of the voxels by name `(voxel,)`.
    """
    maps = noise.maps
    if noise.n_courses is None or noise.is_known:
        return maps, None
    voxels = np.flatnonzero(has_estimate(maps))
    fit = (
        abs(maps.m0.reshape(-1)[voxels])
        * table.at({name: column[voxels] for name, column in columns.items()}).norm
    )
    share = np.square(maps.extra["residual"].reshape(-1)[voxels].astype(np.float64))
    energy = np.square(fit) * share / np.maximum(1 - share, 1e-12)
    degrees = 2 * noise.n_courses - _N_UNKNOWNS
    expected = local_variance(energy, degrees, voxels, maps.flags.shape) * degrees
    factor = np.sqrt(expected / np.maximum(energy, 1e-300))
    extra = {name: image.copy() for name, image in maps.extra.items()}
    for parameter in FITTED:
        extra[f"sd_{parameter.name}"].reshape(-1)[voxels] *= factor
    local = np.zeros(maps.flags.size)
    local[voxels] = np.sqrt(expected / (2 * noise.shape.confinement * noise.n_courses))
    return replace(maps, extra=extra), local
