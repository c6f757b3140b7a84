"""The uncertainty of whole scans: noise that is not white, errors of given values, misfit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

from mrftool.errors import ArgumentError
from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import sequence_from_dict
from mrftool.inference.assessment.given_values import default_uncertainties
from mrftool.inference.assessment.misfit import is_severe
from mrftool.inference.assessment.uncertainty import Assessment, assess_uncertainty
from mrftool.inference.quantify import quantify
from mrftool.inference.session import Model
from mrftool.physics.noise import add_noise, level_of
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.scan.series import series_from_array
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

SHAPE = (50, 40, 1)
COUNT = 2000


@pytest.fixture(scope="module")
def sequence(short_sequence: PulseSequence) -> PulseSequence:
    """Long enough for noise to average out, with flips that tell T1, T2 and B1."""
    n = 200
    time = np.arange(n)
    return replace(
        short_sequence,
        flip_angle=np.deg2rad(10 + 50 * np.sin(np.pi * time / 100) ** 2),
        rf_phase=np.zeros(n),
        tr=np.full(n, 0.012),
        te=np.full(n, 0.004),
    )


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    random = np.random.default_rng(0)
    t1 = np.exp(random.uniform(np.log(0.6), np.log(1.6), COUNT))
    return Tissue(t1, t1 * random.uniform(0.06, 0.12, COUNT), b1=random.uniform(0.9, 1.1, COUNT))


def made(sequence: PulseSequence, **options: object) -> Model:
    ranges = {"t1_range": (0.4, 2.5), "t2_range": (0.02, 0.4)}
    proto, manifest = make_model(sequence, check=False, **ranges, **options)
    return Model(Path("short.onnx"), manifest, proto.SerializeToString())


@pytest.fixture(scope="module")
def model(sequence: PulseSequence) -> Model:
    return made(sequence)


def white(shape: tuple[int, ...], sd: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((*shape, 2)).view(complex)[..., 0]
    return sd * noise


def coloured(shape: tuple[int, ...], sd: float) -> np.ndarray:
    """Autoregressive noise of order 1, with a coefficient of 0.5."""
    noise = white(shape, sd)
    for t in range(1, shape[1]):
        noise[:, t] = 0.5 * noise[:, t - 1] + np.sqrt(0.75) * noise[:, t]
    return noise


def assessed(rows: np.ndarray, model: Model, **options: object) -> Assessment:
    series = series_from_array(rows.reshape(*SHAPE, -1).astype(np.complex64))
    given = {name: options[name] for name in model.given}
    return assess_uncertainty(series, quantify(series, model, **given), model, **options)


def z_scores(found: Assessment, tissue: Tissue, kind: str = "sd") -> dict[str, np.ndarray]:
    """Errors of T1 and T2 over their stated uncertainty."""
    scores = {}
    for name in ("t1", "t2"):
        error = getattr(found.maps, name).ravel() - getattr(tissue, name)
        scores[name] = error / found.maps.extra[f"{kind}_{name}"].ravel()
    return scores


@pytest.mark.parametrize("snr", [10, 50])
@pytest.mark.parametrize("kind", ["white", "real only", "empty channel", "coloured"])
def test_error_bars_hold_whatever_the_noise(
    kind: str, snr: float, sequence: PulseSequence, tissue: Tissue, model: Model
) -> None:
    nominal = replace(tissue, b1=np.ones(COUNT))
    clean = simulate(sequence, nominal).signal
    sd = float(np.sqrt((abs(clean) ** 2).mean()) / snr)
    if kind == "coloured":
        rows = clean + coloured(clean.shape, sd)
    elif kind == "white":
        rows = clean + white(clean.shape, sd)
    elif kind == "real only":
        rows = (1j * clean + white(clean.shape, sd)).real + 0j
    else:
        rows = 1j * (clean + white(clean.shape, sd)).imag
    found = assessed(rows, model, stated={})
    for scores in z_scores(found, nominal).values():
        assert 0.94 < scores.std() < 1.06
        assert 0.93 < np.mean(abs(scores) < 1.96) < 0.965
    assert np.mean((found.maps.flags & Flag.MISFIT) > 0) < 0.02
    assert (found.noise.correlation_time > 2) == (kind == "coloured")


def test_the_graph_alone_is_too_sure_of_coloured_noise(
    sequence: PulseSequence, tissue: Tissue, model: Model
) -> None:
    nominal = replace(tissue, b1=np.ones(COUNT))
    clean = simulate(sequence, nominal).signal
    series = series_from_array((clean + coloured(clean.shape, 1e-3)).reshape(*SHAPE, -1))
    maps = quantify(series, model)
    z = (maps.t2.ravel() - nominal.t2) / maps.extra["sd_t2"].ravel()
    assert z.std() > 1.5


@pytest.mark.slow
@pytest.mark.parametrize("snr", [10, 40, 200])
def test_a_b1_map_with_errors_is_covered_by_its_stated_uncertainty(
    snr: float, sequence: PulseSequence, tissue: Tissue
) -> None:
    model = made(sequence, b1_range=(0.7, 1.3))
    clean = simulate(sequence, tissue).signal
    sd = float(np.sqrt((abs(clean) ** 2).mean()) / snr)
    wrong = tissue.b1 * (1 + 0.03 * np.random.default_rng(2).standard_normal(COUNT))
    image = wrong.reshape(SHAPE).astype(np.float32)
    found = assessed(clean + white(clean.shape, sd), model, stated={"b1": 0.03}, b1=image)
    for scores in z_scores(found, tissue, "combined").values():
        assert 0.93 < np.mean(abs(scores) < 1.96) < 0.97


@pytest.mark.slow
def test_an_error_of_the_whole_b1_map_is_covered_and_counted_once(
    sequence: PulseSequence, tissue: Tissue
) -> None:
    """At high SNR most of the residual is that of B1: it is no noise of T1 and T2 as well."""
    model, shape = made(sequence, b1_range=(0.7, 1.3)), (100, 1, 1)
    clean = simulate(sequence, tissue).signal
    rows = clean + white(clean.shape, float(np.sqrt((abs(clean) ** 2).mean()) / 200))
    scores: dict[str, list[np.ndarray]] = {"t1": [], "t2": []}
    for part, error in enumerate(0.03 * ndtri((np.arange(20) + 0.5) / 20)):
        own = slice(100 * part, 100 * (part + 1))
        image = (tissue.b1[own] * (1 + error)).reshape(shape).astype(np.float32)
        series = series_from_array(rows[own].reshape(*shape, -1).astype(np.complex64))
        maps = quantify(series, model, b1=image)
        found = assess_uncertainty(series, maps, model, stated={"b1": 0.03}, b1=image).maps
        for name, parts in scores.items():
            moved = getattr(found, name).ravel() - getattr(tissue, name)[own]
            parts.append(moved / found.extra[f"combined_{name}"].ravel())
    for parts in scores.values():
        z = np.concatenate(parts)
        assert 0.93 < z.std() < 1.05 and 0.93 < np.mean(abs(z) < 1.96) < 0.97


def test_a_misfit_that_all_voxels_have_is_held_to_a_lower_limit() -> None:
    severities = np.array([0.0, 0.5, 0.9, 1.3, 2.5])
    everywhere = np.ones(5, bool)
    assert is_severe(severities, severities, everywhere).tolist() == [False] * 4 + [True]
    higher = severities + 0.2
    assert is_severe(higher, higher, everywhere).tolist() == [False, False, True, True, True]
    assert is_severe(higher, higher, severities < 1).tolist() == [False] * 4 + [True]
    noise = np.array([0.0, 0.0, 0.0, 1.5, 1.5])  # most voxels fit better than noise
    assert not is_severe(np.full(5, 1.5), noise, everywhere).any()


def test_misfit_is_graded_by_what_it_can_do(
    sequence: PulseSequence, tissue: Tissue, model: Model
) -> None:
    """A small error of B1 is within the stated uncertainty, a large one is not."""
    for actual, is_flagged in ((1.01, False), (1.2, True)):
        clean = simulate(sequence, replace(tissue, b1=np.full(COUNT, actual))).signal
        sd = float(np.sqrt((abs(clean) ** 2).mean()) / 200)
        found = assessed(clean + white(clean.shape, sd), model, stated={"b1": 0.02})
        assert (np.mean((found.maps.flags & Flag.MISFIT) > 0) > 0.5) == is_flagged
        misfit = np.median(found.maps.extra["misfit"])
        residual = np.median(found.maps.extra["residual"])
        assert misfit < residual
        assert (misfit > 0.01) == is_flagged


def test_uncertainties_are_stated_for_what_the_sequence_has(
    sequence: PulseSequence, tissue: Tissue, model: Model
) -> None:
    rows = simulate(sequence, replace(tissue, b1=np.ones(COUNT))).signal
    rows = rows + white(rows.shape, 1e-4)
    found = assessed(rows, model)
    assert found.stated == default_uncertainties(sequence)
    larger = assessed(rows, model, stated=found.stated | {"b1": 0.1})
    assert (larger.maps.extra["systematic_t2"] > found.maps.extra["systematic_t2"]).all()
    for stated, message in (
        ({"slice_profile": 0.1}, "does not have"),
        ({"weather": 1.0}, "no influence 'weather'"),
        ({"b1": -0.1}, "expected 0 or more"),
    ):
        with pytest.raises(ArgumentError, match=message):
            assessed(rows, model, stated=stated)


def test_masked_voxels_have_no_uncertainty(
    sequence: PulseSequence, tissue: Tissue, model: Model
) -> None:
    rows = simulate(sequence, replace(tissue, b1=np.ones(COUNT))).signal.copy()
    rows += white(rows.shape, 1e-4)
    rows[0], rows[1, 3] = 0, np.nan
    extra = assessed(rows, model).maps.extra
    for name in ("systematic_t1", "combined_t2", "misfit"):
        assert extra[name].ravel()[0] == 0 and np.isnan(extra[name].ravel()[1])
        assert (extra[name].ravel()[2:] >= 0).all()


@pytest.mark.slow
def test_voxels_that_fit_better_than_noise_keep_their_error_bars(model: Model) -> None:
    loaded = model
    sequence = sequence_from_dict(loaded.manifest.sequence)
    tissue = Tissue(np.full(900, 1.0), np.full(900, 0.08))
    signal = simulate(sequence, tissue).signal
    noisy = add_noise(signal, level_of(signal) / 40, np.random.default_rng(0))
    series = series_from_array(noisy.reshape(900, 1, 1, -1))
    maps = quantify(series, loaded)
    found = assess_uncertainty(series, maps, loaded, stated={"b1": 0.05}).maps
    for name in ("sd_t1", "sd_t2"):
        assert np.min(found.extra[name] / maps.extra[name]) > 0.5
        assert np.median(found.extra[name] / maps.extra[name]) == pytest.approx(1.0, abs=0.05)
