"""Frames that are empty, lost, scaled or swapped are named."""

from dataclasses import replace

import numpy as np
import pytest

from mrftool.inference.assessment.frames import FrameResiduals, frame_residuals
from mrftool.inference.assessment.sample import SampledResiduals
from mrftool.tissue import Tissue

N_TIME, N_VOXELS, SD = 120, 400, 0.02


def sampled(signal: np.ndarray, model: np.ndarray, m0: np.ndarray, sd: float) -> SampledResiduals:
    """Voxels in noise of a known standard deviation."""
    n = len(signal)
    noise, tissue = (signal - model) / sd, Tissue(np.ones(n), np.full(n, 0.1))
    return SampledResiduals(signal, model, m0, np.full(n, sd), noise, 4, np.arange(n), tissue)


def sample(form: str = "complex", change: object = None) -> SampledResiduals:
    """Fits of a common shape, and a scan of them with noise that `change` altered."""
    random = np.random.default_rng(0)
    time = np.arange(N_TIME)
    m0 = random.uniform(1, 2, N_VOXELS) * np.exp(2j * np.pi * random.random(N_VOXELS))
    rate = random.uniform(20, 40, N_VOXELS)[:, None]
    model = m0[:, None] * (1 - 1.8 * np.exp(-time / rate)) * (1 + 0.3 * np.sin(time / 9))
    noise = SD * random.standard_normal((N_VOXELS, N_TIME, 2)).view(complex)[..., 0]
    signal = model + noise
    if form == "magnitude":
        signal, model = np.abs(signal), np.abs(model)
    if change is not None:
        change(signal)
    return sampled(signal, model, m0, SD)


def swap(signal: np.ndarray) -> None:
    signal[:, [15, 90]] = signal[:, [90, 15]]


def empty(signal: np.ndarray) -> None:
    signal[:, 40:43] = 0


def lose(signal: np.ndarray) -> None:
    signal[:, 0] *= 0.01


def scale(signal: np.ndarray) -> None:
    signal[:, [60, 75]] *= 1.1


def faults(found: FrameResiduals) -> dict[str, tuple[int, ...]]:
    return {fault.kind: fault.frames for fault in found.faults}


@pytest.mark.parametrize("form", ["complex", "magnitude"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (None, {}),
        (empty, {"empty": (40, 41, 42)}),
        (lose, {"lost": (0,)}),
        (scale, {"scaled": (60, 75)}),
        (swap, {"swapped": (15, 90)}),
    ],
)
def test_frames_that_stand_out_are_named(change, expected, form: str) -> None:
    assert faults(frame_residuals(sample(form, change))) == expected


def test_the_gain_of_a_frame_is_measured() -> None:
    found = frame_residuals(sample(change=scale))
    assert found.gain[60] == pytest.approx(0.1, abs=0.01)
    assert np.median(abs(found.gain)) < 3 * np.median(found.gain_sd)
    (fault,) = found.faults
    assert fault.gain == pytest.approx(0.1, abs=0.02)


def test_a_smooth_model_error_is_no_fault_of_a_frame() -> None:
    def drift(signal: np.ndarray) -> None:
        signal *= 1 + 0.1 * np.sin(np.arange(N_TIME) / 20)

    found = frame_residuals(sample(change=drift))
    assert not found.faults
    assert abs(found.gain).max() > 0.08


def edged(form: str = "complex", sd: float = 0.1) -> SampledResiduals:
    """A train with edges, as between lobes of flip angles, and noise."""
    found = sample(form)
    random = np.random.default_rng(1)
    lobes = np.abs(np.sin(np.arange(N_TIME) / 7)) * (np.arange(N_TIME) % 30 > 2)
    model = found.model * lobes
    noise = sd * random.standard_normal((N_VOXELS, N_TIME, 2)).view(complex)[..., 0]
    signal = model + noise
    if form == "magnitude":
        signal = np.abs(signal)
    return sampled(signal, model, found.m0, sd)


def shifted(found: SampledResiduals, start: int, lag: int) -> SampledResiduals:
    """Frames from `start` on hold those of `lag` places later, the last ones doubled."""
    places = np.arange(N_TIME)
    places[start:] = np.clip(places[start:] + lag, 0, N_TIME - 1)
    return replace(found, signal=found.signal[:, places])


@pytest.mark.parametrize("form", ["complex", "magnitude"])
@pytest.mark.parametrize(("start", "lag"), [(0, 1), (0, -1), (0, 2), (60, 1), (35, -1), (80, 3)])
def test_shifted_frames_are_named(start: int, lag: int, form: str) -> None:
    found = frame_residuals(shifted(edged(form), start, lag)).faults
    (shift,) = (fault for fault in found if fault.kind == "shifted")
    assert shift.lag == lag and abs(shift.frames[0] - start) <= 6


def fade(signal: np.ndarray) -> None:
    signal[:, 50] *= 0.01


def amplify(signal: np.ndarray) -> None:
    signal[:, [50, 75]] *= 1.2


@pytest.mark.parametrize(
    ("change", "expected"), [(empty, (40, 41, 42)), (fade, (50,)), (amplify, (50, 75))]
)
def test_frames_with_a_fault_beside_a_shift_are_named(change, expected) -> None:
    """A first frame that is lost does not hide other frames, nor make sound ones stand out."""
    late = shifted(edged(sd=0.02), 0, 1)
    change(late.signal)
    found = faults(frame_residuals(late))
    assert found.pop("shifted") == (0,)
    (named,) = found.values()
    assert {*expected} <= {*named} <= {*expected, N_TIME - 1}  # the last one is doubled


@pytest.mark.parametrize("change", [empty, scale, swap])
def test_other_faults_are_no_shift(change) -> None:
    found = edged()
    change(found.signal)
    assert "shifted" not in faults(frame_residuals(found))


@pytest.mark.parametrize(
    "alter",
    [
        lambda signal: signal[:, ::-1],
        lambda signal: np.roll(signal, 10, axis=1),
        lambda signal: signal * (1 + 0.2 * np.random.default_rng(3).standard_normal(N_TIME)),
        lambda signal: signal * np.linspace(1, 0.6, N_TIME),
        lambda signal: np.random.default_rng(4).permutation(signal, axis=1),
    ],
)
def test_another_misfit_is_no_shift_by_a_few_frames(alter) -> None:
    found = edged()
    altered = replace(found, signal=alter(found.signal))
    assert "shifted" not in faults(frame_residuals(altered))
