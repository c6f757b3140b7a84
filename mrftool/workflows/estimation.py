"""From a scan and a model to maps with their uncertainty: once, or twice where values that all
voxels share are fitted in between.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mrftool.arrays import BoolArray, Float32Array, FloatArray
from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError
from mrftool.formats.coefficients.noise_covariance import read_noise_covariance
from mrftool.inference.assessment.uncertainty import Assessment, assess_uncertainty
from mrftool.inference.quantify import prepare_scan, quantify
from mrftool.inference.session import Model
from mrftool.manifold.first_order import Following
from mrftool.maps import Maps
from mrftool.reports.run import Method, method_of
from mrftool.scan.series import Series
from mrftool.scan.stream import prepare
from mrftool.workflows.common_choice import CommonChoice
from mrftool.workflows.steps.stopwatch import Stopwatch

_RELATIVE = 1e-6  # deviation of a mean variance from 1 that states no level


@dataclass(frozen=True, eq=False)
class Estimation:
    """A scan, the model that fits it, and how.

    Parameters
    ----------
    series, model
        The scan and its model.
    images
        Given maps that the model takes, by name `(x, y, z)`.
    inside
        Mask of the voxels that count `(x, y, z)`; None for all.
    hide_air
        Whether voxels that hold nothing but noise are masked.
    noise_sd
        Standard deviation of the noise per channel, if it was given [scanner's unit].
    noise_covariance
        Covariance of the frames' noise over their mean variance, if it was given `(time, time)`
        [1].
    stated
        Standard uncertainty of each given value, by name [SI unit]; None for typical ones.
    following
        How given values that were fitted follow errors of others.
    fitted
        What a fit of common values found, for programs.
    threads
        Of the arithmetic; by default one per processor.
    """

    series: Series
    model: Model
    images: Mapping[str, Float32Array]
    inside: BoolArray | None
    hide_air: bool
    noise_sd: float | None
    stated: Mapping[str, float] | None
    following: Following | None = None
    fitted: Mapping[str, object] = field(default_factory=dict)
    threads: int | None = None
    noise_covariance: FloatArray | None = None

    @property
    def method(self) -> Method:
        """The model, with what was fitted beside T1 and T2."""
        method = method_of(self.model)
        if not self.fitted:
            return method
        return replace(method, numbers={**method.numbers, "fitted": dict(self.fitted)})

    def maps(self, watch: Stopwatch, reporter: Reporter) -> Maps:
        """T1, T2 and M0 of each voxel."""
        prepare_scan(self.series, self.model)
        count = self.series.n_voxels
        if self.inside is not None:
            count = int(self.inside.sum())
        with watch.stage("read and quantify"), reporter.progress("quantifying", count) as progress:
            return quantify(
                self.series,
                self.model,
                mask=self.inside,
                hide_air=self.hide_air,
                noise_sd=self.noise_sd,
                threads=self.threads,
                progress=progress,
                **self.images,
            )


def noise_of_file(
    path: Path | None, series: Series, noise_sd: float | None, skipped: Collection[int]
) -> tuple[FloatArray | None, float | None]:
    """Relative covariance of the frames that are not skipped, and standard deviation of the noise.

    Parameters
    ----------
    path
        Array file of the covariance; None where it is not known.
    series
        All frames of the scan.
    noise_sd
        That the caller states [scanner's unit].
    skipped
        Indices of frames that are left out.

    Raises
    ------
    ArgumentError
        If both state the level of the noise.
    """
    if path is None:
        return None, noise_sd
    covariance = read_noise_covariance(path, series.n_time)
    kept = np.setdiff1d(np.arange(series.n_time), list(skipped))
    covariance = covariance[np.ix_(kept, kept)]
    variance = float(np.diagonal(covariance).mean())
    if abs(variance - 1) > _RELATIVE:
        if noise_sd is not None:
            raise ArgumentError(
                "the covariance of the noise states its standard deviation, expected no other one",
                arguments=("noise_sd",),
            )
        noise_sd = float(np.sqrt(variance))
    return covariance / variance, noise_sd


def estimated(
    task: Estimation,
    choice: CommonChoice,
    watch: Stopwatch,
    reporter: Reporter,
    *,
    keep_sample: bool = False,
) -> tuple[Estimation, Assessment]:
    """Maps with their uncertainty, and the fit that made them.

    Parameters
    ----------
    task
        The scan, and the model of its first fit.
    choice
        Which values are fitted as values of all voxels.
    watch, reporter
        Measure the stages, and hear of progress and notes.
    keep_sample
        Whether the assessment keeps its sample of voxels.
    """
    if choice:
        prepare(task.series)  # it is read several times
        task, maps = _with_common_values(task, choice, watch, reporter)
    else:
        maps = task.maps(watch, reporter)
    for sentence in maps.assumptions[len(task.series.assumptions) :]:
        reporter.note(sentence)
    with watch.stage("assess the uncertainty"):
        found = assess_uncertainty(
            task.series,
            maps,
            task.model,
            stated=task.stated,
            noise_sd=task.noise_sd,
            following=task.following,
            noise_covariance=task.noise_covariance,
            keep_sample=keep_sample,
            **task.images,
        )
    for sentence in found.sentences():
        reporter.note(sentence)
    return task, found


def _with_common_values(
    task: Estimation, choice: CommonChoice, watch: Stopwatch, reporter: Reporter
) -> tuple[Estimation, Maps]:
    """The second of two fits, which takes the common values that the first one leads to."""
    from mrftool.inference.common.summary import gain_and_cost
    from mrftool.workflows.common_values import fit_common_values, prepared_for_fit

    model, images = prepared_for_fit(task.model, choice, task.images, task.series)
    first = replace(task, model=model, images=images)
    before = first.maps(watch, reporter)
    with watch.stage("fit common values"):
        outcome = fit_common_values(task.series, model, before, choice, images, task.stated)
    second = replace(
        first,
        series=outcome.series,
        model=outcome.model,
        images=outcome.images,
        stated=outcome.stated,
        following=outcome.fit.following,
    )
    maps = second.maps(watch, reporter)
    sentence, numbers = gain_and_cost(outcome.fit, before, maps)
    sentences = (*maps.assumptions, *outcome.sentences(maps), sentence)
    maps = outcome.with_b1(replace(maps, assumptions=sentences))
    return replace(second, fitted=numbers), maps
