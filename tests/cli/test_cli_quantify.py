"""`mrftool quantify` through the front door: maps against the truth, bad input, options, and what
is left behind.
"""

import inspect
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dicom_factory import Scan, write_classic
from front_door import (
    assert_refused,
    command,
    environment,
    files,
    load,
    process,
    refuses,
    save,
    untouched,
    works,
)

from mrftool.cli.commands.quantify import quantify as quantify_command
from mrftool.environment.threads import mapped

MAPS = {"T1map", "T2map", "M0map", "T1sd", "T2sd", "residual", "flags", "misfit"}
MAPS |= {"T1systematic", "T2systematic", "T1uncertainty", "T2uncertainty"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own; without the pictures, which take most of the time and have tests of
    their own.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "mrftool.pages.maps.overview_figure", lambda *_, **__: _[2].write_bytes(b"picture")
    )
    report = SimpleNamespace(warnings=(), html="page", contents={})
    monkeypatch.setattr("mrftool.reports.page.make_report", lambda _: report)


@pytest.fixture(scope="module")
def scan(shelf: Path) -> Path:
    return shelf / "brain.nii.gz"


@pytest.fixture(scope="module")
def image(scan: Path) -> Any:
    return load(scan)


def quantify(scan: Path, model: Path, *options: object, into: str = "maps") -> dict[str, Any]:
    """Quantify, and the maps by name."""
    works("quantify", scan, "--model", model, "-o", into, *options)
    return {path.name.split(".", maxsplit=1)[0]: load(path) for path in Path(into).glob("*.nii.gz")}


@pytest.mark.parametrize("form", ["nii", "nii.gz", "pair", "halves", "parts", "polar", "scaled"])
def test_every_way_to_store_a_complex_scan_gives_the_same_maps(
    form: str, image: Any, scan: Path, model: Path, tmp_path: Path
) -> None:
    expected = quantify(scan, model, into="expected")
    extra: tuple[object, ...] = ()
    path = Path({"nii.gz": "a.nii.gz", "pair": "a.hdr"}.get(form, "a.nii"))
    if form == "halves":
        save(path, np.stack([image.real, image.imag], axis=-1).astype("f4"))
    elif form == "parts":
        save(path, image.real.astype("f4"))
        extra = ("--imag", save(Path("b.nii"), image.imag.astype("f4")))
    elif form == "polar":
        save(path, abs(image).astype("f4"))
        extra = ("--phase", save(Path("b.nii"), np.angle(image).astype("f4")))
        Path("b.json").write_text('{"Units": "rad"}')
    elif form == "scaled":
        save(path, np.asarray(image * 1000, "c8"))
    else:
        save(path, image)
    found = quantify(path, model, *extra)
    inside = expected["T1map"] > 0
    factor = 1000 if form == "scaled" else 1
    for name in ("T1map", "T2map"):
        np.testing.assert_allclose(found[name][inside], expected[name][inside], rtol=1e-3)
    np.testing.assert_allclose(
        found["M0map"][inside], factor * expected["M0map"][inside], rtol=1e-3
    )


@pytest.mark.parametrize(
    ("code", "name", "says"),
    [
        (3, "missing.nii", ("no such file", "expected a 4-D NIfTI or DICOM")),
        (3, "cut.nii.gz", ("is cut short, expected more",)),
        (3, "stub.nii.gz", ("is cut short",)),
        (3, "cut.nii", ("is cut short, its header claims",)),
        (3, "empty.nii", ("is no NIfTI file, expected",)),
        (3, "empty.nii.gz", ("is not gzip-compressed",)),
        (3, "flipped.nii.gz", ("flipped.nii.gz",)),
        (3, "text.nii", ("is no NIfTI file",)),
        (
            3,
            "volume.nii",
            ("has 24 x 24 x 1 voxels at one time, expected a series (x, y, z, time)",),
        ),
        (3, "five.nii", ("expected (x, y, z, time)",)),
        (3, "short.yaml", ("is not named like a NIfTI file, expected .nii",)),
        (3, "folder", ("no DICOM file", "expected")),
        (4, "long.nii", ("41 time points, expected 40 as the model",)),
        (4, "few.nii", ("39 time points, expected 40 as the model",)),
        (4, "magnitude.nii", ("a magnitude series, expected complex as the model",)),
        (3, "negative.nii", ("negative", "expected magnitudes")),
        (4, "other.nii", ("made with sequence 0123456789abcdef, expected", "as the model")),
        (3, "sick.nii", ("sick.json: is no JSON",)),
    ],
)
def test_a_bad_scan_is_refused_by_name_and_leaves_nothing(
    code: int,
    name: str,
    says: tuple[str, ...],
    image: Any,
    shelf: Path,
    model: Path,
    tmp_path: Path,
) -> None:
    spoil(
        tmp_path, image, (shelf / "brain.nii.gz").read_bytes(), (shelf / "short.yaml").read_text()
    )
    with untouched(tmp_path):
        refuses(
            code, "quantify", name, "--model", model, says=(name.split(".", maxsplit=1)[0], *says)
        )


