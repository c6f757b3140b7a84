"""`import mrftool`: the nouns, and a function for each step."""

import base64
import dataclasses
import json
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from front_door import environment, load, works

import mrftool
from mrftool import Tissue
from mrftool.errors import ArgumentError, InputError, MismatchError, MissingExtraError
from mrftool.sequence import PulseSequence


def test_importing_it_loads_nothing_heavy() -> None:
    script = (
        "import sys, mrftool; mrftool.__version__; "
        "heavy = ('numpy', 'scipy', 'torch', 'onnx', 'onnxruntime', 'matplotlib', 'nibabel'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert done.stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    for name in mrftool.__all__:
        assert getattr(mrftool, name) is not None
    assert set(mrftool.__all__) <= set(dir(mrftool))
    with pytest.raises(AttributeError, match="nonsense"):
        mrftool.nonsense  # noqa: B018


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(str(mrftool.__file__)).with_name("py.typed").exists()


def test_no_function_has_the_name_of_a_module_that_would_hide_it() -> None:
    """Importing `mrftool.x` sets the attribute x of the package."""
    modules = {module.name for module in pkgutil.iter_modules(mrftool.__path__)}
    assert not modules & set(mrftool.__all__)


def test_arrays_go_through_every_step(
    short_sequence: PulseSequence, model: Path, tmp_path: Path
) -> None:
    tissue = Tissue([0.8, 1.2], [0.06, 0.11])
    scan = mrftool.simulate(short_sequence, tissue).signal.reshape(2, 1, 1, 40)
    maps = mrftool.quantify(scan, model)
    np.testing.assert_allclose(maps.t1.ravel(), tissue.t1, rtol=0.01)
    np.testing.assert_allclose(maps.t2.ravel(), tissue.t2, rtol=0.02)
    matched = mrftool.match(scan, sequence=short_sequence, tissue=tissue)
    np.testing.assert_allclose(matched.t2.ravel(), tissue.t2, rtol=1e-6)
    bound = mrftool.crlb(short_sequence, tissue, 20)
    assert bound.sd_t1.shape == (2,) and (bound.sd_t1 > 0).all()
    paths = mrftool.write_maps(maps, tmp_path / "maps", affine=np.diag([2.0, 2, 2, 1]))
    np.testing.assert_array_equal(load(paths["t1"]), maps.t1)


def test_fingerprints_are_quantified_as_a_list_of_voxels(
    short_sequence: PulseSequence, model: Path
) -> None:
    tissue = Tissue([0.8, 1.2], [0.06, 0.11])
    prints = mrftool.simulate(short_sequence, tissue)
    for scan in (prints, prints.signal):
        maps = mrftool.quantify(scan, model)
        assert maps.t1.shape == (2, 1, 1)
        np.testing.assert_allclose(maps.t1.ravel(), tissue.t1, rtol=0.01)
    other = dataclasses.replace(short_sequence, tr=1.2 * short_sequence.tr)
    with pytest.raises(MismatchError, match="fingerprints: made with sequence"):
        mrftool.quantify(mrftool.simulate(other, tissue), model)


def test_magnitudes_take_the_shipped_model_of_magnitudes() -> None:
    tissue = Tissue(t1=[0.8, 1.2], t2=[0.08, 0.1])
    magnitudes = abs(mrftool.simulate("fisp", tissue).signal)
    maps = mrftool.quantify(magnitudes.reshape(2, 1, 1, -1))
    np.testing.assert_allclose(maps.t1.ravel(), tissue.t1, rtol=0.02)
    np.testing.assert_allclose(maps.t2.ravel(), tissue.t2, rtol=0.02)


def test_a_sequence_stands_for_the_model_that_is_made_for_it(
    short_sequence: PulseSequence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRFTOOL_CACHE", str(tmp_path))
    tissue = Tissue(t1=[0.8, 1.2], t2=[0.08, 0.1])
    scan = mrftool.simulate(short_sequence, tissue).signal.reshape(2, 1, 1, 40)
    maps = mrftool.quantify(scan, short_sequence)
    np.testing.assert_allclose(maps.t1.ravel(), tissue.t1, rtol=0.01)
    with pytest.raises(MismatchError, match="40 frames, expected 1000"):
        mrftool.quantify(scan, mrftool.load_sequence("fisp"))


SCAN = np.ones((2, 2, 1, 40), np.complex64)
B1 = np.ones((2, 2, 1))


@pytest.mark.parametrize(
    ("scan", "given", "error", "words"),
    [
        (SCAN, {"b1": 100 * B1}, ArgumentError, "B1 100, .* percent taken for a fraction"),
        (SCAN, {"uncertain": 1}, ArgumentError, "no argument 'uncertain'; models take maps of b1"),
        (SCAN[..., :39], {}, MismatchError, "39 time points, expected 40 as the model of short"),
    ],
)
def test_what_a_model_does_not_take_is_refused(
    model: Path, scan: np.ndarray, given: dict, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        mrftool.quantify(scan, model, **given)


def test_time_that_is_the_first_axis_is_recognised(
    model: Path, short_sequence: PulseSequence
) -> None:
    for method in (model, short_sequence):
        with pytest.raises(MismatchError, match="time must be the last axis"):
            mrftool.quantify(np.moveaxis(SCAN, -1, 0), method)


def test_a_sequence_file_is_no_model() -> None:
    with pytest.raises(InputError, match=r"a sequence file, expected a model .* `load_sequence`"):
        mrftool.quantify(SCAN, "mine.yaml")


def test_the_bound_of_an_unknown_form_is_refused(short_sequence: PulseSequence) -> None:
    with pytest.raises(ArgumentError, match="form 'mag', expected 'complex' or 'magnitude'"):
        mrftool.crlb(short_sequence, Tissue(0.8, 0.06), 20, form="mag")  # type: ignore[arg-type]


def test_a_sequence_is_built_from_events() -> None:
    flips = np.radians(np.linspace(5, 60, 50))
    events = [mrftool.Invert(0.98), mrftool.Wait(0.02), mrftool.Pulses()]
    built = mrftool.PulseSequence(flips, 0, 0.012, 0.003, events)
    train = mrftool.Train(mrftool.Inversion(0.98, 0.02))
    assert built == mrftool.PulseSequence(flips, 0, 0.012, 0.003, train.events)
    with pytest.raises(InputError, match="event 0: Inversion is no event, expected one of Pulses"):
        mrftool.PulseSequence(flips, 0, 0.012, 0.003, [mrftool.Inversion(0.98, 0.02)])  # type: ignore[list-item]


def test_without_the_extra_training_says_which_package_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.startswith("mrftool.learning")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "mrftool.workflows.train", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="torch is not installed"):
        mrftool.train("fisp", tmp_path / "run")


def test_a_traceback_shows_the_hint(model: Path, short_sequence: PulseSequence) -> None:
    signal = np.abs(mrftool.simulate(short_sequence, Tissue(0.8, 0.06)).signal)
    with pytest.raises(MismatchError) as caught:
        mrftool.quantify(signal, model)
    assert caught.value.__notes__ == [f"hint: {caught.value.hint}"]


def test_files_go_through_every_step(shelf: Path, model: Path) -> None:
    sequence = mrftool.load_sequence(shelf / "short.yaml")
    assert len(sequence) == 40
    loaded = mrftool.load_model(model)
    scan = mrftool.load_scan(shelf / "brain.nii.gz")
    assert scan.n_time == 40
    truth = load(shelf / "brain_truth_T1map.nii.gz")
    mask = (truth > 0.2) & (truth < 2)
    maps = mrftool.quantify(scan, loaded, mask=mask)
    np.testing.assert_allclose(np.median(maps.t1[mask] / truth[mask]), 1, rtol=0.01)
    whole = mrftool.quantify(str(shelf / "brain.nii.gz"), str(model), mask=mask)
    np.testing.assert_allclose(whole.t1[mask], maps.t1[mask], rtol=1e-5)


def test_a_header_that_contradicts_the_sequence_is_refused(
    shelf: Path, model: Path, tmp_path: Path
) -> None:
    """By quantify and match as on the command line, and on record where it may stand."""
    shutil.copy(shelf / "brain.nii.gz", tmp_path / "scan.nii.gz")
    (tmp_path / "scan.json").write_text('{"RepetitionTime": 0.013}')
    scan = str(tmp_path / "scan.nii.gz")
    tissue = Tissue([1.0, 1.4], [0.08, 0.1])
    of_sequence = {"sequence": shelf / "short.yaml", "tissue": tissue}
    for work in (
        lambda **allow: mrftool.quantify(scan, str(model), **allow),
        lambda **allow: mrftool.match(scan, **of_sequence, **allow),
    ):
        with pytest.raises(MismatchError, match="RepetitionTime is 13 ms"):
            work()
        assert work(allow=["tr"]).assumptions[-1].startswith("allowed (tr): RepetitionTime")


def test_a_model_is_written_and_loaded(short_sequence: PulseSequence, tmp_path: Path) -> None:
    reporter = mrftool.SilentReporter()
    made = mrftool.export(
        short_sequence,
        tmp_path / "m.onnx",
        reporter=reporter,
        t1_range=(0.5, 1.5),
        t2_range=(0.04, 0.15),
        check=False,
    )
    assert made.path.exists() and made.manifest.ranges["t1"] == (0.5, 1.5)


@pytest.mark.slow
def test_maps_are_evaluated_as_the_command_does(shelf: Path, model: Path, tmp_path: Path) -> None:
    scan = shelf / "brain.nii.gz"
    reference = {key: load(shelf / f"brain_truth_{key.upper()}map.nii.gz") for key in ("t1", "t2")}
    maps = mrftool.quantify(str(scan), str(model))
    by_file = mrftool.evaluate(maps, scan)
    works("quantify", scan, "--model", model, "-o", tmp_path, "--mask", "none")
    works("evaluate", "maps", tmp_path, scan)
    written = json.loads((tmp_path / "errors" / "errors.json").read_text())
    assert [score.region for score in by_file] == [record["region"] for record in written]
    assert by_file[0].bias == pytest.approx(written[0]["bias"], rel=1e-3)
    by_array = mrftool.evaluate(maps, reference)
    assert [score.region for score in by_array] == ["all", "all"]
    assert by_array[0].bias == pytest.approx(by_file[0].bias, rel=1e-6)


def test_evaluating_takes_only_voxels_of_the_mask(
    model: Path, short_sequence: PulseSequence
) -> None:
    tissue = Tissue([0.8, 1.2], 0.06)
    signal = mrftool.simulate(short_sequence, tissue).signal
    maps = mrftool.quantify(signal.reshape(2, 1, 1, 40), model)
    reference = {"t1": tissue.t1.reshape(2, 1, 1), "t2": tissue.t2.reshape(2, 1, 1)}
    score = mrftool.evaluate(maps, reference, mask=[[[True]], [[False]]])[0]
    assert (score.n, score.reference_mean) == (1, pytest.approx(800))
    with pytest.raises(ArgumentError, match="no t1 or no t2"):
        mrftool.evaluate(maps, {"t1": reference["t1"]})
    with pytest.raises(ArgumentError, match="expected the same"):
        mrftool.evaluate(maps, {**reference, "t2": tissue.t2})
    with pytest.raises(MismatchError, match=r"expected \(1, 2, 1\) as the reference"):
        mrftool.evaluate(maps, {key: image.reshape(1, 2, 1) for key, image in reference.items()})


@pytest.mark.slow
def test_a_network_is_trained_exported_and_adapted(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    ranges = {"t1_range": (0.5, 2.0), "t2_range": (0.03, 0.2)}
    run = mrftool.train(short_sequence, tmp_path / "run", steps=20, batch=64, **ranges)
    made = mrftool.export(run, tmp_path / "short.onnx", allow_inaccurate=True)
    assert made.manifest.training["config"]["steps"] == 20
    other = dataclasses.replace(short_sequence, name="other", tr=1.2 * short_sequence.tr)
    settings = {"steps": 5, "device": "cpu", "allow_inaccurate": True}
    adapted = mrftool.adapt(made, other, tmp_path / "other.onnx", **settings)
    assert adapted.manifest.sequence_name == "other"
    assert adapted.manifest.sequence_id == other.sequence_id


def test_reprs_are_one_short_line_with_units(
    short_sequence: PulseSequence, model: Path, shelf: Path
) -> None:
    tissue = Tissue([0.8, 1.2], 0.06, b1=[0.9, 1])
    prints = mrftool.simulate(short_sequence, tissue)
    loaded = mrftool.load_model(model)
    maps = mrftool.quantify(prints.signal.reshape(2, 1, 1, 40), loaded)
    scan = mrftool.load_scan(shelf / "brain.nii.gz")
    assert repr(tissue) == "Tissue(2 voxels, t1 0.8 to 1.2 s, t2 0.06 s, b1 0.9 to 1)"
    assert repr(Tissue(0.8, 0.06)) == "Tissue(1 voxel, t1 0.8 s, t2 0.06 s)"
    assert repr(maps).startswith("Maps(2 x 1 x 1 voxels: t1, t2, m0, residual, ")
    assert "40 complex samples, t1 " in repr(loaded) and " ms" in repr(loaded)
    assert repr(prints).startswith("Fingerprints(2 voxels, 40 samples, sequence ")
    assert "40 repetitions" in repr(short_sequence) and " deg" in repr(short_sequence)
    for noun in (tissue, prints, loaded, maps, scan, short_sequence):
        assert len(repr(noun)) < 160 and "\n" not in repr(noun) and "array" not in repr(noun)
    np.testing.assert_array_equal(maps["sd_t1"], maps.extra["sd_t1"])
    with pytest.raises(ArgumentError, match="there is no map 'sd'"):
        maps["sd"]


@pytest.mark.slow
def test_notebooks_show_pictures_and_tables(short_sequence: PulseSequence, model: Path) -> None:
    """The pictures are in the page: it asks nobody for anything."""
    loaded = mrftool.load_model(model)
    scan = mrftool.simulate(short_sequence, Tissue([0.8, 1.2], 0.06)).signal
    maps = mrftool.quantify(scan.reshape(2, 1, 1, 40), loaded)
    for noun in (short_sequence, maps):
        html = noun._repr_html_()
        encoded = html.split("data:image/png;base64,")[1].split('"')[0]
        assert base64.b64decode(encoded).startswith(b"\x89PNG")
    assert "<table>" in loaded._repr_html_() and "40 repetitions" in loaded._repr_html_()
    renamed = dataclasses.replace(short_sequence, name="<script>")
    assert "<script>" not in renamed._repr_html_()


def test_a_single_number_stands_for_all_pulses() -> None:
    sequence = PulseSequence([0.1, 0.2], rf_phase=0, tr=0.012, te=0.002)
    assert sequence == PulseSequence([0.1, 0.2], [0, 0], [0.012] * 2, [0.002] * 2)


USER_SCRIPT = """
import mrftool as mrf

sequence = mrf.load_sequence("fisp")
tissue = mrf.Tissue(t1=[0.8], t2=[0.05])
mrf.PulseSequence([0.1, 0.2], 0, 0.012, 0.002)
maps = mrf.quantify("scan.nii", "fisp")
reveal_type(sequence)
reveal_type(maps)
reveal_type(mrf.crlb(sequence, tissue, 20).sd_t1)
reveal_type(mrf.write_maps(maps, "maps"))
reveal_type(mrf.load_scan("scan.nii"))
reveal_type(mrf.match("scan.nii"))
reveal_type(mrf.reconstruct("scan.mrd"))
reveal_type(mrf.train(["fisp", sequence], "run"))
reveal_type(mrf.export("run", "m.onnx"))
reveal_type(mrf.adapt("fisp", sequence, "m.onnx"))
reveal_type(mrf.evaluate(maps, "scan.nii"))
mrf.simulate(sequence, 12)
"""
EXPECTED_TYPES = [
    "mrftool.sequence.pulse_sequence.PulseSequence",
    "mrftool.maps.Maps",
    "numpy.ndarray[tuple[Any, ...], numpy.dtype[numpy.float64]]",
    "dict[str, pathlib.Path]",
    "mrftool.scan.series.Series",
    "mrftool.maps.Maps",
    "mrftool.scan.coefficients.CoefficientImages",
    "pathlib.Path",
    "mrftool.inference.session.Model",
    "mrftool.inference.session.Model",
    "list[mrftool.evaluation.metrics.Score]",
]


@pytest.mark.slow
def test_a_type_checker_sees_the_types_in_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(USER_SCRIPT, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    revealed = re.findall('Revealed type is "(.*)"', done.stdout)
    assert [text.replace("builtins.", "") for text in revealed] == EXPECTED_TYPES, done.stdout
    assert 'Argument 2 to "simulate" has incompatible type "int"' in done.stdout
    assert done.stdout.count("error:") == 1


def test_importing_it_takes_no_time() -> None:
    script = (
        "import time; start = time.process_time(); import mrftool; "
        "print(time.process_time() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, env=environment()
    )
    assert float(done.stdout) < 0.1


@pytest.mark.slow
def test_raw_data_take_a_trajectory_and_its_unit(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    scan, points = tmp_path / "scan.mrd", tmp_path / "points.npy"
    works("simulate", "--seq", "delics", "--kspace", scan, "--matrix", 16, "--coils", 2)
    with h5py.File(scan) as file:
        (group,) = file.values()
        stored = np.stack(group["data"]["traj"])
    np.save(points, stored.reshape(len(stored), -1, 2))
    own = mrftool.reconstruct(scan, rank=4, replicas=0)
    same = mrftool.reconstruct(scan, rank=4, replicas=0, trajectory=points, trajectory_unit="1/FOV")
    np.testing.assert_allclose(same.images, own.images)
    np.save(points, -np.load(points))
    turned = mrftool.reconstruct(scan, rank=4, replicas=0, trajectory=points)
    assert abs(turned.images - own.images).max() > 0.1 * abs(own.images).max()
    with pytest.raises(InputError, match="times the Nyquist frequency"):
        mrftool.reconstruct(scan, rank=4, trajectory=points, trajectory_unit="1/m")


@pytest.mark.slow
def test_raw_data_go_through_every_step(tmp_path: Path) -> None:
    scan = tmp_path / "scan.mrd"
    works("simulate", "--seq", "delics", "--kspace", scan, "--matrix", 16, "--coils", 2)
    images = mrftool.reconstruct(scan, rank=4, replicas=1)
    assert images.shape == (16, 16, 1) and images.rank == 4
    maps = mrftool.quantify_coefficients(images, "delics")
    inside = maps.flags & mrftool.Flag.MASKED == 0
    assert inside.any() and (maps.extra["sd_t1"][inside] > 0).all()
    np.save(tmp_path / "images.npy", images.images)
    np.save(tmp_path / "basis.npy", images.basis)
    loaded = mrftool.load_coefficients(tmp_path / "images.npy", tmp_path / "basis.npy")
    plain = mrftool.quantify_coefficients(loaded, "delics", mask=inside)
    assert "sd_t1" not in plain.extra
    assert abs(np.median(plain.t1[inside] / maps.t1[inside]) - 1) < 0.05
