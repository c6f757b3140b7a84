"""What a model achieves against the exact engine, on tissue that it has never seen."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array, ComplexArray, FloatArray, Range
from mrftool.exporting.accuracy import worst_region
from mrftool.exporting.parts import require_same_parts
from mrftool.inference.model.manifest import Manifest
from mrftool.inference.session import Model, run
from mrftool.manifold.parameters import FITTED, draw_points, parameters_of, tissue_at
from mrftool.physics.calibration import calibration, is_determined, rmse_over_bound
from mrftool.physics.cramer_rao import bound_of_signals
from mrftool.physics.noise import add_noise, complex_noise, level_of, with_noise
from mrftool.physics.simulate import signal_and_derivatives
from mrftool.quantities import Flag
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

SNRS = (5.0, 20.0, 100.0)
_SNR_OF_PARTS, _N_OF_PARTS = 20.0, 500


@dataclass(frozen=True, eq=False)
class Sample:
    """Tissue with its exact signals `(voxel, time)` [m0] and their derivatives by T1 and T2 `(2,
    voxel, time)`.
    """

    tissue: Tissue
    signal: ComplexArray
    slopes: ComplexArray

    @cached_property
    def bound_per_noise(self) -> FloatArray:
        """Bound of T1 and T2 from complex signals, per standard deviation of the noise in each
        channel `(voxel, 2)` [s / m0].
        """
        return bound_of_signals(self.signal, self.slopes, np.ones(len(self.signal)))

    @property
    def reference(self) -> FloatArray:
        """T1 and T2 `(voxel, 2)` [s]."""
        return np.stack([self.tissue.t1, self.tissue.t2], axis=1)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a model made of a noisy sample: reference and Cramer-Rao bound of T1 and T2 `(voxel, 2)`
    [s], and its maps.
    """

    reference: FloatArray
    bound: FloatArray
    found: dict[str, Array]


def verify(
    content: bytes,
    manifest: Manifest,
    sequence: PulseSequence,
    *,
    voxels: int = 4000,
    snrs: tuple[float, ...] = SNRS,
    seed: int = 1,
) -> dict[str, Any]:
    """Scores of the ONNX model in `content`: a dict of plain numbers, with one entry `snr_<x>` for
    each of `snrs`.

    Noise-free: largest and root mean square relative error of T1 and T2. With noise: see
    `noisy_scores`.
    """
    random = np.random.default_rng(seed)
    model = Model(Path("model in memory"), manifest, content)
    sample = draw_sample(manifest, sequence, voxels, random)
    exact = run_on(model, sample.signal, sample.tissue)
    scores: dict[str, Any] = {"voxels": voxels, "noise_free": _noise_free(exact, sample.reference)}
    _check_parts(model, sample, np.random.default_rng(seed))
    noise = complex_noise(sample.signal.shape, random)
    for snr in snrs:
        scores[f"snr_{snr:g}"] = noisy_scores(trial(model, sample, snr, noise))
    return scores


def _check_parts(model: Model, sample: Sample, random: np.random.Generator) -> None:
    """Raises CheckFailedError unless all ways to run the model give what its graph gives."""
    signal = sample.signal[:_N_OF_PARTS]
    noisy: Array = add_noise(signal, level_of(signal) / _SNR_OF_PARTS, random)
    if model.form == "magnitude":
        noisy = np.abs(noisy)
    given = {name: getattr(sample.tissue, name)[:_N_OF_PARTS] for name in model.given}
    require_same_parts(model, noisy, **given)


def draw_sample(
    manifest: Manifest, sequence: PulseSequence, voxels: int, random: np.random.Generator
) -> Sample:
    """Random tissue of the model's range under `sequence`; see `random_tissue`."""
    tissue = random_tissue(manifest, voxels, random)
    return Sample(tissue, *signal_and_derivatives(sequence, tissue))


