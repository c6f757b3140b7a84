"""The exported graph against least squares on the exact engine, against the Cramer-Rao bound, and
on bad input.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from scipy import optimize, special, stats

from mrftool.exporting.make import make_model
from mrftool.exporting.thresholds import FALSE_ALARM
from mrftool.inference.session import Model, run
from mrftool.physics.cramer_rao import cramer_rao
from mrftool.physics.noise import add_noise, excess_formula
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.sequence import Pulses, PulseSequence
from mrftool.tissue import Tissue
from tests.support.rounding import assert_equal_to_rounding

T1_RANGE, T2_RANGE = (0.2, 3.0), (0.02, 0.5)
Make = Callable[..., tuple[Model, PulseSequence]]


@pytest.fixture(scope="module")
def make(short_sequence: PulseSequence) -> Make:
    """Models of the short sequence, with quadratic RF phase or fewer pulses if asked; each is made
    once.
    """
    made: dict[str, tuple[Model, PulseSequence]] = {}

    def get(phase: float = 0.0, pulses: int = 40, **options: Any) -> tuple[Model, PulseSequence]:
        key = repr((phase, pulses, sorted(options.items())))
        if key not in made:
            n = np.arange(pulses)
            columns = {
                key: getattr(short_sequence, key)[:pulses] for key in ("flip_angle", "tr", "te")
            }
            sequence = replace(
                short_sequence, **columns, rf_phase=np.deg2rad(phase) * n * (n + 1) / 2
            )
            model, manifest = make_model(
                sequence, t1_range=T1_RANGE, t2_range=T2_RANGE, check=False, **options
            )
            made[key] = Model(Path("model.onnx"), manifest, model.SerializeToString()), sequence
        return made[key]

    return get


def brain(count: int, seed: int = 3, b1: float = 1.0) -> Tissue:
    random = np.random.default_rng(seed)
    t1 = np.exp(random.uniform(np.log(0.4), np.log(2.0), count))
    return Tissue(t1, t1 * random.uniform(0.06, 0.2, count), b1=b1, m0=2 * np.exp(0.8j))


def noisy(
    sequence: PulseSequence, tissue: Tissue, snr: float, seed: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    signal = simulate(sequence, tissue).signal
    sd = np.sqrt(np.mean(np.abs(signal) ** 2, axis=1)) / snr
    return add_noise(signal, sd, np.random.default_rng(seed)), sd


@pytest.mark.parametrize("phase", [0.0, 117.0])
def test_estimates_are_those_of_least_squares_on_the_exact_engine(make: Make, phase: float) -> None:
    model, sequence = make(phase)
    signal, _ = noisy(sequence, brain(6), 30)
    found = run(model, signal)
    for k, y in enumerate(signal.astype(complex)):

        def fitted(logs: np.ndarray, y: np.ndarray = y) -> np.ndarray:
            s = simulate(sequence, Tissue(*np.exp(logs)[:, None])).signal[0].astype(complex)
            rest = y - s * (s.conj() @ y) / (s.conj() @ s)
            return np.concatenate([rest.real, rest.imag])

        start = np.log([found["t1"][k] * 1.1, found["t2"][k] * 0.9])
        best = optimize.least_squares(
            fitted, start, diff_step=1e-3, xtol=1e-10, ftol=1e-12, gtol=1e-12
        )
        t1, t2 = np.exp(best.x)
        assert abs(found["t1"][k] - t1) < 0.02 * found["sd_t1"][k]
        assert abs(found["t2"][k] - t2) < 0.02 * found["sd_t2"][k]
        residual = np.linalg.norm(fitted(best.x)) / np.linalg.norm(y)
        assert found["residual"][k] == pytest.approx(residual, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"phase": 117.0}, {"b1_range": (0.8, 1.2)}, {"form": "magnitude"}]
)
def test_without_noise_the_tissue_comes_back(make: Make, options: dict[str, Any]) -> None:
    model, sequence = make(**options)
    tissue = brain(200, b1=0.93 if model.given else 1.0)
    signal = simulate(sequence, tissue).signal
    rows = np.abs(signal) if model.form == "magnitude" else signal
    found = run(model, rows, b1=tissue.b1 if model.given else None)
    np.testing.assert_allclose(found["t1"], tissue.t1, rtol=5e-3)
    np.testing.assert_allclose(found["t2"], tissue.t2, rtol=5e-3)
    expected = abs(tissue.m0) if model.form == "magnitude" else tissue.m0
    np.testing.assert_allclose(found["m0"], expected, rtol=5e-3)
    assert not found["flags"].any()


@pytest.mark.parametrize("options", [{}, {"phase": 117.0}, {"form": "magnitude"}])
def test_standard_deviations_are_the_bound_at_the_estimate(
    make: Make, options: dict[str, Any]
) -> None:
    model, sequence = make(**options)
    signal, sd = noisy(sequence, Tissue(np.full(50, 0.9), np.full(50, 0.09)), 30)
    rows = np.abs(signal) if model.form == "magnitude" else signal
    found = run(model, rows, noise_sd=float(sd[0]))
    there = Tissue(found["t1"], found["t2"], m0=np.abs(found["m0"]))
    bound = cramer_rao(sequence, there, noise_sd=sd, form=model.form)
    accuracy = 0.03 if model.form == "magnitude" else 0.005
    np.testing.assert_allclose(found["sd_t1"], bound.sd_t1, rtol=accuracy)
    np.testing.assert_allclose(found["sd_t2"], bound.sd_t2, rtol=accuracy)


def test_the_residual_gives_the_noise_where_none_is_given(make: Make) -> None:
    model, sequence = make()
    signal, sd = noisy(sequence, Tissue(np.full(3000, 0.9), np.full(3000, 0.09)), 30)
    guessed, given = run(model, signal), run(model, signal, noise_sd=float(sd[0]))
    np.testing.assert_allclose(guessed["t1"], given["t1"], rtol=1e-5)
    from_residual = guessed["residual"] * np.linalg.norm(signal, axis=1) / np.sqrt(2 * 40 - 4)
    np.testing.assert_allclose(guessed["sd_t1"] / given["sd_t1"], from_residual / sd[0], rtol=1e-4)
    assert np.mean((from_residual / sd[0]) ** 2) == pytest.approx(1, abs=5 * np.sqrt(2 / 76 / 3000))
    twice = run(model, signal, noise_sd=2 * float(sd[0]))
    np.testing.assert_allclose(twice["sd_t2"], 2 * given["sd_t2"], rtol=1e-5)


@pytest.mark.parametrize("form", ["complex", "magnitude"])
def test_errors_are_as_large_as_their_bars_and_unbiased(make: Make, form: str) -> None:
    """3000 noise draws of one tissue, noise level estimated: mean and spread of error / sd are
    known to 0.02.
    """
    model, sequence = make(form=form) if form == "magnitude" else make()
    tissue = Tissue(np.full(3000, 0.9), np.full(3000, 0.09))
    signal, _ = noisy(sequence, tissue, 15)
    found = run(model, np.abs(signal) if form == "magnitude" else signal)
    for name, truth in (("t1", tissue.t1), ("t2", tissue.t2)):
        z = (found[name] - truth) / found[f"sd_{name}"]
        assert (
            abs(z.mean()) < 0.15
        )  # the sd is that of the estimate, so that z is skewed; it vanishes at high SNR
        assert 0.93 < z.std() < 1.07


def test_the_expectation_of_magnitudes_is_that_of_rice() -> None:
    u = np.linspace(0, 60, 500)
    q = u**2
    mean = np.sqrt(1 + q + excess_formula(1).at(q))
    exact = np.sqrt(np.pi / 8) * ((2 + q) * special.ive(0, q / 4) + q * special.ive(1, q / 4))
    np.testing.assert_allclose(mean, exact, atol=1.5e-4)


def test_scale_and_phase_go_to_m0_alone(make: Make) -> None:
    model, sequence = make()
    signal, _ = noisy(sequence, brain(20), 20)
    plain, scaled = run(model, signal), run(model, (signal * 900 * np.exp(2j)).astype(np.complex64))
    np.testing.assert_allclose(scaled["m0"], plain["m0"] * 900 * np.exp(2j), rtol=1e-4)
    for name in ("t1", "t2", "sd_t1", "sd_t2", "residual"):
        np.testing.assert_allclose(scaled[name], plain[name], rtol=1e-3)


@pytest.mark.slow
def test_more_polish_explains_more(make: Make) -> None:
    signal, _ = noisy(make()[1], brain(300), 50)
    one, two, four = (run(make(polish=n)[0], signal) for n in (1, 2, 4))
    gap = [np.abs(x["t2"] / four["t2"] - 1).max() for x in (one, two)]
    assert gap[1] < gap[0] / 5


@pytest.mark.slow
def test_results_do_not_depend_on_batch_or_threads(make: Make) -> None:
    for options in (
        {},
        {"pulses": 37},
        {"form": "magnitude", "pulses": 37},
        {"b1_range": (0.8, 1.2)},
        {"phase": 117.0},
    ):
        model, sequence = make(**options)
        signal, _ = noisy(sequence, brain(70), 20)
        rows = np.abs(signal) if model.form == "magnitude" else signal
        b1 = np.linspace(0.8, 1.2, 70) if model.given else None
        whole = run(model, rows, b1=b1)
        for batch, threads in ((1, 1), (3, 1), (64, 2), (70, 2)):
            parts = run(model, rows, b1=b1, batch=batch, threads=threads)
            assert_equal_to_rounding(parts, whole, f"{options}, {batch} voxels at a time")
        nothing = run(model, rows[:0], b1=None if b1 is None else b1[:0])
        assert {name: column.shape for name, column in nothing.items()} == dict.fromkeys(
            whole, (0,)
        )


@pytest.mark.parametrize("form", ["complex", "magnitude"])
def test_no_array_of_the_graph_is_without_columns(make: Make, form: str) -> None:
    # The basis of five pulses leaves nothing out; ONNX Runtime 1.30 sums no columns to no column.
    _, sequence = make(pulses=5)
    model, _ = make_model(sequence, check=False, form=form)
    graph = onnx.shape_inference.infer_shapes(model).graph
    sizes = {
        value.name: [
            part.dim_value for part in value.type.tensor_type.shape.dim if not part.dim_param
        ]
        for value in graph.value_info
    }
    assert sum(len(of_one) > 0 for of_one in sizes.values()) > 50
    assert [name for name, of_one in sizes.items() if 0 in of_one] == []


@pytest.mark.parametrize("options", [{}, {"form": "magnitude"}, {"phase": 117.0}])
def test_what_cannot_be_used_gives_no_numbers(make: Make, options: dict[str, Any]) -> None:
    model, sequence = make(**options)
    signal, _ = noisy(sequence, brain(6), 20)
    rows = np.abs(signal) if model.form == "magnitude" else signal.copy()
    good = run(model, rows)
    rows[1], rows[2, 5], rows[3, 7], rows[4] = 0, np.nan, np.inf, rows[4] * np.float32(1e30)
    found = run(model, rows)
    assert found["flags"][1] == Flag.MASKED
    assert (found["flags"][2:5] == Flag.NON_FINITE).all()
    for name in ("t1", "t2", "m0", "residual", "sd_t1", "sd_t2"):
        assert np.isnan(found[name][1:5]).all()
        np.testing.assert_allclose(found[name][[0, 5]], good[name][[0, 5]], rtol=1e-5)


def share(found: dict[str, np.ndarray], flag: Flag) -> float:
    return float(np.mean((found["flags"] & flag) > 0))


@pytest.mark.parametrize("options", [{}, {"phase": 117.0}, {"form": "magnitude"}])
def test_misfit_is_flagged_as_rarely_as_promised_and_where_it_should(
    make: Make, options: dict[str, Any]
) -> None:
    model, sequence = make(**options)
    of = np.abs if model.form == "magnitude" else np.asarray
    tissue = Tissue(np.full(3000, 0.9), np.full(3000, 0.09))
    signal, sd = noisy(sequence, tissue, 40)
    most = stats.binom.isf(1e-5, 3000, FALSE_ALARM) / 3000
    assert share(run(model, of(signal)), Flag.MISFIT) <= most
    assert share(run(model, of(signal), noise_sd=float(sd[0])), Flag.MISFIT) <= most
    random = np.random.default_rng(8)
    noise = (random.standard_normal((3000, 40)) + 1j * random.standard_normal((3000, 40))).astype(
        np.complex64
    )
    assert share(run(model, of(noise)), Flag.MISFIT) > 0.98
    assert share(run(model, of(noise), noise_sd=1.0), Flag.MISFIT) > 0.99
    reversed_train = replace(sequence, flip_angle=sequence.flip_angle[::-1] / 3, events=[Pulses()])
    other, sd = noisy(reversed_train, brain(300), 40)
    assert share(run(model, of(other)), Flag.MISFIT) > 0.98
    assert share(run(model, of(other), noise_sd=float(sd.min())), Flag.MISFIT) > 0.98


def test_estimates_outside_the_range_are_flagged(make: Make) -> None:
    model, sequence = make()
    tissue = Tissue([0.17, 3.6, 1.0, 1.0, 1.0], [0.05, 0.2, 0.015, 0.7, 0.1])
    found = run(model, simulate(sequence, tissue).signal)
    assert ((found["flags"] & Flag.OUT_OF_RANGE) > 0).tolist() == [True, True, True, True, False]
    np.testing.assert_allclose(found["t1"], tissue.t1, rtol=0.02)


def test_what_noise_hides_is_flagged_as_undetermined(make: Make) -> None:
    model, sequence = make()
    signal = simulate(sequence, Tissue([2.5], [0.025])).signal
    seen = set()
    for noise in (1e-5, 0.05, 0.5):
        found = run(model, signal, noise_sd=noise)
        for name, flag in (("t1", Flag.T1_UNDETERMINED), ("t2", Flag.T2_UNDETERMINED)):
            marked = bool(found["flags"][0] & flag)
            assert marked == (found[f"sd_{name}"][0] > 0.5 * found[name][0])
            seen.add((flag, marked))
    assert len(seen) == 4


def test_b1_decides_and_is_judged(make: Make) -> None:
    model, sequence = make(b1_range=(0.8, 1.2))
    tissue = brain(50, b1=0.85)
    signal = simulate(sequence, tissue).signal
    right, wrong = run(model, signal, b1=tissue.b1), run(model, signal, b1=np.full(50, 1.1))
    np.testing.assert_allclose(right["t2"], tissue.t2, rtol=5e-3)
    assert (np.abs(wrong["t2"] / tissue.t2 - 1) > 0.05).all()
    assert share(wrong, Flag.MISFIT) > 0.9
    for value, flag in (
        (0.7, Flag.OUT_OF_RANGE),
        (1.3, Flag.OUT_OF_RANGE),
        (np.nan, Flag.NON_FINITE),
    ):
        found = run(model, signal[:1], b1=np.array([value]))
        assert found["flags"][0] & flag
        nothing = run(model, np.zeros_like(signal[:1]), b1=np.array([value]))
        assert nothing["flags"][0] == Flag.MASKED
