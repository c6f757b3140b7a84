"""What a fit leaves, averaged over voxels: noise where the model is right, faults by their
frame.
"""

from dataclasses import replace

import numpy as np
import pytest

from mrftool.evaluation.residuals import FitResiduals, average_residual, fit_residuals
from mrftool.inference.assessment.frames import FrameFault
from mrftool.inference.assessment.sample import SampledResiduals, sample_residuals
from mrftool.manifold.influences import influences_on
from mrftool.maps import Maps
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.scan.series import Series, series_from_array
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

SHAPE, SNR = (20, 15, 3), 20.0


def scene(
    sequence: PulseSequence, form: str = "complex", factors: np.ndarray | float = 1.0
) -> tuple[Series, Maps]:
    """A noisy scan of random tissue whose frames are multiplied by `factors`, and its true maps."""
    rng, n = np.random.default_rng(0), int(np.prod(SHAPE))
    tissue = Tissue(
        rng.uniform(0.5, 2, n), rng.uniform(0.04, 0.2, n), m0=np.exp(6j * rng.random(n))
    )
    signal = simulate(sequence, tissue).signal
    sd = np.sqrt(np.mean(np.abs(signal) ** 2)) / SNR
    noise = rng.normal(size=(2, *signal.shape)) * sd
    noisy = signal * factors + noise[0] + 1j * noise[1]
    if form == "magnitude":
        noisy = np.abs(noisy)
    images = [getattr(tissue, name).reshape(SHAPE) for name in ("t1", "t2", "m0")]
    t1, t2 = (image.astype(np.float32) for image in images[:2])
    maps = Maps(t1, t2, images[2].astype(np.complex64), np.zeros(SHAPE, np.uint8))
    dtype = {"complex": np.complex64, "magnitude": np.float32}[form]
    return series_from_array(noisy.astype(dtype).reshape(*SHAPE, -1)), maps


def sample_of(signal: np.ndarray, model: np.ndarray, m0: np.ndarray, sd: float) -> SampledResiduals:
    """Voxels whose noise has a known standard deviation."""
    n = len(m0)
    noise, tissue = (signal - model) / sd, Tissue(np.ones(n), np.full(n, 0.1))
    return SampledResiduals(signal, model, m0, np.full(n, sd), noise, 4, np.arange(n), tissue)


@pytest.fixture
def found(short_sequence: PulseSequence) -> FitResiduals:
    residuals = fit_residuals(*scene(short_sequence), short_sequence, {})
    assert residuals is not None
    return residuals


def test_voxels_that_the_assessment_drew_tell_what_own_ones_tell(
    short_sequence: PulseSequence, found: FitResiduals
) -> None:
    series, maps = scene(short_sequence)
    influences = influences_on(short_sequence)
    sample = sample_residuals(
        series, maps, short_sequence, influences=influences, with_directions=True
    )
    assert sample is not None and len(sample.m0) > found.average.n_voxels  # of other slices, too
    again = fit_residuals(series, maps, short_sequence, {}, sample=sample)
    assert again is not None and again.slice_index == found.slice_index
    assert again.average.n_voxels == found.average.n_voxels
    np.testing.assert_allclose(again.average.size, found.average.size, rtol=1e-4, atol=1e-6)
    assert again.noise_sd == pytest.approx(found.noise_sd, rel=1e-3)
    assert again.suspected == found.suspected


@pytest.mark.parametrize("form", ["complex", "magnitude"])
def test_noise_averages_out_as_predicted(short_sequence: PulseSequence, form: str) -> None:
    series, maps = scene(short_sequence, form)
    residuals = fit_residuals(series, maps, short_sequence, {})
    assert residuals is not None
    average = residuals.average
    assert average.n_voxels == 300 and residuals.slice_index in range(3)
    assert average.level == pytest.approx(average.noise, rel=0.2)
    assert average.noise == pytest.approx(
        {"complex": np.sqrt(2), "magnitude": 1.0}[form] / SNR / np.sqrt(300), rel=0.2
    )
    assert not residuals.faults and not average.conspicuous().size


def test_scaled_and_empty_frames_are_found(short_sequence: PulseSequence) -> None:
    factors = np.ones(40)
    factors[20] = 1.5
    series, maps = scene(short_sequence, factors=factors)
    residuals = fit_residuals(series, maps, short_sequence, {})
    assert residuals is not None
    assert residuals.average.conspicuous().tolist() == [20]
    image = np.array([rows for _, rows in series.blocks()]).reshape(*SHAPE, -1)
    image[..., 5:8] = 0
    residuals = fit_residuals(series_from_array(image), maps, short_sequence, {})
    assert residuals is not None
    assert residuals.faults[0] == FrameFault("empty", (5, 6, 7))


