"""Trials of a model: `mrftool evaluate model`."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from readable_figure import require_readable
from rich.console import Console
from typer.testing import CliRunner

from mrftool.cli.commands.evaluation.evaluate import app
from mrftool.environment.reporter import SilentReporter
from mrftool.errors import MismatchError, UsageError
from mrftool.evaluation.model_tables import accuracy_table, flag_table
from mrftool.evaluation.model_trials import (
    B1_OFF,
    ModelTrials,
    count_runs,
    mismatched_signals,
    other_phases,
    run_trials,
)
from mrftool.exporting import verify as verify_module
from mrftool.exporting.make import make_model
from mrftool.exporting.verify import draw_sample, verify
from mrftool.figures import canvas
from mrftool.figures.errors import model_figure
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.model.onnx_file import write_model
from mrftool.inference.session import Model, load_model
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.evaluation.evaluate_model import other_sequences, sequence_for

SNRS = (20.0, 100.0)
N = 600


@pytest.fixture(scope="module")
def model(short_sequence: PulseSequence, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Of forty pulses, for tissue that they tell apart."""
    made, _ = make_model(short_sequence, t1_range=(0.3, 2.0), t2_range=(0.03, 0.3), check=False)
    path = tmp_path_factory.mktemp("model") / "short.onnx"
    write_model(made, path)
    return load_model(path)


@pytest.fixture(scope="module")
def other(short_sequence: PulseSequence) -> PulseSequence:
    s = short_sequence
    return PulseSequence(
        np.full(40, np.deg2rad(30)), s.rf_phase, s.tr, s.te, s.events, name="constant"
    )


@pytest.fixture(scope="module")
def found(model: Model, short_sequence: PulseSequence, other: PulseSequence) -> ModelTrials:
    return run_trials(
        model, short_sequence, {"sequence constant": other}, snrs=SNRS, voxels=N, seed=1
    )


def test_a_good_model_is_at_the_bound_and_its_error_bars_are_honest(found: ModelTrials) -> None:
    for scores in found.scores:
        for name in ("t1", "t2"):
            chance = 4 / np.sqrt(2 * N * scores[name]["determined"])
            assert scores[name]["rmse_over_bound"] == pytest.approx(1, abs=chance)
            assert scores[name]["z_sd"] == pytest.approx(1, abs=chance)


def test_the_scores_are_those_of_verification(
    model: Model, found: ModelTrials, short_sequence: PulseSequence
) -> None:
    known = verify(model.content, model.manifest, short_sequence, voxels=N, snrs=SNRS[:1], seed=1)
    assert found.scores[0] == known["snr_20"]


