"""`mrftool train` through the front door: runs that are stopped, gone on with, wrong, or hold
nothing.
"""

import inspect
import json
import os
import signal
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from front_door import assert_refused, command, files, refuses, untouched, works
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mrftool.cli.commands.train import train as train_command
from mrftool.exporting.make import make_model, model_table
from mrftool.inference.session import load_model
from mrftool.learning import training as loop

SMALL = ("--steps", 4, "--batch", 16)
RUN = {"best.safetensors", "last.safetensors", "curve.csv", "curve.png"}


@cache
def rough_table(sequence: Any, **ranges: Any) -> Any:
    return model_table(sequence, tolerance=1e-2, **ranges)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own; with rough tables and small validation, and no pictures, to be
    quick.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "model_table", rough_table)
    monkeypatch.setattr(loop, "_VALIDATION_VOXELS", 64)
    monkeypatch.setattr(
        "mrftool.figures.curves.training_figure", lambda _, path: path.write_bytes(b"picture")
    )


@pytest.fixture(scope="module")
def seq(shelf: Path) -> Path:
    return shelf / "short.yaml"


def weights(path: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in load_file(path).items() if ".table." not in key}


def same(one: str, other: str) -> bool:
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def interrupt_after(step: int, monkeypatch: pytest.MonkeyPatch, sent: int = signal.SIGINT) -> None:
    """Send a signal in the middle of a step."""
    step_of = loop.take_step

    def interrupted(run: Any, *rest: Any) -> Any:
        if run.step == step - 1:
            os.kill(os.getpid(), sent)
        return step_of(run, *rest)

    monkeypatch.setattr(loop, "take_step", interrupted)


@pytest.mark.slow
def test_a_run_leaves_checkpoints_and_a_curve(seq: Path) -> None:
    outcome = works("train", "--seq", seq, *SMALL)
    assert {name.name for name in Path("runs/short").iterdir()} == RUN
    assert {Path(line).name for line in outcome.out.splitlines() if line.startswith("runs/")} == RUN
    assert "rmse_over_bound_snr20" in outcome.out
    rows = Path("runs/short/curve.csv").read_text().splitlines()
    assert rows[0].startswith("step,embedding,reconstruction,loss") and rows[-1].startswith("4,")