def spoil(folder: Path, image: Any, packed: bytes, text: str) -> None:
    """Scans that are none, each wrong in its own way."""
    save(folder / "full.nii", image)
    contents = {
        "cut.nii.gz": packed[: len(packed) // 2],
        "stub.nii.gz": packed[:12],
        "cut.nii": (folder / "full.nii").read_bytes()[:-100],
        "empty.nii": b"",
        "empty.nii.gz": b"",
        "flipped.nii.gz": packed[:3000] + bytes(b ^ 255 for b in packed[3000:3010]) + packed[3010:],
        "text.nii": b"this is no image" * 100,
        "short.yaml": text.encode(),
        "other.json": b'{"sequence_id": "0123456789abcdef"}',
        "sick.json": b"{",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    images = {
        "volume": image[..., 0],
        "five": np.stack([image, image, image], axis=-1),
        "long": np.concatenate([image, image[..., :1]], axis=-1),
        "few": image[..., :-1],
        "magnitude": abs(image).astype("f4"),
        "negative": (image.imag - 1).astype("f4"),
        "other": image,
        "sick": image,
    }
    for name, values in images.items():
        save(folder / f"{name}.nii", values)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.onnx", ("no such file, expected a .onnx file or one of the shipped models",)),
        ("folder", ("is a folder, expected a .onnx file",)),
        ("foreign.onnx", ("without mrftool's manifest, expected a model made by mrftool export",)),
        ("cut.onnx", ("is no ONNX file or a damaged one, expected a model",)),
        ("text.onnx", ("is no ONNX file or a damaged one",)),
        ("empty.onnx", ("holds no graph",)),
        ("flipped.onnx", ("flipped.onnx",)),
        ("scan.nii", ("is no ONNX file",)),
    ],
)
def test_a_bad_model_is_refused_by_name(
    name: str, says: tuple[str, ...], image: Any, scan: Path, model: Path, tmp_path: Path
) -> None:
    import onnx

    content = model.read_bytes()
    middle = len(content) // 2
    (tmp_path / "folder").mkdir()
    (tmp_path / "cut.onnx").write_bytes(content[:middle])
    (tmp_path / "flipped.onnx").write_bytes(
        content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    )
    (tmp_path / "text.onnx").write_text("hello world " * 100)
    (tmp_path / "empty.onnx").write_bytes(b"")
    save(tmp_path / "scan.nii", image)
    line = [onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, [1]) for end in "xy"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])], "g", line[:1], line[1:]
    )
    onnx.save(onnx.helper.make_model(graph), tmp_path / "foreign.onnx")
    with untouched(tmp_path):
        refuses(3, "quantify", scan, "--model", name, says=(name, *says))
        if name not in ("missing.onnx", "folder"):
            refuses(3, "model", "show", name, says=(name, *says))


