"""Fit what `quantify` otherwise takes for granted: B1 and the efficiency of the inversion, as
values that all voxels share.

A first fit takes them as they are; a sample of its voxels tells the values; a second fit takes
those. What the fit gained and what it costs is said of every run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import BoolArray, Float32Array, Range
from mrftool.errors import ArgumentError, MismatchError
from mrftool.formats.sequence.yaml_file import sequence_from_dict
from mrftool.inference.assessment.given_values import default_uncertainties
from mrftool.inference.assessment.sample import (
    MOST_SAMPLED,
    N_NEEDED,
    SampledResiduals,
    sample_residuals,
)
from mrftool.inference.common.fit import fit_common
from mrftool.inference.common.result import CommonFit
from mrftool.inference.common.summary import found_text
from mrftool.inference.common.unknowns import Unknown, b1_unknown, efficiency_unknown
from mrftool.inference.session import Model
from mrftool.manifold.influences import (
    B1,
    EFFICIENCY,
    influences_on,
    with_change,
)
from mrftool.maps import Maps, with_signal
from mrftool.quantities import Flag
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.common_choice import CommonChoice
from mrftool.workflows.steps.left_out import model_like
from mrftool.workflows.steps.sequence_model import settings_for

_MOST_UNCERTAIN = 0.05  # B1 that is fitted [1]
_LEAST_VOXELS = 10  # for each coefficient


@dataclass(frozen=True, eq=False)
class CommonOutcome:
    """What the second fit takes, and its uncertainty.

    Parameters
    ----------
    fit
        The values.
    series, model, images
        Of the second fit; images are those of given parameters by name `(x, y, z)`.
    stated
        Standard uncertainty of each given value beside what `fit.following` says [SI unit].
    """

    fit: CommonFit
    series: Series
    model: Model
    images: dict[str, Float32Array]
    stated: dict[str, float]

    def sentences(self, maps: Maps) -> tuple[str, ...]:
        """What was found, one sentence for each value."""
        inside, b1 = with_signal(maps), self.images.get("b1")
        return tuple(found_text(value, b1, inside) for value in self.fit.values)

    def with_b1(self, maps: Maps) -> Maps:
        """Maps of the second fit, with that of B1 where it was fitted."""
        if self.fit.value_of(B1) is None:
            return maps
        empty = maps.flags & int(Flag.MASKED) > 0
        return replace(maps, extra={**maps.extra, "b1": np.where(empty, 0, self.images["b1"])})


def prepared_for_fit(
    model: Model, choice: CommonChoice, images: Mapping[str, Float32Array], series: Series
) -> tuple[Model, dict[str, Float32Array]]:
    """The model and the given images of the first fit.

    Raises
    ------
    MismatchError
        If there is nothing to fit in the sequence.
    """
    sequence = sequence_from_dict(model.manifest.sequence)
    if choice.efficiency and EFFICIENCY not in influences_on(sequence):
        raise MismatchError(
            f"sequence {sequence.name} has no inversion whose efficiency could be fitted"
        )
    ready = dict(images)
    if choice.b1 is None:
        return model, ready
    if "b1" in model.given and "b1" not in ready:
        ready["b1"] = np.ones(series.shape, np.float32)
    return _taking_b1(model, sequence, ready, series), ready


def fit_common_values(
    series: Series,
    model: Model,
    maps: Maps,
    choice: CommonChoice,
    images: Mapping[str, Float32Array],
    stated: Mapping[str, float] | None,
) -> CommonOutcome:
    """Fit the chosen values to a sample of voxels.

    Parameters
    ----------
    series, model, maps
        The scan, and its first fit.
    choice
        What is fitted.
    images
        Given maps that the first fit took, by name `(x, y, z)`.
    stated
        Standard uncertainties by name [SI unit]; by default typical ones. That of the efficiency is
        its prior, that of B1 what voxels deviate by from the fitted values.

    Raises
    ------
    MismatchError
        If the scan cannot tell the values.
    """
    sequence = sequence_from_dict(model.manifest.sequence)
    sizes = dict(stated) if stated is not None else default_uncertainties(sequence)
    inside = with_signal(maps)
    given_b1 = images.get("b1", np.ones(series.shape, np.float32))
    unknowns = _unknowns(choice, given_b1, inside, sizes)
    fitted = [unknown.influence for unknown in unknowns]
    uncertain = {
        each: sizes[each.name] for each in influences_on(sequence) if sizes.get(each.name, 0) > 0
    }
    sample = sample_residuals(
        series,
        maps,
        sequence,
        given={"adc": model.manifest.adc, **images},
        influences=list(dict.fromkeys([*fitted, *uncertain])),
        coils=model.manifest.coils,
        n_voxels=MOST_SAMPLED,
    )
    others = {each: size for each, size in uncertain.items() if each not in fitted}
    fit = fit_common(_large_enough(sample, unknowns, series.name), sequence, unknowns, others)
    _require_told(fit, sequence)
    left = {**sizes, **_uncertainties_left(fit, stated)}
    return _outcome(fit, series, model, sequence, images, inside, left)


def _unknowns(
    choice: CommonChoice, given_b1: Float32Array, inside: BoolArray, sizes: Mapping[str, float]
) -> list[Unknown]:
    unknowns = []
    if choice.b1 is not None:
        unknowns.append(b1_unknown(choice.b1, given_b1, inside))
    if choice.efficiency:
        unknowns.append(efficiency_unknown(_prior(sizes)))
    return unknowns


def _large_enough(
    sample: SampledResiduals | None, unknowns: list[Unknown], name: str
) -> SampledResiduals:
    needed = max(N_NEEDED, *(_LEAST_VOXELS * len(each.prior_sd) for each in unknowns))
    if sample is None or len(sample.m0) < needed:
        raise MismatchError(
            f"{name}: too few voxels with signal to fit {_labels(unknowns)}, expected at least "
            f"{needed}"
        )
    return sample


def _uncertainties_left(fit: CommonFit, stated: Mapping[str, float] | None) -> dict[str, float]:
    """Standard uncertainties of the fitted values by name: from noise, and in each voxel."""
    left = {}
    for value in fit.values:
        influence = value.unknown.influence
        own = value.spread
        if influence == B1 and stated is not None:
            own = stated.get(influence.name, 0.0)
        left[influence.name] = float(np.hypot(value.noise_sd, own))
    return left


def _prior(sizes: Mapping[str, float]) -> float:
    size = sizes.get(EFFICIENCY.name, 0.0)
    if size <= 0:
        raise ArgumentError(
            "the efficiency of the inversion is fitted and has no uncertainty, expected one",
            arguments=("uncertainty",),
        )
    return size


def _labels(unknowns: list[Unknown]) -> str:
    return " and ".join(f"{each.influence.label} ({each.text})" for each in unknowns)


def _require_told(fit: CommonFit, sequence: PulseSequence) -> None:
    """Raise MismatchError where B1 remains too uncertain."""
    value = fit.value_of(B1)
    if value is None or value.uncertainty <= _MOST_UNCERTAIN:
        return
    raise MismatchError(
        f"sequence {sequence.name} cannot tell B1 from T1 and T2 in this scan: a fit would leave "
        f"B1 uncertain by {100 * min(value.uncertainty, 10):.1f} %, expected at most "
        f"{100 * _MOST_UNCERTAIN:.0f} %",
        hint="measure B1 and give its map",
    )


def _outcome(
    fit: CommonFit,
    series: Series,
    model: Model,
    sequence: PulseSequence,
    images: Mapping[str, Float32Array],
    inside: BoolArray,
    left: dict[str, float],
) -> CommonOutcome:
    """The scan, the model and the images of the second fit."""
    ready = dict(images)
    b1, efficiency = fit.value_of(B1), fit.value_of(EFFICIENCY)
    if b1 is not None:
        field = b1.image(ready.get("b1", np.ones(series.shape, np.float32)))
        ready["b1"] = np.clip(field, field[inside].min(), field[inside].max())
    if efficiency is not None:
        tissue = Tissue(np.ones(1), np.ones(1))
        sequence, _ = with_change(EFFICIENCY, sequence, tissue, efficiency.mean)
        model = model_like(model, sequence, f"{model.manifest.name}, efficiency fitted")
        if series.sequence_id is not None:
            sidecar = {**(series.sidecar or {}), "sequence_id": sequence.sequence_id}
            series = replace(series, sidecar=sidecar)
    return CommonOutcome(fit, series, _taking_b1(model, sequence, ready, series), ready, left)


def _taking_b1(
    model: Model, sequence: PulseSequence, images: Mapping[str, Float32Array], series: Series
) -> Model:
    """A model that takes the B1 map; the one at hand where it does."""
    if "b1" not in images:
        return model
    needed: Range | None = settings_for(series, images).b1_range
    covered = model.manifest.ranges.get("b1")
    if needed is None or (covered and covered[0] <= needed[0] and needed[1] <= covered[1]):
        return model
    name = model.manifest.name
    return model_like(model, sequence, f"{name}, B1 {needed[0]:g} to {needed[1]:g}", b1=needed)