@pytest.mark.slow
def test_a_run_becomes_a_model(seq: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works("train", "--seq", seq, *SMALL)
    monkeypatch.setattr(
        "mrftool.exporting.make.make_model", partial(make_model, check=False, tolerance=1e-2)
    )
    works("export", "runs/short", "-o", "m.onnx", "--allow-inaccurate")
    manifest = load_model("m.onnx").manifest
    assert (manifest.encoder, manifest.training["steps_done"]) == ("features", 4)
    assert manifest.training["config"]["batch"] == 16


@pytest.mark.slow
def test_ctrl_c_keeps_the_step_and_resuming_gives_the_same_weights(
    seq: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works("train", "--seq", seq, *SMALL, "-o", "whole")
    with monkeypatch.context() as patch:
        interrupt_after(2, patch)
        outcome = command("train", "--seq", seq, *SMALL, "-o", "halves")
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err.endswith(
        "mrftool: stopped after step 2 of 4; --resume goes on\nmrftool: interrupted\n"
    )
    assert set(files(Path("halves"))) == {"last.safetensors"}
    for options, says in (
        (("--steps", 5), "halves: the run has steps 4, not 5"),
        (("--snr", 2, 90), "the run has snr_range 1 to 100, not 2 to 90"),
        (("--seq", "delics"), "halves: the run learns short, expected the same sequences"),
    ):
        assert (
            "see " + str(options[0])
            in refuses(2, "train", "--resume", "-o", "halves", *options, says=(says,)).err
        )
    works("train", "--resume", "--seq", seq, *SMALL, "-o", "halves")
    assert same("whole/last.safetensors", "halves/last.safetensors")
    assert same("whole/best.safetensors", "halves/best.safetensors")
    assert set(files(Path("halves"))) == RUN


def test_termination_keeps_the_step_too(seq: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(1, monkeypatch, signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        command("train", "--seq", seq, *SMALL, "-o", "run")
    assert stopped.value.code == 143
    assert set(files(Path("run"))) == {"last.safetensors"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interruption_before_the_first_step_leaves_nothing(
    seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for place in ("model_table", "start_run", "_batch"):
        with monkeypatch.context() as patch:
            patch.setattr(loop, place, interrupted)
            assert command("train", "--seq", seq, *SMALL, "-o", "a/b/run").code == 130
        assert files(tmp_path) == {}


def test_a_second_ctrl_c_stops_within_the_step(
    seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: Any) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("went on after the second Ctrl-C")

    monkeypatch.setattr(loop, "take_step", endless)
    assert command("train", "--seq", seq, *SMALL, "-o", "run").code == 130
    assert files(tmp_path) == {}


def test_a_folder_that_holds_a_run_is_kept(seq: Path, tmp_path: Path) -> None:
    works("train", "--seq", seq, *SMALL, "-o", "run")
    with untouched(tmp_path):
        outcome = refuses(
            2, "train", "--seq", seq, *SMALL, "-o", "run", says=("run holds a run already",)
        )
        assert "hint: resume that run" in outcome.err
        refuses(2, "train", "--resume", "-o", "run", says=("the run is at its end, step 4",))


# Each row: options, and one more that must change the weights.
OPTIONS: list[tuple[str, tuple[object, ...], tuple[object, ...]]] = [
    ("decoder", (), ("--decoder", "none")),
    ("encoder", (), ("--encoder", "fc")),
    ("weight", (), ("--lambda", 5)),
    ("loss", (), ("--loss", "log")),
    ("form", (), ("--form", "magnitude")),
    ("t1_ms", (), ("--t1-ms", 100, 3000)),
    ("t2_ms", (), ("--t2-ms", 20, 500)),
    ("b1", ("--b1", 0.9, 1.1), ("--b1", 0.8, 1.1)),
    ("adc", (), ("--adc", 3e-9)),
    ("snr", (), ("--snr", 50, 60)),
    ("noise", (), ("--no-noise",)),
    ("optimiser", (), ("--optimiser", "adam")),
    ("steps", (), ("--steps", 3)),
    ("batch", (), ("--batch", 8)),
    ("rate", (), ("--rate", 1e-4)),
    ("seed", (), ("--seed", 1)),
    ("seq", ("--encoder", "fc"), ("--seq", "other.yaml")),
    ("labels", (), ("--no-labels",)),
    ("decode_voxels", (), ("--decode-voxels", 4)),
    ("tissue", (), ("--tissue", "grid")),
    ("share", ("--tissue", "grid"), ("--share", 0.5)),
]


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory, seq: Path) -> Path:
    """The short sequence with a spoiler waveform, and one with other flip angles."""
    folder, data = tmp_path_factory.mktemp("spoiled"), yaml.safe_load(seq.read_text())
    data["spoiler"] = {"gradient_mt_per_m": [20.0], "duration_ms": [8.0]}
    (folder / "short.yaml").write_text(yaml.safe_dump(data))
    (folder / "other.yaml").write_text(yaml.safe_dump({**data, "tr_ms": 15.0}))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, spoiled: Path) -> Callable[..., str]:
    """Trains with some options, each set once."""

    @cache
    def run(*options: object) -> str:
        folder = tmp_path_factory.mktemp("run") / "run"
        works("train", "--seq", spoiled / "short.yaml", *SMALL, *options, "-o", folder)
        return str(folder / "last.safetensors")

    return run


@pytest.mark.slow
@pytest.mark.parametrize(("option", "base", "more"), OPTIONS, ids=[name for name, _, _ in OPTIONS])
def test_every_option_changes_the_weights(
    option: str,
    base: tuple[object, ...],
    more: tuple[object, ...],
    trained: Callable[..., str],
    spoiled: Path,
) -> None:
    chosen = tuple(spoiled / word if word == "other.yaml" else word for word in more)
    assert not same(trained(*base), trained(*base, *chosen))


def test_no_option_was_forgotten() -> None:
    tested = {name for name, _, _ in OPTIONS} | {"output", "device", "resume"}
    assert set(inspect.signature(train_command).parameters) - {"context"} == tested


@pytest.mark.parametrize(
    ("code", "options", "says"),
    [
        (2, ("--steps", 0), "--steps 0, expected 1 to"),
        (2, ("--steps", -1), "--steps -1"),
        (2, ("--batch", 0), "--batch 0"),
        (2, ("--batch", 10**9), "--batch 1000000000"),
        (2, ("--rate", "nan"), "--rate nan"),
        (2, ("--rate", 0), "--rate 0"),
        (2, ("--rate", -1e-3), "--rate -0.001"),
        (2, ("--lambda", -1), "--lambda -1"),
        (2, ("--lambda", "inf"), "--lambda inf"),
        (2, ("--seed", -1), "--seed -1"),
        (2, ("--t1-ms", 3000, 100), "--t1-ms 3000 100"),
        (2, ("--t2-ms", 0, 100), "--t2-ms 0 100"),
        (2, ("--t1-ms", 10, 20, "--t2-ms", 100, 200), "expected T2 <= T1 to be possible"),
        (2, ("--b1", 1.2, 0.8), "--b1 1.2 0.8"),
        (2, ("--snr", 100, 4), "--snr 100 4"),
        (2, ("--snr", 0, 4), "--snr 0 4"),
        (2, ("--adc", -1), "--adc -1"),
        (4, ("--adc", 1e-9), "no spoiler waveform"),
        (2, ("--decoder", "epg"), "--decoder"),
        (2, ("--encoder", "huge"), "--encoder"),
        (2, ("--loss", "l1"), "--loss"),
        (2, ("--form", "real"), "--form"),
        (2, ("--optimiser", "sgd"), "--optimiser"),
        (2, ("--device", "gpu"), "device 'gpu', expected cpu, cuda or auto"),
        (2, ("--decoder", "none", "--lambda", 1), "--lambda does nothing with --decoder none"),
        (
            2,
            ("--decoder", "none", "--decode-voxels", 1),
            "--decode-voxels does nothing with --decoder none",
        ),
        (2, ("--share", 0.5), "--share goes with --tissue grid"),
        (2, ("--tissue", "grid", "--share", 0), "--share 0"),
        (2, ("--tissue", "grid", "--t1-ms", 6000, 7000), "no pair of the paper's grid"),
        (2, ("--no-labels", "--decoder", "fc"), "only the Bloch or the table decoder can train"),
        (2, ("--no-noise", "--snr", 4, 5), "--snr does nothing with --no-noise"),
        (3, ("-o", "file"), "file: is not a folder"),
        (3, ("-o", "file/run"), "file: is not a folder"),
        (3, ("--seq", "none.yaml"), "none.yaml: no such file"),
        (
            3,
            ("--resume", "-o", "empty"),
            "empty: no last.safetensors, expected the folder of a training run",
        ),
        (3, ("--resume", "-o", "nowhere"), "nowhere: no last.safetensors"),
        (5, ("--rate", 1000, "--steps", 20), "training diverged"),
        (5, ("--rate", 1000, "--steps", 20, "--decoder", "none"), "training diverged"),
    ],
)
def test_what_cannot_train_is_refused_and_leaves_nothing(
    code: int, options: tuple[object, ...], says: str, seq: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "empty").mkdir()
    default: tuple[object, ...] = (
        () if "--seq" in options or "--resume" in options else ("--seq", seq)
    )
    steps: tuple[object, ...] = (
        () if "--steps" in options or "--resume" in options else ("--steps", 4)
    )
    with untouched(tmp_path):
        refuses(code, "train", *default, *steps, *options, says=(says,))


DAMAGES = (
    "text",
    "cut",
    "tensors only",
    "no config",
    "bad config",
    "no step",
    "no weights",
    "no table",
    "bad table",
)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "words", [("train", "--resume", "-o", "run"), ("export", "run/last.safetensors")]
)
def test_a_damaged_checkpoint_is_named(
    damage: str, words: tuple[str, ...], trained: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "last.safetensors"
    tensors = load_file(trained())
    with safe_open(trained(), framework="pt") as file:
        facts = json.loads(file.metadata()["run"])
    if damage == "no config":
        del facts["config"]
    elif damage == "bad config":
        facts["config"]["batch"] = -1
    elif damage == "no step":
        del facts["step"]
    elif damage == "no weights":
        tensors = {key: value for key, value in tensors.items() if not key.startswith("encoder.")}
    elif damage == "no table":
        tensors = {key: value for key, value in tensors.items() if ".table." not in key}
    elif damage == "bad table":
        tensors["source.0.table.facts"] = torch.zeros(4, dtype=torch.uint8)
    save_file(
        tensors, path, metadata=None if damage == "tensors only" else {"run": json.dumps(facts)}
    )
    if damage == "text":
        path.write_text("no tensors at all")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    with untouched(tmp_path):
        refuses(3, *words, says=("last.safetensors", "expected a checkpoint"))


def test_no_space_says_so(seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    outcome = command("train", "--seq", seq, *SMALL, "-o", "run")
    assert_refused(
        outcome, 3, ("run/best.safetensors: cannot be written: No space left on device",)
    )
    assert files(tmp_path) == {}
