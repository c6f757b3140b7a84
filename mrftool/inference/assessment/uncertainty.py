"""The uncertainty of T1 and T2 as metrology knows it (GUM, JCGM 100:2008), of every voxel.

Random part (type A): the model's error bars are those of white noise as strong as the residual.
They are widened by what the residual shows of its noise: correlation over time, and channels that
hold none; what the stated uncertainties explain of the residual is no noise. Systematic part
(type B): the sensitivity to each value that is given and not fitted, times the standard uncertainty
that is stated for it. Combined: the root of the sum of squares.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array, Float32Array, FloatArray, IndexArray
from mrftool.formats.sequence.yaml_file import sequence_from_dict
from mrftool.inference.assessment.given_values import default_uncertainties, stated_influences
from mrftool.inference.assessment.misfit import (
    NoiseLevel,
    is_severe,
    severity,
    share_of_noise,
)
from mrftool.inference.assessment.sample import SampledResiduals
from mrftool.inference.assessment.scan_noise import noise_of_scan, with_local_noise
from mrftool.inference.session import Model
from mrftool.manifold.effects import Effects, EffectTable, NoiseShape, build_effects
from mrftool.manifold.first_order import Following
from mrftool.manifold.influences import influence_named, uncertainty_text
from mrftool.manifold.parameters import FITTED, parameters_of
from mrftool.maps import Maps, has_estimate, with_signal
from mrftool.quantities import Flag
from mrftool.scan.series import Series

_BLOCK = 1 << 16  # voxels at a time


@dataclass(frozen=True, eq=False)
class Assessment:
    """Maps with their uncertainty, and what it is made of.

    Parameters
    ----------
    maps
        With the maps systematic_t1, combined_t1 [s] and so on, and misfit [1]; the standard
        deviations sd_t1 and so on are those of the random part, and flags of misfit are graded.
    stated
        Standard uncertainty of each given value, by name [SI unit].
    noise
        Shape of the noise.
    noise_sd
        Of the scan per channel [scanner's unit]; None where it is not known.
    structure
        What the frames are, where they are not independent images; else empty.
    fitted
        Names of the given values that were fitted.
    sample
        Voxels with their residuals, which told the noise, if they were to be kept.
    """

    maps: Maps
    stated: dict[str, float]
    noise: NoiseShape
    noise_sd: float | None
    structure: str = ""
    fitted: frozenset[str] = frozenset()
    sample: SampledResiduals | None = None

    def sentences(self) -> list[str]:
        """What was assumed of given values, and how the noise differs from white noise."""
        parts = []
        for name, size in self.stated.items():
            influence = influence_named(name)
            if name in self.fitted:
                continue
            parts.append(f"{influence.label} {uncertainty_text(influence, size)}")
        sentences = []
        if parts:
            sentences = ["standard uncertainties assumed: " + ", ".join(parts)]
        if self.structure:
            sentences.append(self.structure)
        elif not self.noise.is_white:
            time = self.noise.correlation_time
            sentences.append(
                f"the residual is not white (correlation time {time:.1f} repetitions): the "
                "standard deviations take it into account"
            )
        return sentences


def assess_uncertainty(
    series: Series,
    maps: Maps,
    model: Model,
    *,
    stated: Mapping[str, float] | None = None,
    noise_sd: float | None = None,
    following: Following | None = None,
    noise_covariance: FloatArray | None = None,
    keep_sample: bool = False,
    **given: Float32Array | None,
) -> Assessment:
    """The uncertainty of maps that `quantify` made.

    Parameters
    ----------
    series, maps, model
        The scan, what was found in it, and the model that found it.
    stated
        Standard uncertainty of given values by name, see `mrftool.manifold.influences`
        [SI unit]; by default `default_uncertainties`. Those left out have none.
    noise_sd
        Of the noise per channel, if it was given [scanner's unit].
    following
        How given values that were fitted follow errors of others, by name; `stated` holds what they
        are uncertain by beside that.
    noise_covariance
        Covariance of the frames' noise over their mean variance, if it was given `(time, time)`
        [1].
    keep_sample
        Whether the sample is kept, with the directions of all given values.
    given
        The maps of given parameters that the model took, by name `(x, y, z)`.

    Raises
    ------
    ArgumentError
        If an uncertainty is negative, or of something that the sequence does not have.
    """
    sequence, manifest = sequence_from_dict(model.manifest.sequence), model.manifest
    if stated is None:
        stated = default_uncertainties(sequence)
    influences = stated_influences(stated, sequence)
    images = _present(given)
    uncertain = [influence for influence in influences if stated[influence.name] > 0]
    known: dict[str, Array | float] = {"adc": manifest.adc, **images}
    noise = noise_of_scan(
        series,
        maps,
        sequence,
        known=known,
        influences=uncertain,
        coils=manifest.coils,
        noise_sd=noise_sd,
        relative=noise_covariance,
        with_directions=keep_sample,
    )
    columns = _columns(maps, images)
    table = build_effects(
        sequence,
        parameters_of(manifest.ranges),
        manifest.ranges,
        influences,
        _at(columns, np.flatnonzero(has_estimate(maps))),
        adc=manifest.adc,
        form=series.form,
        noise=noise.shape,
        following=following,
    )
    sizes = {influence.name: stated[influence.name] for influence in influences}
    maps, local_sd = with_local_noise(noise, table, columns)
    assessed = _with_uncertainty(maps, table, columns, sizes, noise.level(series), local_sd)
    if noise.sentence:
        assessed = replace(assessed, assumptions=(*assessed.assumptions, noise.sentence))
    fitted = {name for changes in (following or {}).values() for name in changes}
    sample = noise.sample
    if not keep_sample:
        sample = None
    parts = assessed, sizes, noise.shape, noise.sd, noise.sentence
    return Assessment(*parts, frozenset(fitted), sample)


def _present(given: Mapping[str, Float32Array | None]) -> dict[str, Float32Array]:
    return {name: image for name, image in given.items() if image is not None}


def _columns(maps: Maps, given: Mapping[str, Array]) -> dict[str, Array]:
    """Fitted and given parameters by name `(voxel,)`."""
    images: dict[str, Array] = {each.name: getattr(maps, each.name) for each in FITTED}
    images.update(given)
    return {name: image.reshape(-1) for name, image in images.items()}


def _at(columns: Mapping[str, Array], voxels: IndexArray) -> dict[str, Array]:
    return {name: column[voxels] for name, column in columns.items()}


def _with_uncertainty(
    maps: Maps,
    table: EffectTable,
    columns: Mapping[str, Array],
    stated: Mapping[str, float],
    noise: NoiseLevel,
    local_sd: FloatArray | None = None,
) -> Maps:
    """`maps` with those of the uncertainty. local_sd: of the noise around each voxel `(voxel,)`."""
    flags = maps.flags.reshape(-1).copy()
    extra, severities = _columns_to_fill(maps), np.full((2, flags.size), np.nan)
    sizes = np.array(list(stated.values()))[:, None]
    estimated = np.flatnonzero(has_estimate(maps))
    for start in range(0, len(estimated), _BLOCK):
        voxels = estimated[start : start + _BLOCK]
        own = _at(columns, voxels)
        effects = table.at(own)
        fit = np.abs(maps.m0.reshape(-1)[voxels]) * effects.norm
        residual = extra["residual"][voxels].astype(np.float64)
        if local_sd is not None:
            noise = replace(noise, sd=local_sd[voxels])
        misfit, certain = noise.misfit(residual, fit)
        extra["misfit"][voxels] = misfit
        remainder = _root_sum_of_squares(sizes * effects.remainder)
        if not noise.is_known:
            beyond_noise = np.where(misfit > 0, certain, 0.0)
            share = share_of_noise(residual, beyond_noise, remainder)
            effects = replace(effects, inflation=effects.inflation * share[:, None])
        _fill_uncertainties(extra, voxels, own, sizes, effects)
        filled = _at(extra, voxels)
        severities[:, voxels] = [severity(filled, each, remainder) for each in (certain, misfit)]
    harmless = ~is_severe(severities[0], severities[1], with_signal(maps).reshape(-1))
    flags[harmless] &= ~np.uint8(Flag.MISFIT)
    for column in extra.values():
        column[flags & int(Flag.MASKED) > 0] = 0
    shape = maps.flags.shape
    images = {name: column.reshape(shape) for name, column in extra.items()}
    return replace(maps, flags=flags.reshape(shape), extra=images)


def _columns_to_fill(maps: Maps) -> dict[str, Array]:
    """The extra maps and, still NaN, those of the uncertainty, by name `(voxel,)`."""
    columns = {name: image.reshape(-1).copy() for name, image in maps.extra.items()}
    names = ["misfit"]
    for parameter in FITTED:
        names += [f"systematic_{parameter.name}", f"combined_{parameter.name}"]
    for name in names:
        columns[name] = np.full(maps.flags.size, np.nan, np.float32)
    return columns


def _fill_uncertainties(
    filled: dict[str, Array],
    voxels: IndexArray,
    own: Mapping[str, Array],
    sizes: FloatArray,
    effects: Effects,
) -> None:
    """Random, systematic and combined uncertainties of some voxels.

    own: their parameters by name `(voxel,)`; sizes: stated uncertainties `(influence, 1)`.
    """
    for k, parameter in enumerate(FITTED):
        value = own[parameter.name].astype(np.float64)
        random = filled[f"sd_{parameter.name}"][voxels] * effects.inflation[:, k]
        systematic = value * _root_sum_of_squares(sizes * effects.slopes[:, :, k])
        filled[f"sd_{parameter.name}"][voxels] = random
        filled[f"systematic_{parameter.name}"][voxels] = systematic
        filled[f"combined_{parameter.name}"][voxels] = np.hypot(random, systematic)


def _root_sum_of_squares(parts: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.square(parts).sum(axis=0)))