def test_a_gain_that_changes_stays_in_the_average(short_sequence: PulseSequence) -> None:
    gain = 1 + 0.1 * np.random.default_rng(1).choice([-1, 1], 40)
    residuals = fit_residuals(*scene(short_sequence, factors=gain), short_sequence, {})
    assert residuals is not None
    assert residuals.average.level > 0.05 > 10 * residuals.average.noise / 2


def test_a_typical_and_the_worst_voxel_are_shown(
    short_sequence: PulseSequence, found: FitResiduals
) -> None:
    assert found.worst.residual > found.typical.residual > 0.03
    for fit in (found.typical, found.worst):
        assert fit.voxel[2] == found.slice_index
        difference = np.linalg.norm(fit.measured - fit.fitted) / np.linalg.norm(fit.measured)
        assert difference <= 1.05 * fit.residual
        assert np.ptp(fit.fitted) > 0


def test_given_values_are_those_of_the_fit(short_sequence: PulseSequence) -> None:
    """A fit that knew B1 leaves noise; looked at without it, it would not."""
    series, maps = scene(replace(short_sequence, flip_angle=short_sequence.flip_angle * 0.8))
    b1 = np.full(SHAPE, 0.8, np.float32)
    known = fit_residuals(series, maps, short_sequence, {"b1": b1})
    unknown = fit_residuals(series, maps, short_sequence, {})
    assert known is not None and unknown is not None
    assert known.average.level < 1.3 * known.average.noise
    assert unknown.average.level > 3 * unknown.average.noise


def test_nothing_is_said_without_voxels_or_frames(short_sequence: PulseSequence) -> None:
    series, maps = scene(short_sequence)
    masked = replace(maps, flags=np.full(SHAPE, Flag.MASKED, np.uint8))
    assert fit_residuals(series, masked, short_sequence, {}) is None
    empty = replace(maps, m0=0 * maps.m0)
    assert fit_residuals(series, empty, short_sequence, {}) is None
    coefficients = series_from_array(np.ones((*SHAPE, 5), np.complex64))
    assert fit_residuals(coefficients, maps, short_sequence, {}) is None


def test_the_average_is_in_the_phase_of_m0() -> None:
    """Opposite phases of M0 do not cancel a residual that both voxels have."""
    m0 = np.array([1.0, -1.0, 1j])
    fitted = m0[:, None] * np.ones((3, 8))
    average = average_residual(sample_of(fitted * np.array([1.2, *np.ones(7)]), fitted, m0, 0.1))
    np.testing.assert_allclose(average.size, [0.2, *np.zeros(7)], atol=1e-12)


def test_magnitudes_at_low_snr_are_held_against_their_mean(short_sequence: PulseSequence) -> None:
    """Where the signal passes 0, magnitudes of noise do not: this is no fault of the frame."""
    signal = np.linspace(-1, 1, 41) * np.ones((400, 1))
    noise = 0.1 * np.random.default_rng(0).normal(size=(2, 400, 41))
    measured = np.abs(signal + noise[0] + 1j * noise[1])
    average = average_residual(sample_of(measured, np.abs(signal), np.ones(400), 0.1))
    assert average.size[20] < 6 * average.noise < (measured[:, 20]).mean()


def test_the_noise_is_measured_whatever_errors_of_given_values_leave(
    short_sequence: PulseSequence,
) -> None:
    """Also where one channel holds none: it is the noise of the other that counts."""
    series, maps = scene(replace(short_sequence, flip_angle=short_sequence.flip_angle * 0.9))
    b1 = np.full(SHAPE, 0.92, np.float32)
    found = fit_residuals(series, maps, short_sequence, {"b1": b1}, {"b1": 0.03})
    image = np.array([rows for _, rows in series.blocks()]).reshape(*SHAPE, -1)
    phase = maps.m0 / abs(maps.m0)
    one = (image / phase[..., None]).imag * 1j * phase[..., None]
    empty = fit_residuals(
        series_from_array(one.astype(np.complex64)), maps, short_sequence, {"b1": b1}, {"b1": 0.03}
    )
    level = np.sqrt(np.mean(np.abs(image) ** 2))
    for each in (found, empty):
        assert each is not None and each.noise_sd is not None
        assert each.noise_sd == pytest.approx(level / SNR, rel=0.1)