@pytest.mark.parametrize(
    ("code", "mask", "says"),
    [
        (3, "missing.nii", ("no such file, expected",)),
        (3, "empty.nii", ("is empty, expected at least one voxel",)),
        (3, "labels.nii", ("holds 4 different values from 0 to 3, expected 0 and one other",)),
        (3, "nan.nii", ("nan.nii",)),
        (3, "series.nii", ("has 24 x 24 x 1 x 2 values, expected three dimensions",)),
        (4, "elsewhere.nii", ("has no value where brain.nii.gz lies",)),
    ],
)
def test_a_bad_mask_is_refused_by_name(
    code: int, mask: str, says: tuple[str, ...], scan: Path, model: Path, tmp_path: Path
) -> None:
    import nibabel

    affine = nibabel.load(scan).affine
    half = np.zeros((24, 24, 1), np.float32)
    half[:12] = 1
    labels = np.arange(24 * 24).reshape(24, 24, 1) % 4
    images = {
        "empty": 0 * half,
        "labels": labels.astype("u1"),
        "nan": np.where(half, np.nan, 0).astype("f4"),
    }
    images |= {"series": np.stack([half, half], axis=-1), "elsewhere": half}
    for name, values in images.items():
        save(
            tmp_path / f"{name}.nii",
            values,
            affine + 5000 * np.eye(4, k=3) * [[1], [0], [0], [0]] * (name == "elsewhere"),
        )
    with untouched(tmp_path):
        refuses(code, "quantify", scan, "--model", model, "--mask", mask, says=(mask, *says))


def test_a_mask_on_other_voxels_is_resampled_and_that_is_said(
    scan: Path, model: Path, tmp_path: Path
) -> None:
    import nibabel

    half = np.zeros((24, 24, 1), np.float32)
    half[:12] = 1
    affine = nibabel.load(scan).affine
    moved = affine.copy()
    moved[:3, 3] += affine[:3, 0]  # by one voxel along x
    save(tmp_path / "whole.nii", half, affine)
    save(tmp_path / "part.nii", half[1:], moved)  # the same mask without its first column
    whole = quantify(scan, model, "--mask", "whole.nii", into="whole")
    done = works("quantify", scan, "--model", model, "--mask", "part.nii", "-o", "part")
    assert "part.nii is resampled" in done.err
    part = {"T1map": load(Path("part/T1map.nii.gz"))}
    np.testing.assert_array_equal(part["T1map"][1:], whole["T1map"][1:])
    assert (part["T1map"][0] == 0).all()


def test_complex_and_magnitude_models_take_their_own_and_say_how_to_help(
    scan: Path, image: Any, make_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    magnitude = make_onnx(form="magnitude")
    outcome = refuses(
        4, "quantify", scan, "--model", magnitude, says=("a complex series, expected magnitude",)
    )
    assert "hint: the form 'magnitude' takes" in outcome.err and "see --form" in outcome.err
    assert files(tmp_path) == {}
    found = quantify(scan, magnitude, "--form", "magnitude")
    save(Path("abs.nii"), abs(image).astype("f4"))
    again = quantify(Path("abs.nii"), magnitude, into="again")
    inside = found["T1map"] > 0
    np.testing.assert_allclose(again["T1map"][inside], found["T1map"][inside], rtol=1e-4)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory, image: Any) -> Path:
    """The scan with noise, as magnitude and phase, parts, a mask and two B1 maps in one folder."""
    folder, random = tmp_path_factory.mktemp("noisy"), np.random.default_rng(0)
    sd = 0.02 * abs(image).max()
    values = (image + sd * random.standard_normal((*image.shape, 2)) @ [1, 1j]).astype("c8")
    save(folder / "scan.nii", values)
    save(folder / "real.nii", values.real.astype("f4"))
    save(folder / "imag.nii", values.imag.astype("f4"))
    save(folder / "abs.nii", abs(values).astype("f4"))
    save(folder / "phase.nii", np.angle(values).astype("f4"))
    mask = np.zeros(image.shape[:3], np.uint8)
    mask[4:20, 4:20] = 1
    save(folder / "mask.nii", mask)
    for name, level in (("low", 0.95), ("high", 1.05)):
        save(folder / f"{name}.nii", np.full(image.shape[:3], level, np.float32))
    return folder


