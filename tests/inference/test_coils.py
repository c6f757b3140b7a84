"""Root sums of squares of several coils: their noise, estimates, and what the air tells."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from front_door import refuses, save, works
from scipy import stats

from mrftool.errors import ArgumentError
from mrftool.exporting.make import make_model
from mrftool.inference.assessment.background import background_of
from mrftool.inference.session import Model, run
from mrftool.physics.noise import (
    excess_formula,
    largest_noise_ratio,
    level_of,
    moments,
    noise_ratio,
)
from mrftool.physics.simulate import simulate
from mrftool.scan.series import series_from_array
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue


def root_sum_of_squares(signal: Any, sd: Any, coils: int, seed: int = 0) -> Any:
    """Magnitudes of coils of different sensitivity and equal noise of standard deviation `sd`."""
    random = np.random.default_rng(seed)
    weights = random.normal(size=coils) + 1j * random.normal(size=coils)
    total = np.zeros(signal.shape)
    for weight in weights / np.linalg.norm(weights):
        noise = random.normal(size=signal.shape) + 1j * random.normal(size=signal.shape)
        total += np.abs(weight * signal + sd * noise) ** 2
    return np.sqrt(total).astype(np.float32)


@pytest.mark.parametrize("coils", [1, 2, 8, 32])
def test_moments_are_those_of_a_chi_distribution(coils: int) -> None:
    u = np.array([0.0, 0.7, 2.0, 6.0, 30.0])
    mean, variance = moments(u, coils)
    for k, value in enumerate(u):
        sample = np.sqrt(stats.ncx2(2 * coils, max(value**2, 1e-12)).rvs(200_000, random_state=k))
        assert mean[k] == pytest.approx(sample.mean(), abs=5 * sample.std() / 440)
        assert variance[k] == pytest.approx(sample.var(), rel=0.02)


def test_the_ratio_of_noise_is_rarely_larger_than_its_limit() -> None:
    assert noise_ratio(1) == pytest.approx(np.sqrt(np.pi / (4 - np.pi)))
    noise = np.sqrt(stats.chi2(16).rvs((4000, 1000), random_state=0))
    ratio = noise.mean(axis=1) / noise.std(axis=1)
    assert np.median(ratio) == pytest.approx(noise_ratio(8), rel=0.01)
    assert np.mean(ratio > largest_noise_ratio(1000, 0.05, 8)) == pytest.approx(0.05, abs=0.02)
    assert excess_formula(8).at(np.array([1e6]))[0] * 1e6 == pytest.approx(7.5, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("coils", [2, 8])
def test_estimates_of_several_coils_are_unbiased_and_scatter_as_stated(
    coils: int, short_sequence: PulseSequence
) -> None:
    tissue = Tissue(np.full(1500, 1.0), np.full(1500, 0.1))
    signal = simulate(short_sequence, tissue).signal
    sd = level_of(signal)[:, None] / 25
    magnitudes = root_sum_of_squares(signal, sd, coils)
    found, errors = {}, {}
    for assumed in (1, coils):
        proto, facts = make_model(short_sequence, form="magnitude", coils=assumed, check=False)
        model = Model(Path("several.onnx"), facts, proto.SerializeToString())
        found[assumed] = run(model, magnitudes)
        errors[assumed] = (found[assumed]["t1"] - 1.0) / found[assumed]["sd_t1"]
    assert abs(errors[coils].mean()) < 0.1
    assert errors[coils].std() == pytest.approx(1.0, abs=0.1)
    assert abs(errors[1].mean()) > 3 * abs(errors[coils].mean())
    z = (found[coils]["t2"] - 0.1) / found[coils]["sd_t2"]
    assert abs(z.mean()) < 0.15
    assert z.std() == pytest.approx(1.0, abs=0.1)
    assert np.mean(found[coils]["flags"] & 2 > 0) < 0.03


def scan(sequence: PulseSequence, coils: int) -> Any:
    """A square of tissue in air `(x, y, 1, time)`."""
    tissue = Tissue(np.full(400, 1.0), np.full(400, 0.1))
    image = np.zeros((32, 32, 1, len(sequence)), np.complex64)
    signal = simulate(sequence, tissue).signal
    image[6:26, 6:26, 0] = signal.reshape(20, 20, -1)
    return root_sum_of_squares(image, level_of(signal)[0] / 25, coils)


@pytest.mark.parametrize("coils", [1, 2, 8])
def test_the_air_tells_the_number_of_coils(coils: int, short_sequence: PulseSequence) -> None:
    background = background_of(series_from_array(scan(short_sequence, coils)))
    assert background is not None
    assert background.n_voxels > 400
    assert abs(background.coils - coils) <= coils // 4
    assert not background.contradicts(coils)
    assert background.contradicts(4 * coils)


def test_a_scan_without_air_tells_no_number_of_coils(short_sequence: PulseSequence) -> None:
    inside = scan(short_sequence, 8)[6:26, 6:26]
    assert background_of(series_from_array(inside)) is None


@pytest.mark.slow
def test_a_wrong_number_of_coils_is_named_and_the_right_one_is_not(
    short_sequence: PulseSequence, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("rss.nii"), scan(short_sequence, 8))
    works("quantify", "rss.nii", "--model", model, "--coils", 8, "-o", "right")
    report = json.loads(Path("right/report.json").read_text())
    assert report["status"] == "good"
    assert json.loads(Path("right/T1map.json").read_text())["mrftool"]["coils"] == 8
    said = works("quantify", "rss.nii", "--model", model, "--coils", 2, "-o", "wrong")
    assert "is that of magnitudes of" in said.err
    refuses(2, "quantify", "rss.nii", "--model", model, "--coils", 0, says=("--coils 0",))
    save(Path("complex.nii"), scan(short_sequence, 1).astype(np.complex64))
    refuses(4, "quantify", "complex.nii", "--model", model, "--coils", 2, says=("magnitude",))


def test_a_number_of_coils_goes_with_magnitudes(
    short_sequence: PulseSequence, make_onnx: Callable[..., Path]
) -> None:
    with pytest.raises(ArgumentError, match="goes with magnitudes"):
        make_model(short_sequence, coils=4, check=False)
    with pytest.raises(ArgumentError, match="expected 1 to 64"):
        make_model(short_sequence, form="magnitude", coils=100, check=False)
