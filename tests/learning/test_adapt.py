"""`mrftool adapt`: from a trained encoder to a model of a sequence that it has not seen."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from front_door import refuses, untouched, works

torch = pytest.importorskip("torch")

from mrftool.cli.commands.adapt import adapt as adapt_command  # noqa: E402
from mrftool.formats.sequence.yaml_file import read_sequence  # noqa: E402
from mrftool.inference.model.manifest import read_manifest, write_manifest  # noqa: E402
from mrftool.inference.model.onnx_file import read_model, write_model  # noqa: E402
from mrftool.learning.adapt import adapt_settings, adapted_run, load_weights  # noqa: E402
from mrftool.learning.training import train, validate  # noqa: E402

SMALL = ("--steps", 120, "--batch", 128, "--t1-ms", 200, 3000, "--t2-ms", 20, 500)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, shelf: Path) -> Path:
    """A folder with a run, its model, and another sequence."""
    folder = tmp_path_factory.mktemp("trained")
    works("train", "--seq", shelf / "short.yaml", *SMALL, "-o", folder / "run")
    works("export", folder / "run", "--allow-inaccurate", "-o", folder / "short.onnx")
    data = yaml.safe_load((shelf / "short.yaml").read_text())
    (folder / "other.yaml").write_text(yaml.safe_dump({**data, "name": "other", "tr_ms": 15.0}))
    return folder


def adapted(source: Path, seq: Path, **changes: Any) -> tuple[Any, Any]:
    config, weights = load_weights(source)
    settings = {"steps": 40, "rate": 1e-3, "seed": 0, "labels": True, **changes}
    run = adapted_run(
        adapt_settings(config, **settings), weights, read_sequence(str(seq)), torch.device("cpu")
    )
    return run, weights


def test_training_begins_with_the_weights_of_the_model(trained: Path) -> None:
    for source in (trained / "run", trained / "run" / "best.safetensors", trained / "short.onnx"):
        run, weights = adapted(source, trained / "other.yaml")
        own = run.encoder.state_dict()
        inner = [name for name in own if name.startswith("layers.") and "layers.0." not in name]
        assert inner and all(torch.equal(own[name], weights[name]) for name in inner)
        assert run.sources[0].sequence.name == "other"


@pytest.mark.slow
@pytest.mark.parametrize("labels", [True, False])
def test_adapting_learns_the_new_sequence(labels: bool, trained: Path, tmp_path: Path) -> None:
    run, _ = adapted(trained / "run", trained / "other.yaml", labels=labels, steps=300)
    before = validate(run)["score"]
    after = train(run, tmp_path, lambda step, losses: None)["score"]
    assert after < before / 2


@pytest.mark.slow
def test_layers_that_do_not_fit_are_drawn_anew(trained: Path) -> None:
    run, weights = adapted(trained / "run", Path("fisp"), steps=1)
    own = run.encoder.state_dict()
    assert own["layers.0.weight"].shape != weights["layers.0.weight"].shape
    assert torch.equal(own["layers.2.weight"], weights["layers.2.weight"])


OPTIONS: dict[str, tuple[object, ...]] = {
    "labels": ("--no-labels",),
    "steps": ("--steps", 3),
    "rate": ("--rate", 1e-4),
    "seed": ("--seed", 1),
    "polish": ("--polish", 3),
    "seq": ("--seq", "short.yaml"),
}


@pytest.fixture(scope="module")
def written(
    trained: Path, shelf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., onnx.ModelProto]:
    def run(*options: object) -> onnx.ModelProto:
        path = tmp_path_factory.mktemp("adapted") / "new.onnx"
        base = () if "--seq" in options else ("--seq", trained / "other.yaml")
        steps = () if "--steps" in options else ("--steps", 2)
        options = (*base, *steps, *options, "--allow-inaccurate")
        works("adapt", trained / "short.onnx", *options, "-o", path)
        return read_model(path)[1]

    return run


@pytest.mark.slow
def test_every_option_changes_the_model(
    written: Callable[..., onnx.ModelProto], shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shelf)
    plain = written()
    assert read_manifest(plain, "new.onnx").sequence_name == "other"
    for name, options in OPTIONS.items():
        assert written(*options).graph != plain.graph, name
    assert (
        set(inspect.signature(adapt_command).parameters)
        - {"model", "output", "device", "allow_inaccurate"}
        == OPTIONS.keys()
    )


@pytest.mark.slow
def test_a_model_that_errs_too_much_is_written_on_request_alone(
    trained: Path, tmp_path: Path
) -> None:
    options = ("--seq", trained / "other.yaml", "--steps", 2, "--rate", 0.3, "--polish", 0)
    path = tmp_path / "new.onnx"
    says = ("times its Cramer-Rao bound, expected at most 1.2",)
    refuses(5, "adapt", trained / "short.onnx", *options, "-o", path, says=says)
    assert not path.exists()
    works("adapt", trained / "short.onnx", *options, "--allow-inaccurate", "-o", path)


def test_what_cannot_be_adapted_is_refused(
    trained: Path, make_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    other = ("--seq", trained / "other.yaml")
    with untouched(tmp_path):
        refuses(
            3,
            "adapt",
            "nothing",
            *other,
            says=("nothing: no such file, expected a .onnx file or one of",),
        )
        refuses(3, "adapt", tmp_path, *other, says=("best.safetensors: no such file",))
        refuses(
            3,
            "adapt",
            make_onnx(t1_range=(0.2, 3.0), t2_range=(0.02, 0.5)),
            *other,
            says=("has no encoder",),
        )
        refuses(
            3,
            "adapt",
            trained / "short.onnx",
            "--seq",
            "none.yaml",
            says=("none.yaml: no such file",),
        )
        refuses(2, "adapt", trained / "short.onnx", *other, "--steps", 0, says=("--steps 0",))
        refuses(
            2, "adapt", trained / "short.onnx", *other, "--device", "tpu", says=("device 'tpu'",)
        )
        refuses(2, "adapt", trained / "short.onnx", *other, "-o", "x.nii", says=("ends in .onnx",))
    np.testing.assert_equal(list(tmp_path.iterdir()), [])


@pytest.mark.parametrize(
    "training", [{}, {"config": None}, {"config": "text"}, {"config": {"wheels": 4}}]
)
def test_a_model_whose_settings_are_damaged_is_refused(
    training: dict[str, Any], trained: Path, tmp_path: Path
) -> None:
    _, proto = read_model(trained / "short.onnx")
    write_manifest(proto, replace(read_manifest(proto, "short.onnx"), training=training))
    write_model(proto, tmp_path / "damaged.onnx")
    with untouched(tmp_path):
        refuses(
            3,
            "adapt",
            tmp_path / "damaged.onnx",
            "--seq",
            trained / "other.yaml",
            says=("expected the settings",),
        )


def test_a_model_with_impossible_settings_is_refused(trained: Path, tmp_path: Path) -> None:
    _, proto = read_model(trained / "short.onnx")
    manifest = read_manifest(proto, "short.onnx")
    for change in ({"batch": -1}, {"t1_range": ["a", "b"]}, {"snr_range": 3}):
        write_manifest(
            proto, replace(manifest, training={"config": {**manifest.training["config"], **change}})
        )
        write_model(proto, tmp_path / "damaged.onnx")
        with untouched(tmp_path):
            refuses(
                3,
                "adapt",
                tmp_path / "damaged.onnx",
                "--seq",
                trained / "other.yaml",
                says=("damaged.onnx",),
            )
