"""Frames that are empty, lost, scaled or swapped are named."""

import numpy as np
import pytest

from mrftool.inference.assessment.frames import FrameResiduals, frame_residuals
from mrftool.inference.assessment.residuals import SampledResiduals

N_TIME, N_VOXELS, SD = 120, 400, 0.02


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
    return SampledResiduals(signal, model, m0, np.full(N_VOXELS, SD))


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
