"""A model alone against the exact engine: errors over the bound, calibrated deviations, and flags.

The model is tried on signals of random tissue under its own sequence, and on mismatched signals,
which a user would want to see flagged: noise, signals of other sequences, of another B1 than the
model is told, and of other RF phases.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import ComplexArray, Progress
from mrftool.evaluation.bins import Bins, bins_of
from mrftool.exporting.verify import Outcome, Sample, draw_sample, noisy_scores, run_on, trial
from mrftool.inference.session import Model
from mrftool.physics.noise import add_noise, complex_noise, level_of
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

SNRS = (5.0, 10.0, 20.0, 50.0, 100.0)
B1_OFF = 0.8  # actual B1 / B1 that the model is told, of the mismatched B1 [1]
# Increment of a quadratic RF phase, as RF spoiling has it [deg]: Y. Zur et al., MRM 21:251 (1991).
PHASE_STEP = 117.0


@dataclass(frozen=True)
class Rates:
    """Share of voxels with MISFIT, and with any flag, for signals of one kind at one SNR [1].

    case: name of the kind of mismatched signals, "" for signals of the model's own sequence.
    """

    case: str
    snr: float
    misfit: float
    flagged: float


@dataclass(frozen=True, eq=False)
class ModelTrials:
    """What was measured.

    Parameters
    ----------
    snrs, voxels, seed, knows_noise
        How: see `run_trials`.
    scores
        Errors at each of `snrs`: see `mrftool.exporting.verify.noisy_scores`.
    rates
        Shares of voxels that are flagged.
    bins
        Errors of T1 and of T2 over both, all SNRs together.

    """

    snrs: tuple[float, ...]
    voxels: int
    seed: int
    knows_noise: bool
    scores: tuple[dict[str, Any], ...]
    rates: tuple[Rates, ...]
    bins: tuple[Bins, ...]

    def cases(self) -> list[str]:
        """Kinds of signals, those of the model's own sequence first."""
        return list(dict.fromkeys(rate.case for rate in self.rates))

    def rates_of(self, case: str) -> list[Rates]:
        """Of one kind of signals, in the order of the SNRs."""
        return [rate for rate in self.rates if rate.case == case]


def run_trials(
    model: Model,
    sequence: PulseSequence,
    others: Mapping[str, PulseSequence],
    *,
    snrs: tuple[float, ...] = SNRS,
    voxels: int = 5000,
    seed: int = 0,
    knows_noise: bool = False,
    progress: Progress = lambda _: None,
) -> ModelTrials:
    """Try `model` on random tissue under `sequence`, and on mismatched signals of each kind.

    Parameters
    ----------
    model, sequence
        The model, and the sequence that its tissue is simulated with.
    others
        Other sequences of the same length by name, whose signals are mismatched.
    snrs
        Root mean square of each fingerprint over the noise sd per channel [1].
    voxels, seed
        Number of random tissues, and the seed of tissue and noise.
    knows_noise
        Whether the model is told the noise level.
    progress
        Called with the number of runs of the model done; there are `count_runs` of them.

    """
    random = np.random.default_rng(seed)
    sample = draw_sample(model.manifest, sequence, voxels, random)
    outcomes, rates = [], []
    for snr in snrs:
        noise = complex_noise(sample.signal.shape, random)
        outcomes.append(trial(model, sample, snr, noise, knows_noise=knows_noise))
        rates.append(_rates("", snr, outcomes[-1].found["flags"]))
        progress(1)
    for case, signal in mismatched_signals(sequence, sample, others):
        for snr in snrs:
            flags = _flags_of(model, signal, sample.tissue, snr, random, knows_noise)
            rates.append(_rates(case, snr, flags))
            progress(1)
    scores = tuple(noisy_scores(outcome) for outcome in outcomes)
    bins = _bins(sample, outcomes)
    return ModelTrials(snrs, voxels, seed, knows_noise, scores, tuple(rates), bins)


def count_runs(others: Mapping[str, PulseSequence], snrs: tuple[float, ...]) -> int:
    """How often `run_trials` runs the model."""
    return len(snrs) * (4 + len(others))


def mismatched_signals(
    sequence: PulseSequence, sample: Sample, others: Mapping[str, PulseSequence]
) -> Iterator[tuple[str, ComplexArray]]:
    """Signals `(voxel, time)` that are not those of the sample's tissue under the sequence.

    Yields the name of each kind, and its signals.
    """
    yield "noise only", np.zeros_like(sample.signal)
    tissue = sample.tissue
    columns = {key: getattr(tissue, key) for key in Tissue.columns()}
    low_b1 = Tissue(**{**columns, "b1": B1_OFF * tissue.b1})
    yield f"B1 {100 * (1 - B1_OFF):.0f} % low", simulate(sequence, low_b1).signal
    name, phased = other_phases(sequence)
    yield name, simulate(phased, tissue).signal
    without_diffusion = Tissue(**{**columns, "adc": 0.0})
    for name, other in others.items():
        # Only a sequence with a known spoiler can simulate diffusion.
        if other.spoiler is None:
            yield name, simulate(other, without_diffusion).signal
        else:
            yield name, simulate(other, tissue).signal


def other_phases(sequence: PulseSequence) -> tuple[str, PulseSequence]:
    """The sequence without its RF phases, or with quadratic ones if all of its are equal."""
    if np.ptp(sequence.rf_phase) > 0:
        return "no RF phase", replace(sequence, rf_phase=np.zeros(len(sequence.rf_phase)))
    n = np.arange(len(sequence.rf_phase))
    phase = np.deg2rad((PHASE_STEP * n * (n + 1) / 2) % 360)
    return f"RF phase {PHASE_STEP:g} deg", replace(sequence, rf_phase=phase)


def _flags_of(
    model: Model,
    signal: ComplexArray,
    tissue: Tissue,
    snr: float,
    random: np.random.Generator,
    knows_noise: bool,
) -> NDArray[np.int32]:
    """Flags of `signal` with noise of standard deviation 1.

    Each signal is scaled to `snr`; those that are zero are nothing but noise.
    """
    level = level_of(signal)
    noise = np.where(level > 0, level / snr, 1.0)
    rows = (add_noise(signal, noise, random) / noise[:, None]).astype(np.complex64)
    noise_sd = None
    if knows_noise:
        noise_sd = 1.0
    return np.asarray(run_on(model, rows, tissue, noise_sd=noise_sd)["flags"])


def _rates(case: str, snr: float, flags: NDArray[np.int32]) -> Rates:
    return Rates(case, snr, float(np.mean((flags & Flag.MISFIT) > 0)), float(np.mean(flags != 0)))


def _bins(sample: Sample, outcomes: list[Outcome]) -> tuple[Bins, ...]:
    """All SNRs together: every error counts in units of the bound at its own SNR."""
    reference = Tissue(
        np.tile(sample.tissue.t1, len(outcomes)), np.tile(sample.tissue.t2, len(outcomes))
    )
    estimate, bound = {}, {}
    for column, name in enumerate(("t1", "t2")):
        estimate[name] = np.concatenate([outcome.found[name] for outcome in outcomes])
        bound[name] = np.concatenate([outcome.bound[:, column] for outcome in outcomes])
    return tuple(bins_of(reference, estimate, bound))