# Each row: a scan and its options, and one option more, or with another value, that must change the
# maps.
OPTIONS: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = [
    ("mask", "scan.nii", (), ("--mask", "mask.nii")),
    ("noise_sd", "scan.nii", (), ("--noise-sd", "0.5")),
    ("imag", "real.nii", ("--form", "real"), ("--imag", "imag.nii")),
    ("phase", "abs.nii", ("--form", "real"), ("--phase", "phase.nii")),
    ("form", "abs.nii", ("--phase", "phase.nii"), ("--form", "real")),
    ("b1", "scan.nii", ("--b1", "low.nii"), ("--b1", "high.nii")),
    ("model", "scan.nii", (), ("--model", "b1")),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "name", "before", "after"), OPTIONS, ids=[row[0] for row in OPTIONS]
)
def test_every_option_makes_a_difference(
    option: str,
    name: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    noisy: Path,
    model: Path,
    make_onnx: Callable[..., Path],
) -> None:
    narrow = {"t1_range": (0.3, 2.0), "t2_range": (0.03, 0.3), "b1_range": (0.9, 1.1)}
    of_b1 = make_onnx(**narrow) if option in ("b1", "model") else model
    placed = {file: str(noisy / file) for file in files(noisy)} | {"b1": str(of_b1)}
    results = []
    for n, options in enumerate((before, after)):
        chosen = [placed.get(word, word) for word in options]
        if option == "model" and n:
            chosen += ["--b1", placed["low.nii"]]
        elif "--model" not in chosen:
            chosen += ["--model", of_b1 if option == "b1" else model]
        works("quantify", noisy / name, *chosen, "-o", f"{n}")
        results.append({path.name: load(path) for path in Path(f"{n}").glob("*.nii.gz")})
    assert any((results[0][key] != results[1][key]).any() for key in results[0])