def test_false_error_bars_and_errors_are_noticed(
    model: Model, found: ModelTrials, short_sequence: PulseSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = verify_module.run

    def run(*arguments: Any, **options: Any) -> dict[str, np.ndarray]:
        maps = honest(*arguments, **options)
        return maps | {"sd_t1": maps["sd_t1"] / 2, "t2": 1.2 * maps["t2"]}

    monkeypatch.setattr(verify_module, "run", run)
    liar = run_trials(model, short_sequence, {}, snrs=SNRS, voxels=N, seed=1)
    for right, wrong in zip(found.scores, liar.scores, strict=True):
        assert wrong["t1"]["z_sd"] == pytest.approx(2 * right["t1"]["z_sd"], rel=1e-3)
        assert wrong["t1"]["coverage_95"] < 0.8
        assert wrong["t2"]["rmse_over_bound"] > 1.5 * right["t2"]["rmse_over_bound"]


def test_mismatched_signals_are_flagged_and_those_as_modelled_are_not(found: ModelTrials) -> None:
    assert found.cases() == [
        "",
        "noise only",
        "B1 20 % low",
        "RF phase 117 deg",
        "sequence constant",
    ]
    rates = {case: found.rates_of(case) for case in found.cases()}
    assert all(rate.misfit < 0.015 for rate in rates[""])
    assert all(rate.flagged > 0.95 for rate in rates["noise only"])
    assert rates["sequence constant"][1].misfit > 0.95
    assert rates["RF phase 117 deg"][1].misfit > 0.95
    for pair in rates.values():
        assert [rate.snr for rate in pair] == list(SNRS)
        assert all(rate.flagged >= rate.misfit for rate in pair)


def test_a_model_that_is_told_the_noise_sees_more(
    model: Model, found: ModelTrials, short_sequence: PulseSequence
) -> None:
    told = run_trials(model, short_sequence, {}, snrs=SNRS, voxels=N, seed=1, knows_noise=True)
    assert told.scores[0]["t1"]["z_sd"] != found.scores[0]["t1"]["z_sd"]
    assert told.scores[0]["t1"]["rmse_over_bound"] == pytest.approx(
        found.scores[0]["t1"]["rmse_over_bound"], rel=1e-3
    )
    assert told.rates_of("noise only")[0].misfit > 0.95


def test_the_mismatched_signals_are_what_their_names_say(
    model: Model, short_sequence: PulseSequence, other: PulseSequence
) -> None:
    sample = draw_sample(model.manifest, short_sequence, 5, np.random.default_rng(0))
    signals = dict(mismatched_signals(short_sequence, sample, {"sequence constant": other}))
    assert not signals["noise only"].any()
    tissue = Tissue(sample.tissue.t1, sample.tissue.t2, b1=B1_OFF)
    np.testing.assert_array_equal(signals["B1 20 % low"], simulate(short_sequence, tissue).signal)
    np.testing.assert_array_equal(
        signals["sequence constant"], simulate(other, sample.tissue).signal
    )
    name, phased = other_phases(short_sequence)
    np.testing.assert_allclose(np.rad2deg(phased.rf_phase[:4]), [0, 117, 351, 702 % 360])
    np.testing.assert_array_equal(signals[name], simulate(phased, sample.tissue).signal)
    back, still = other_phases(phased)
    assert back == "no RF phase"
    assert not still.rf_phase.any()


def test_progress_counts_every_run(
    model: Model, short_sequence: PulseSequence, other: PulseSequence
) -> None:
    done: list[int] = []
    others = {"sequence constant": other}
    run_trials(model, short_sequence, others, snrs=(20.0,), voxels=20, progress=done.append)
    assert sum(done) == count_runs(others, (20.0,))


def test_other_sequences_are_shipped_ones_of_the_same_length(short_sequence: PulseSequence) -> None:
    found = set(other_sequences(read_sequence("delics")))
    assert found == {"sequence cao", "sequence optimised"}
    beginnings = other_sequences(short_sequence)
    assert {"sequence delics", "sequence fisp"} <= set(beginnings)
    assert {len(each) for each in beginnings.values()} == {40}
    np.testing.assert_array_equal(beginnings["sequence cao"].tr, read_sequence("cao").tr[:40])


def test_a_sequence_of_another_length_does_not_fit(
    model: Model, short_sequence: PulseSequence
) -> None:
    assert sequence_for(model, None, SilentReporter()) == short_sequence
    with pytest.raises(MismatchError, match="500 repetitions, expected 40"):
        sequence_for(model, "cao", SilentReporter())


def test_tables_fit_a_terminal(found: ModelTrials) -> None:
    console = Console(width=80, record=True, file=StringIO())
    tables = accuracy_table(found, "short on short"), flag_table(found)
    for table in tables:
        console.print(table.for_terminal())
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.split()[:1] == ["100"]).split()
    keys = ("rmse_over_bound", "z_mean", "z_sd", "coverage_95")
    expected = [found.scores[1][name][key] for name in ("t1", "t2") for key in keys]
    np.testing.assert_allclose([float(word) for word in row[1:]], expected, atol=5.1e-4)
    assert "| noise only |" in tables[1].markdown()
    assert (
        f"z mean ±{1 / np.sqrt(N):.3f}, RMSE / bound and z sd ±{1 / np.sqrt(2 * N):.3f}"
        in tables[0].title
    )


def test_the_picture_is_readable(found: ModelTrials, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(canvas, "save_figure", lambda figure, path: drawn.append(figure))
    model_figure(found, "x.png", title="short")
    require_readable(drawn[0])
    errors, flags = drawn[0].axes[2:4]
    np.testing.assert_array_equal(
        errors.lines[1].get_ydata(), [s["t1"]["rmse_over_bound"] for s in found.scores]
    )
    np.testing.assert_array_equal(
        flags.lines[1].get_ydata(), [100 * r.flagged for r in found.rates_of("noise only")]
    )


@pytest.mark.slow
def test_the_command_writes_numbers_tables_and_a_picture(model: Model, tmp_path: Path) -> None:
    arguments = [
        "model",
        str(model.path),
        "--snr",
        "10 40",
        "-n",
        "50",
        "--seed",
        "3",
        "--known-noise",
    ]
    arguments += ["-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "model.json",
        "model.md",
        "model.png",
    ]
    content = json.loads((tmp_path / "out" / "model.json").read_text())
    assert [scores["snr"] for scores in content["scores"]] == [10, 40]
    assert (content["voxels"], content["seed"], content["knows_noise"]) == (50, 3, True)
    assert {rate["case"] for rate in content["flag_rates"]} >= {
        "as modelled",
        "noise only",
        "sequence fisp",
    }
    with Image.open(tmp_path / "out" / "model.png") as opened:
        assert opened.format == "PNG"
    assert "T1 RMSE / bound" in (tmp_path / "out" / "model.md").read_text()
    for wrong in (["--snr", "0"], ["--snr", "loud"], ["-n", "5"]):
        result = CliRunner().invoke(
            app, ["model", str(model.path), *wrong, "-o", str(tmp_path / "none")]
        )
        assert isinstance(result.exception, UsageError)
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_model_with_b1_is_told_the_b1_of_the_tissue(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    ranges = {"t1_range": (0.3, 2.0), "t2_range": (0.03, 0.3), "b1_range": (0.8, 1.2)}
    made, _ = make_model(short_sequence, **ranges, check=False)
    write_model(made, tmp_path / "b1.onnx")
    found = run_trials(
        load_model(tmp_path / "b1.onnx"), short_sequence, {}, snrs=(100.0,), voxels=N
    )
    assert found.scores[0]["t1"]["rmse_over_bound"] == pytest.approx(1, abs=4 / np.sqrt(2 * N))
    assert found.rates_of("B1 20 % low")[0].flagged > 5 * found.rates_of("")[0].flagged
