"""`mrftool export` and `mrftool model` through the front door: from a sequence to a file that
speaks for itself.
"""

import inspect
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from front_door import Outcome, command, files, load, refuses, untouched, works

from mrftool.cli.commands.export import export as export_command
from mrftool.errors import CheckFailedError
from mrftool.exporting.make import make_model
from mrftool.inference.session import load_model

SMALL = ("--t1-ms", 500, 1500, "--t2-ms", 40, 150)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own; made without the measured scores, unless a test asks for them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mrftool.workflows.export.make_model", quick)


def quick(*arguments: Any, **options: Any) -> Any:
    return make_model(*arguments, **{"check": False, "tolerance": 1e-3, **options})


@pytest.fixture(scope="module")
def seq(shelf: Path) -> Path:
    return shelf / "short.yaml"


@pytest.mark.slow
def test_a_model_from_a_sequence_shows_its_manifest_and_quantifies(
    seq: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(*arguments: Any, **options: Any) -> Any:
        return make_model(*arguments, tolerance=1e-3, **options)

    monkeypatch.setattr("mrftool.workflows.export.make_model", checked)
    outcome = works("export", "--seq", seq, "--encoder", "none", *SMALL, "--allow-inaccurate")
    assert outcome.out.endswith("short.onnx\n") and outcome.err == ""
    shown = works("model", "show", "short.onnx")
    for words in (
        "short, 40 repetitions",
        "500 to 1500 ms",
        "40 to 150 ms",
        "complex signals",
        "SNR 20",
    ):
        assert words in shown.out and words in outcome.out
    manifest = json.loads(works("model", "show", "short.onnx", "--json").out)
    assert manifest["sequence"]["flip_angle_deg"] == pytest.approx(np.rad2deg(sequence_flips(seq)))
    ranges = {name: facts["range"] for name, facts in manifest["parameters"].items()}
    assert ranges == {"t1": [0.5, 1.5], "t2": [0.04, 0.15]} and manifest["n_time"] == 40
    assert 0.9 < manifest["scores"]["snr_20"]["t1"]["rmse_over_bound"] < 1.3
    assert {"numpy", "onnxruntime"} <= manifest["versions"].keys()
    found = works("quantify", shelf / "brain.nii.gz", "--model", "short.onnx").out
    assert "outside the model's range" in found
    truth, t1 = load(shelf / "brain_truth_T1map.nii.gz"), load(Path("maps/T1map.nii.gz"))
    sound = load(Path("maps/flags.nii.gz")) == 0
    np.testing.assert_allclose(t1[sound], truth[sound], rtol=0.01)


def sequence_flips(seq: Path) -> Any:
    from mrftool.formats.sequence.yaml_file import read_sequence

    return read_sequence(seq).flip_angle


# Each row: an option that must make another model of the one without it.
OPTIONS = [
    ("polish", (4,)),
    ("form", ("magnitude",)),
    ("t1_ms", (400, 1500)),
    ("t2_ms", (40, 160)),
    ("b1", (0.99, 1.01)),
]


@pytest.mark.parametrize(("option", "values"), OPTIONS, ids=[name for name, _ in OPTIONS])
def test_every_option_makes_another_model(
    option: str, values: tuple[object, ...], seq: Path
) -> None:
    works("export", "--seq", seq, *SMALL, "-o", "a.onnx")
    works("export", "--seq", seq, *SMALL, f"--{option.replace('_', '-')}", *values, "-o", "b.onnx")
    one, other = load_model("a.onnx").manifest, load_model("b.onnx").manifest
    assert one.weights_sha256 != other.weights_sha256
    if len(values) == 1:
        assert getattr(other, option) == values[0]
        return
    scale = 1e-3 if option.endswith("_ms") else 1
    found = other.ranges[option.removesuffix("_ms")]
    assert found == pytest.approx([value * scale for value in values])  # type: ignore[operator]


def test_diffusion_reaches_the_model(shelf: Path) -> None:
    text = (
        shelf / "short.yaml"
    ).read_text() + "spoiler: {gradient_mt_per_m: [20.0], duration_ms: [8.0]}\n"
    Path("s.yaml").write_text(text)
    for adc in (0, 2e-9):
        works("export", "--seq", "s.yaml", *SMALL, "--adc", adc, "-o", f"{adc}.onnx")
    models = [load_model(f"{adc}.onnx").manifest for adc in (0, 2e-9)]
    assert models[0].weights_sha256 != models[1].weights_sha256
    assert (models[0].adc, models[1].adc) == (0, pytest.approx(2e-9))
    assert "2e-09 m2/s" in works("model", "show", "2e-09.onnx").out


def test_a_model_that_errs_too_much_is_written_on_request_alone(
    seq: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worst = {"parameter": "t2", "rmse_over_bound": 4.5, "t1_ms": 800.0, "t2_ms": 70.0}
    scores = {"snr_20": {"worst_region": worst}}
    monkeypatch.setattr("mrftool.exporting.make.verify", lambda *_: scores)
    checked = partial(make_model, tolerance=1e-3)
    monkeypatch.setattr("mrftool.workflows.export.make_model", checked)
    options = ("--seq", seq, *SMALL, "-o", "m.onnx")
    says = (
        "at T1 800 ms, T2 70 ms and SNR 20, the error of T2 is 4.50 times its Cramer-Rao bound",
    )
    refuses(5, "export", *options, says=says)
    assert not Path("m.onnx").exists()
    works("export", *options, "--allow-inaccurate")
    assert load_model("m.onnx").manifest.scores == scores


def test_no_option_was_forgotten() -> None:
    tested = {name for name, _ in OPTIONS} | {"run", "output", "seq", "encoder", "adc"}
    tested |= {"basis", "rank"}  # see test_reconstruct_command
    tested |= {"allow_inaccurate"}
    tested |= {"rr"}  # see test_cli_heartbeats
    assert set(inspect.signature(export_command).parameters) - {"context"} == tested


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (2, (), "expected a training run, or --seq FILE --encoder none"),
        (2, ("--seq", "SEQ", "--encoder", "run"), "expected a training run"),
        (
            3,
            ("--seq", "SEQ", "run"),
            "run/best.safetensors: no such file, expected a folder that mrftool train wrote",
        ),
        (2, ("run", "--encoder", "none"), "expected a training run"),
        (2, ("--seq", "SEQ", "--encoder", "some"), "--encoder"),
        (2, ("run", "--form", "magnitude"), "--form goes with --encoder none"),
        (2, ("run", "--t1-ms", 1, 2), "--t1-ms goes with --encoder none"),
        (2, ("run", "--b1", 1, 2), "--b1 goes with --encoder none"),
        (2, ("run", "--adc", 0), "--adc goes with --encoder none"),
        (
            3,
            ("run",),
            "run/best.safetensors: no such file, expected a folder that mrftool train wrote",
        ),
        (3, ("nowhere",), "nowhere: no such file, expected a folder"),
        (2, ("--seq", "SEQ", "--polish", -1), "--polish -1, expected 0 to 16"),
        (2, ("--seq", "SEQ", "--polish", 0), "0 polish steps, expected 1 or more"),
        (2, ("--seq", "SEQ", "--polish", 100000), "--polish 100000"),
        (2, ("--seq", "SEQ", "--b1", 1.2, 0.8), "--b1 1.2 0.8, expected the lower end first"),
        (2, ("--seq", "SEQ", "--b1", 1, 1), "--b1 1 1"),
        (2, ("--seq", "SEQ", "--b1", "nan", 1), "--b1 nan 1"),
        (2, ("--seq", "SEQ", "--b1", -1, 1), "--b1 -1 1"),
        (2, ("--seq", "SEQ", "--t1-ms", 500, 100), "--t1-ms 500 100"),
        (2, ("--seq", "SEQ", "--t1-ms", 0, 100), "--t1-ms 0 100"),
        (2, ("--seq", "SEQ", "--t2-ms", "nan", "nan"), "--t2-ms nan nan"),
        (2, ("--seq", "SEQ", "--t2-ms", 1, "inf"), "--t2-ms 1 inf"),
        (
            2,
            ("--seq", "SEQ", "--t1-ms", 10, 20, "--t2-ms", 100, 200),
            "expected ranges with T2 <= T1",
        ),
        (2, ("--seq", "SEQ", "--adc", -1), "--adc -1"),
        (2, ("--seq", "SEQ", "--adc", "nan"), "--adc nan"),
        (4, ("--seq", "SEQ", "--adc", 1e-9), "no spoiler waveform, expected one"),
        (2, ("--seq", "SEQ", "--form", "real"), "--form"),
        (
            2,
            ("--seq", "SEQ", "-o", "short.yaml"),
            "short.yaml, expected a file name that ends in .onnx",
        ),
        (2, ("--seq", "SEQ", "-o", "run"), "run, expected a file name that ends in .onnx"),
        (
            3,
            ("--seq", "SEQ", "-o", "no/such/folder/a.onnx"),
            "no/such/folder/a.onnx: cannot be written",
        ),
        (3, ("--seq", "SEQ", "-o", "short.yaml/a.onnx"), "short.yaml/a.onnx: cannot be written"),
        (3, ("--seq", "SEQ", "-o", "folder.onnx"), "folder.onnx: is no regular file"),
        (
            3,
            ("--seq", "none.yaml"),
            "none.yaml: no such file, expected a .yaml file or one of the shipped sequences",
        ),
    ],
)
def test_what_makes_no_model_is_refused(
    code: int, arguments: tuple[object, ...], says: str, seq: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "short.yaml").write_bytes(seq.read_bytes())
    (tmp_path / "text.safetensors").write_text("no tensors")
    with untouched(tmp_path):
        refuses(
            code, "export", *(seq if word == "SEQ" else word for word in arguments), says=(says,)
        )