def test_threads_reach_the_arithmetic(
    scan: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They must not change the maps, so that they act shows only inside."""
    seen = []

    def spied(work: Any, items: Any, threads: int) -> Any:
        seen.append(threads)
        return mapped(work, items, threads)

    monkeypatch.setattr("mrftool.inference.quantify.mapped", spied)
    one, two = (quantify(scan, model, "--threads", n, into=str(n)) for n in (1, 2))
    assert set(seen) == {1, 2}
    for name in MAPS:
        np.testing.assert_array_equal(one[name], two[name])


@pytest.mark.slow
def test_series_and_form_act_on_dicom_too(
    noisy: Path, make_onnx: Callable[..., Path], model: Path, tmp_path: Path
) -> None:
    values = load(noisy / "scan.nii")[8:16, 8:16]
    for number, factor in ((1, 100), (2, 200)):
        folder = tmp_path / "study" / str(number)
        folder.mkdir(parents=True)
        scan = Scan(factor * values.astype("c8"), parts=("real", "imaginary"))
        for path in write_classic(folder, scan):
            edit_series(path, number)
    with untouched(tmp_path):
        refuses(
            2,
            "quantify",
            "study",
            "--model",
            model,
            "--form",
            "real",
            says=("form 'real' go with NIfTI",),
        )
        outcome = refuses(
            4, "quantify", "study", "--model", model, says=("has 2 series, expected one",)
        )
        assert "hint: choose a series by" in outcome.err
    for number in (1, 2):
        quantify(Path("study"), model, "--series", number, "--no-dicom", into=str(number))
    low, high = (load(Path(f"{number}/M0map.nii.gz")) for number in (1, 2))
    np.testing.assert_allclose(high, 2 * low, rtol=0.01)
    chosen = ("--series", 1, "--form", "magnitude", "--no-dicom")
    found = quantify(Path("study"), make_onnx(form="magnitude"), *chosen, into="3")
    seen = low > np.median(low)
    np.testing.assert_allclose(np.median(found["M0map"][seen] / low[seen]), 1, rtol=0.1)


def edit_series(path: Path, number: int) -> None:
    """Make a file part of another series."""
    import pydicom

    dataset = pydicom.dcmread(path)
    dataset.SeriesNumber, dataset.SeriesInstanceUID = number, f"1.2.3.{number}"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = (
        pydicom.uid.generate_uid()
    )
    dataset.save_as(path)


def test_no_option_was_forgotten() -> None:
    elsewhere = {"dicom", "dicom_format", "dicom_reference"}  # see test_cli_dicom
    elsewhere |= {"allow", "overwrite", "strict", "report"}  # see test_cli_header, test_cli_outputs
    elsewhere |= {"basis", "covariance", "seq", "joint"}  # see test_reconstruct_command
    elsewhere |= {"rr"}  # see test_cli_heartbeats
    elsewhere |= {"b0"}  # see test_balanced
    elsewhere |= {"axes", "like", "variable"}  # see test_cli_arrays
    elsewhere |= {"uncertainty"}  # see test_cli_uncertainty
    elsewhere |= {"skip", "coils"}  # see test_cli_skip, test_coils
    elsewhere |= {"efficiency"}  # see test_common_values
    elsewhere |= {"anonymous"}  # see test_anonymous
    elsewhere |= {"noise_covariance"}  # see test_noise_covariance
    tested = {row[0] for row in OPTIONS} | {"scans", "output", "threads", "series"} | elsewhere
    assert set(inspect.signature(quantify_command).parameters) - {"context"} == tested


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--threads", 0), "--threads 0, expected 1 to 256"),
        (("--threads", -1), "--threads -1"),
        (("--threads", 100000), "--threads 100000"),
        (("--noise-sd", "nan"), "--noise-sd nan"),
        (("--noise-sd", 0), "--noise-sd 0"),
        (("--noise-sd", -1), "--noise-sd -1"),
        (("--noise-sd", "inf"), "--noise-sd inf"),
        (("--noise-sd", 1e-300), "--noise-sd 1e-300"),
        (("--form", "imaginary"), "--form"),
        (("--series", "1"), "a choice of series goes with DICOM"),
        (("--imag", "a.nii", "--phase", "b.nii"), "expected one of them"),
        (("--blah",), "--blah"),
    ],
)
def test_absurd_options_are_refused(
    options: tuple[object, ...], says: str, scan: Path, model: Path, tmp_path: Path
) -> None:
    with untouched(tmp_path):
        refuses(2, "quantify", scan, "--model", model, *options, says=(says,))


def test_a_b1_map_goes_with_a_model_that_takes_one(
    scan: Path, model: Path, noisy: Path, tmp_path: Path
) -> None:
    with untouched(tmp_path):
        refuses(
            4,
            "quantify",
            noisy / "scan.nii",
            "--model",
            model,
            "--b1",
            noisy / "low.nii",
            says=("no B1 map",),
        )


@pytest.mark.parametrize("place", ["file", "file/maps", "/proc/maps"])
def test_a_folder_that_cannot_be_written_is_named_before_the_work(
    place: str, scan: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    if place != "/proc/maps":
        monkeypatch.setattr("mrftool.inference.quantify.run", None)
    with untouched(tmp_path):
        refuses(
            3,
            "quantify",
            scan,
            "--model",
            model,
            "-o",
            place,
            says=(place.split("/maps", maxsplit=1)[0],),
        )


@pytest.mark.slow
def test_no_space_leaves_earlier_maps_as_they_were(scan: Path, model: Path, tmp_path: Path) -> None:
    def limit_file_size() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    works("quantify", scan, "--model", model, "-o", "maps")
    with untouched(tmp_path):
        outcome = process(
            "quantify",
            scan,
            "--model",
            model,
            "-o",
            "maps",
            cwd=tmp_path,
            preexec_fn=limit_file_size,
        )
    assert_refused(outcome, 3, ("File too large",))


def test_a_write_that_fails_halfway_leaves_no_map(
    scan: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, done = Path.replace, []

    def failing(path: Path, target: Path) -> Path:
        done.append(target)
        if len(done) == 5:
            raise OSError(28, "No space left on device", str(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", failing)
    outcome = command("quantify", scan, "--model", model, "-o", "some/maps")
    assert_refused(outcome, 3, ("some/maps/", "cannot be written: No space left on device"))
    assert files(tmp_path) == {}


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_nothing(
    sent: signal.Signals, scan: Path, model: Path, tmp_path: Path
) -> None:
    script = """
import time, mrftool.inference.quantify as quantification
from mrftool.cli.app import main
def slow(*_, **__):  # as blocks are: those that threads have begun are waited for
    print("begun", flush=True)
    time.sleep(2)
quantification.run_compressed = slow
main()
"""
    (tmp_path / "tmp").mkdir()
    arguments = [
        sys.executable,
        "-c",
        script,
        "quantify",
        str(scan),
        "--model",
        str(model),
        "-o",
        "some/maps",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with untouched(tmp_path):
        child = subprocess.Popen(
            arguments, cwd=tmp_path, env=environment(TMPDIR=str(tmp_path / "tmp")), **pipes
        )
        assert child.stdout is not None and child.stdout.readline() == "begun\n"
        child.send_signal(sent)
        out, err = child.communicate(timeout=60)
        out = out.replace("begun\n", "")  # of a second thread
    said = {signal.SIGINT: (130, "mrftool: interrupted\n"), signal.SIGTERM: (143, "")}
    assert (child.returncode, err) == said[sent]
    assert out == ""


def test_an_interruption_keeps_earlier_maps(
    scan: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works("quantify", scan, "--model", model)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for place in (
        "mrftool.inference.quantify.run_compressed",
        "mrftool.workflows.steps.outputs.results.write_maps",
    ):
        with monkeypatch.context() as patch, untouched(tmp_path):
            patch.setattr(place, interrupted)
            found = command("quantify", scan, "--model", model)
            assert (found.code, found.out) == (130, "")
            assert found.err.endswith("mrftool: interrupted\n")


def test_nothing_is_written_beside_the_scan(scan: Path, model: Path, shelf: Path) -> None:
    with untouched(shelf):
        quantify(scan, model)


def test_a_scan_that_a_map_would_replace_is_kept(image: Any, model: Path, tmp_path: Path) -> None:
    save(tmp_path / "T1map.nii.gz", image)
    with untouched(tmp_path):
        refuses(
            2,
            "quantify",
            "T1map.nii.gz",
            "--model",
            model,
            "-o",
            ".",
            says=("T1map.nii.gz is an input",),
        )


def test_a_bids_scan_gets_bids_names(scan: Path, model: Path) -> None:
    shutil.copy(scan, "sub-01_ses-2_task-rest_part-mag_MRF.nii.gz")
    works("quantify", "sub-01_ses-2_task-rest_part-mag_MRF.nii.gz", "--model", model, "-o", "out")
    assert Path("out/sub-01/ses-2/anat/sub-01_ses-2_task-rest_T1map.nii.gz").is_file()
    assert Path("out/sub-01/ses-2/anat/sub-01_ses-2_task-rest_T2map.json").is_file()
    assert (
        json.loads(Path("out/dataset_description.json").read_text())["DatasetType"] == "derivative"
    )


def test_several_scans_in_one_call_have_folders_of_their_own(scan: Path, model: Path) -> None:
    alone = quantify(scan, model, into="alone")
    for name in ("a.nii.gz", "b.nii.gz", "sub-01_MRF.nii.gz"):
        shutil.copy(scan, name)
    outcome = command(
        *("quantify", "a.nii.gz", "none.nii", "b.nii.gz", "sub-01_MRF.nii.gz"),
        *("--model", model, "-o", "all", "-q"),
    )
    assert outcome.code == 3
    first, last = outcome.err.splitlines()
    assert first.startswith("mrftool: none.nii: no such file")
    assert last == "mrftool: 1 of 4 scans failed, see above"
    for place in ("all/a/", "all/b/", "all/sub-01/anat/sub-01_"):
        np.testing.assert_array_equal(load(Path(f"{place}T1map.nii.gz")), alone["T1map"])
    assert not Path("all/none").exists()


def test_scans_of_one_name_are_refused_in_one_call(tmp_path: Path) -> None:
    with untouched(tmp_path):
        refuses(2, "quantify", "a/x.nii", "b/x.nii", says=("a/x.nii and b/x.nii would both go",))
