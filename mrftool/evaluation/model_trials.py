"""A model alone against the exact engine: errors over the bound, honest error bars, flags that fire
when they should.

The right signals are those of random tissue under the model's sequence. The wrong ones, which a
user would want to see flagged, are noise, signals of other sequences, of another B1 than the model
is told, and of other RF phases.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import ComplexArray
from mrftool.evaluation.bins import Bins, bins_of
from mrftool.export.verify import Outcome, Sample, draw_sample, noisy_scores, run_on, trial
from mrftool.inference.session import Model
from mrftool.maps import Flag
from mrftool.physics.cramer_rao import level_of
from mrftool.physics.noise import add_noise
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

SNRS = (5.0, 10.0, 20.0, 50.0, 100.0)
B1_OFF = 0.8  # actual / told B1 of the wrong B1
PHASE_STEP = 117.0  # [deg] increment of a quadratic RF phase, as RF spoiling has it: Y. Zur et al., MRM 21:251 (1991)


@dataclass(frozen=True)
class Rates:
    """Share of voxels with MISFIT, and with any flag, for signals of one kind ("" for the right
    ones) at one SNR.
    """

    case: str
    snr: float
    misfit: float
    flagged: float


@dataclass(frozen=True, eq=False)
class ModelTrials:
    """What was measured: `scores` (see `noisy_scores`) for each of `snrs`, flag rates, errors over
    T1 and T2 with all
    SNRs together.
    """

    snrs: tuple[float, ...]
    voxels: int
    seed: int
    knows_noise: bool
    scores: tuple[dict[str, Any], ...]
    rates: tuple[Rates, ...]
    bins: tuple[Bins, ...]

    def cases(self) -> list[str]:
        """Kinds of signals, the right ones first."""
        return list(dict.fromkeys(rate.case for rate in self.rates))

    def rates_of(self, case: str) -> list[Rates]:
        """In the order of the SNRs."""
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
    progress: Callable[[int], None] = lambda _: None,
) -> ModelTrials:
    """Trials of `model` on `voxels` random tissues under `sequence`, and on as many wrong signals
    of each kind.

    others: sequences of the same length, whose signals are wrong ones. knows_noise: whether the
    model is told the noise level. progress: called with the number of runs of the model done; there
    are `count_runs` of them.
    """
    random = np.random.default_rng(seed)
    sample = draw_sample(model.manifest, sequence, voxels, random)
    outcomes, rates = [], []
    for snr in snrs:
        outcomes.append(trial(model, sample, snr, random, knows_noise=knows_noise))
        rates.append(_rates("", snr, outcomes[-1].found["flags"]))
        progress(1)
    for case, signal in wrong_signals(sequence, sample, others):
        for snr in snrs:
            flags = _flags_of(model, signal, sample.tissue, snr, random, knows_noise)
            rates.append(_rates(case, snr, flags))
            progress(1)
    scores = tuple(noisy_scores(outcome) for outcome in outcomes)
    return ModelTrials(
        snrs, voxels, seed, knows_noise, scores, tuple(rates), _bins(sample, outcomes)
    )


def count_runs(others: Mapping[str, PulseSequence], snrs: tuple[float, ...]) -> int:
    """How often `run_trials` runs the model."""
    return len(snrs) * (4 + len(others))


def wrong_signals(
    sequence: PulseSequence, sample: Sample, others: Mapping[str, PulseSequence]
) -> Iterator[tuple[str, ComplexArray]]:
    """Kinds of signals `(voxel, time)` that are not those of the sample's tissue under the
    sequence, by name.
    """
    yield "noise only", np.zeros_like(sample.signal)
    tissue = sample.tissue
    columns = {key: getattr(tissue, key) for key in Tissue.columns()}
    yield (
        f"B1 {100 * (1 - B1_OFF):.0f} % low",
        simulate(sequence, Tissue(**{**columns, "b1": B1_OFF * tissue.b1})).signal,
    )
    name, phased = other_phases(sequence)
    yield name, simulate(phased, tissue).signal
    for name, other in others.items():
        still = (
            tissue if other.spoiler or not tissue.adc.any() else Tissue(**{**columns, "adc": 0.0})
        )
        yield name, simulate(other, still).signal


def other_phases(sequence: PulseSequence) -> tuple[str, PulseSequence]:
    """The sequence without the RF phases that it has, or with quadratic ones if it has none."""
    if np.ptp(sequence.rf_phase) > 0:
        return "no RF phase", replace(sequence, rf_phase=np.zeros(len(sequence)))
    n = np.arange(len(sequence))
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
    """Flags of `signal` with noise: each at `snr`, those without signal nothing but noise. The
    noise level is 1.
    """
    level = level_of(signal)
    noise = np.where(level > 0, level / snr, 1.0)
    rows = (add_noise(signal, noise, random) / noise[:, None]).astype(np.complex64)
    return np.asarray(run_on(model, rows, tissue, noise_sd=1.0 if knows_noise else None)["flags"])


def _rates(case: str, snr: float, flags: NDArray[np.int32]) -> Rates:
    return Rates(case, snr, float(np.mean((flags & Flag.MISFIT) > 0)), float(np.mean(flags != 0)))


def _bins(sample: Sample, outcomes: list[Outcome]) -> tuple[Bins, ...]:
    """All SNRs together: every error counts in units of the bound at its own SNR."""
    count = len(outcomes)
    reference = Tissue(np.tile(sample.tissue.t1, count), np.tile(sample.tissue.t2, count))
    estimate = {
        name: np.concatenate([outcome.found[name] for outcome in outcomes]) for name in ("t1", "t2")
    }
    bound = {
        name: np.concatenate([outcome.bound[:, k] for outcome in outcomes])
        for k, name in enumerate(estimate)
    }
    return tuple(bins_of(reference, estimate, bound))