def test_a_model_that_fails_its_check_is_not_written(
    seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise CheckFailedError("the model errs by 3, expected at most 1")

    monkeypatch.setattr("mrftool.workflows.export.make_model", failing)
    (tmp_path / "short.onnx").write_text("an earlier model")
    with untouched(tmp_path):
        refuses(5, "export", "--seq", seq, says=("the model errs by 3, expected at most 1",))


def test_an_interruption_leaves_an_earlier_model(
    seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mrftool.workflows.export.make_model", interrupted)
    (tmp_path / "short.onnx").write_text("an earlier model")
    with untouched(tmp_path):
        assert command("export", "--seq", seq) == Outcome(130, "", "mrftool: interrupted\n")


def test_no_space_leaves_an_earlier_model(
    seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "m.onnx").write_text("an earlier model")
    monkeypatch.setattr(Path, "write_bytes", full)
    with untouched(tmp_path):
        refuses(
            3,
            "export",
            "--seq",
            seq,
            *SMALL,
            "-o",
            "m.onnx",
            says=("m.onnx: cannot be written: No space left",),
        )


def test_a_model_of_another_version_says_how_to_mend_it(model: Path, tmp_path: Path) -> None:
    import onnx

    proto = onnx.load(model)
    entry = next(entry for entry in proto.metadata_props if entry.key == "mrftool")
    entry.value = json.dumps({**json.loads(entry.value), "schema": 99})
    onnx.save(proto, tmp_path / "new.onnx")
    outcome = refuses(3, "model", "show", "new.onnx", says=("schema 99, expected 1",))
    assert "export it again" in outcome.err


def test_shipped_models_are_listed() -> None:
    outcome = works("model", "list")
    assert outcome.err == "" and all(".onnx" in line for line in outcome.out.splitlines())


def test_names_of_models_are_no_markup(model: Path) -> None:
    folder = Path("a [")
    folder.mkdir()
    (folder / "b] $x$ ö.onnx").write_bytes(model.read_bytes())
    assert "b] $x$ ö.onnx" in works("model", "show", "a [/b] $x$ ö.onnx").out
    assert set(files(Path())) == {"a [", "a [/b] $x$ ö.onnx"}