def random_tissue(manifest: Manifest, voxels: int, random: np.random.Generator) -> Tissue:
    """Log-uniform T1 and T2 <= T1, uniform given parameters, in the ranges of the model."""
    parameters = parameters_of(manifest.ranges)
    limits: list[Range] = []
    for parameter in parameters:
        low, high = parameter.to_axis(manifest.ranges[parameter.name])
        limits.append((float(low), float(high)))
    n = len(FITTED)
    fitted = draw_points(limits[:n], voxels, random)
    given = [random.uniform(*ends, len(fitted)) for ends in limits[n:]]
    points = np.concatenate([fitted, *(column[:, None] for column in given)], axis=1)
    return tissue_at(parameters, points, manifest.adc)


def trial(
    model: Model,
    sample: Sample,
    snr: float,
    noise: ComplexArray,
    *,
    knows_noise: bool = False,
) -> Outcome:
    """The sample with noise, every fingerprint at `snr`, through the model.

    noise: of standard deviation 1 per channel `(voxel, time)` [1]; knows_noise: the model is told
    the noise level.
    """
    noise_sd = level_of(sample.signal) / snr
    noisy = with_noise(sample.signal, noise, noise_sd)
    if knows_noise:  # one level for all voxels, as the model takes it
        found = run_on(
            model, (noisy / noise_sd[:, None]).astype(np.complex64), sample.tissue, noise_sd=1.0
        )
    else:
        found = run_on(model, noisy, sample.tissue)
    if model.manifest.form == "complex":
        bound = noise_sd[:, None] * sample.bound_per_noise
    else:
        bound = bound_of_signals(sample.signal, sample.slopes, noise_sd, form="magnitude")
    return Outcome(sample.reference, bound, found)


def run_on(
    model: Model, signal: ComplexArray, tissue: Tissue, *, noise_sd: float | None = None
) -> dict[str, Array]:
    """Maps of complex signals `(voxel, time)`, in the form that the model takes, with those given
    parameters of `tissue` that it takes.

    noise_sd: of the noise per channel [unit of the signals], if the model is to be told.
    """
    rows: Array = signal
    if model.form == "magnitude":
        rows = np.abs(signal)
    given = {name: getattr(tissue, name) for name in model.given}
    return run(model, rows, noise_sd=noise_sd, **given)


def noisy_scores(outcome: Outcome) -> dict[str, Any]:
    """Shares of voxels: `misfit_flagged`, all of them false alarms; `t2_above_t1`, as noise brings
    it
    about, but no tissue.
    For t1 and t2, over the voxels whose bound is below a fifth of the value: `rmse_over_bound`,
    `z_mean`, `z_sd` (error / sd), `coverage_95` (share of errors within 1.96 sd) and `determined`
    (share of such voxels). `worst_region`: where RMSE / bound is largest, see `accuracy`.
    """
    found = outcome.found
    scores: dict[str, Any] = {"misfit_flagged": float(np.mean((found["flags"] & Flag.MISFIT) > 0))}
    scores["t2_above_t1"] = float(np.mean(found["t2"] > found["t1"]))
    for name, reference, bound in zip(
        ("t1", "t2"), outcome.reference.T, outcome.bound.T, strict=True
    ):
        good = is_determined(reference, bound)
        if not good.any():
            scores[name] = {"determined": 0.0}
            continue
        error = (found[name] - reference)[good]
        honest = calibration(error, found[f"sd_{name}"][good])
        kept = {key: honest.get(key) for key in ("z_mean", "z_sd", "coverage_95")}
        ratio = rmse_over_bound(error, bound[good])
        scores[name] = _numbers({"rmse_over_bound": ratio, **kept, "determined": good.mean()})
    worst = worst_region(found, outcome.reference, outcome.bound)
    if worst is not None:
        scores["worst_region"] = worst.to_dict()
    return scores


def _noise_free(found: dict[str, Array], reference: FloatArray) -> dict[str, float]:
    relative = np.stack([found["t1"], found["t2"]], axis=1) / reference - 1
    worst, mean = abs(relative).max(axis=0), np.sqrt((relative**2).mean(axis=0))
    return _numbers({"max_t1": worst[0], "max_t2": worst[1], "rms_t1": mean[0], "rms_t2": mean[1]})


def _numbers(scores: dict[str, Any]) -> dict[str, float]:
    return {key: float(f"{value:.4g}") for key, value in scores.items() if value is not None}
