"""Frames that are no independent images: expanded from coefficients, or of one arm each."""

from pathlib import Path

import numpy as np
import pytest

from mrftool.exporting.make import make_model
from mrftool.inference.assessment.aliasing import windowed_products
from mrftool.inference.assessment.uncertainty import Assessment, assess_uncertainty
from mrftool.inference.quantify import quantify
from mrftool.inference.session import Model
from mrftool.physics.noise import complex_noise
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.scan.series import series_from_array
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

SHAPE = (50, 40, 1)
COUNT, N_TIME, CYCLE, RANK = 2000, 240, 20, 6


@pytest.fixture(scope="module")
def sequence(short_sequence: PulseSequence) -> PulseSequence:
    time = np.arange(N_TIME)
    return PulseSequence(
        np.deg2rad(10 + 50 * np.sin(np.pi * time / 120) ** 2),
        np.zeros(N_TIME),
        np.full(N_TIME, 0.012),
        np.full(N_TIME, 0.004),
        short_sequence.events,
        name="frames",
    )


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    random = np.random.default_rng(0)
    t1 = np.exp(random.uniform(np.log(0.6), np.log(1.6), COUNT))
    return Tissue(t1, t1 * random.uniform(0.06, 0.12, COUNT))


@pytest.fixture(scope="module")
def signal(sequence: PulseSequence, tissue: Tissue) -> np.ndarray:
    return simulate(sequence, tissue).signal


@pytest.fixture(scope="module")
def model(sequence: PulseSequence) -> Model:
    ranges = {"t1_range": (0.4, 2.5), "t2_range": (0.02, 0.4)}
    proto, manifest = make_model(sequence, check=False, **ranges)
    return Model(Path("frames.onnx"), manifest, proto.SerializeToString())


def assessed(rows: np.ndarray, model: Model) -> Assessment:
    series = series_from_array(rows.reshape(*SHAPE, -1).astype(np.complex64))
    return assess_uncertainty(series, quantify(series, model), model, stated={})


def spread(found: Assessment, tissue: Tissue, name: str) -> float:
    """Of the error over its standard deviation, from the median, as prototypes were judged."""
    error = getattr(found.maps, name).ravel() - getattr(tissue, name)
    return float(np.median(abs(error / found.maps[f"sd_{name}"].ravel())) / 0.6745)


@pytest.mark.slow
def test_noise_of_an_expanded_series_is_that_of_its_coefficients(
    signal: np.ndarray, model: Model, tissue: Tissue
) -> None:
    basis = np.linalg.svd(signal, full_matrices=False)[2][:RANK]
    level = np.sqrt(np.mean(abs(signal) ** 2)) * np.linspace(0.5, 2, COUNT)[:, None]
    noise = level * complex_noise((COUNT, RANK), np.random.default_rng(1))
    found = assessed((signal @ basis.conj().T + noise) @ basis, model)
    for name in ("t1", "t2"):
        assert 0.9 < spread(found, tissue, name) < 1.1
        error = getattr(found.maps, name).ravel() - getattr(tissue, name)
        covered = abs(error) < 1.96 * found.maps[f"combined_{name}"].ravel()
        assert 0.92 < covered.mean() < 0.98
    assert np.mean(found.maps.flags & int(Flag.MISFIT) > 0) < 0.02
    assert any(f"{RANK} independent time courses" in text for text in found.sentences())
    assert found.maps.assumptions[-1] == found.sentences()[-1]


@pytest.mark.slow
def test_aliasing_of_arms_is_told_from_noise(
    signal: np.ndarray, model: Model, tissue: Tissue
) -> None:
    random = np.random.default_rng(1)
    shares = complex_noise((COUNT, CYCLE), random)
    shares -= shares.mean(axis=1, keepdims=True)  # all arms together hold no aliasing
    arms = (7 * np.arange(N_TIME)) % CYCLE
    aliasing = signal[random.permutation(COUNT)] * shares[:, arms]
    noise = 0.1 * np.sqrt(np.mean(abs(signal) ** 2)) * complex_noise(signal.shape, random)
    found = assessed(signal + 0.5 * aliasing + noise, model)
    plain = assessed(signal + 0.5 * aliasing[:, random.permutation(N_TIME)] + noise, model)
    assert plain.structure == ""
    for name in ("t1", "t2"):
        assert 0.6 < spread(found, tissue, name) < 1.2
    assert any(f"every {CYCLE} repetitions" in text for text in found.sentences())


def test_noise_alone_has_no_structure(signal: np.ndarray, model: Model) -> None:
    noise = complex_noise(signal.shape, np.random.default_rng(1))
    for t in range(1, N_TIME):
        noise[:, t] = 0.7 * noise[:, t - 1] + 0.7 * noise[:, t]
    found = assessed(signal + 0.1 * np.sqrt(np.mean(abs(signal) ** 2)) * noise, model)
    assert found.structure == ""


def test_windowed_products_weigh_lags_as_bartlett() -> None:
    scores = np.random.default_rng(0).standard_normal((3, 2, 30))
    lags = abs(np.subtract.outer(np.arange(30), np.arange(30)))
    weights = np.maximum(1 - lags / 7, 0)
    expected = scores @ weights @ scores.swapaxes(1, 2)
    assert windowed_products(scores, 7) == pytest.approx(expected)
