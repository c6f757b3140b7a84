"""Outputs belong to one run: another one asks, and leaves nothing of the former behind."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from front_door import command, files, load, process, refuses, untouched, works

GRID = ("--t1-ms", "300:1800:log12", "--t2-ms", "20:150:log12")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mrftool.figures.canvas.save_figure", lambda _, path: Path(path).touch())


@pytest.fixture
def scan(shelf: Path) -> Path:
    return shelf / "brain.nii.gz"


def report(folder: str = "maps") -> dict:
    return json.loads(Path(folder, "report.json").read_text())


def test_the_report_names_every_file_of_its_run(scan: Path, model: Path) -> None:
    works("quantify", scan, "--model", model)
    assert set(report()["outputs"]) == set(files(Path("maps")))
    assert report()["run"]["command"] == "quantify"
    assert report()["run"]["source"] == str(scan.resolve())


def test_without_a_report_the_maps_are_the_same_and_nothing_is_drawn(
    scan: Path, model: Path
) -> None:
    works("quantify", scan, "--model", model)
    whole = {name: load(Path("maps", name)) for name in report()["maps"].values()}
    works("quantify", scan, "--model", model, "--no-report")  # which is the same run
    left = set(files(Path("maps")))
    assert not {"overview.png", "report.html"} & left
    assert set(report()["outputs"]) == left
    assert set(report()["maps"].values()) == set(whole)
    for name, image in whole.items():
        np.testing.assert_array_equal(load(Path("maps", name)), image)
    says = ("--strict", "looks at the report, which --no-report leaves out")
    refuses(2, "quantify", scan, "--model", model, "--no-report", "--strict", says=says)


def test_the_same_run_may_be_repeated(scan: Path, model: Path) -> None:
    works("quantify", scan, "--model", model)
    works("quantify", scan, "--model", model, "--threads", 1)


@pytest.mark.slow
def test_another_run_asks_and_changes_nothing(
    scan: Path, shelf: Path, model: Path, tmp_path: Path
) -> None:
    works("quantify", scan, "--model", model)
    other = Path(shutil.copy(scan, "other.nii.gz"))
    says = ("maps holds the maps of another run", str(scan.resolve()), "see --overwrite")
    with untouched(tmp_path):
        refuses(2, "quantify", other, "--model", model, says=says)
        refuses(2, "quantify", scan, "--model", model, "--noise-sd", 0.01, says=says)
        refuses(2, "match", scan, "--seq", shelf / "short.yaml", *GRID, says=says)


def test_a_run_that_overwrites_removes_what_the_former_left(
    scan: Path, shelf: Path, model: Path
) -> None:
    works("quantify", scan, "--model", model)
    Path("maps/notes.txt").write_text("of the user")
    assert Path("maps/T1sd.nii.gz").exists() and Path("maps/T1sd.json").exists()
    works("match", scan, "--seq", shelf / "short.yaml", *GRID, "--overwrite")
    assert not Path("maps/T1sd.nii.gz").exists() and not Path("maps/T1sd.json").exists()
    assert set(files(Path("maps"))) == {*report()["outputs"], "notes.txt"}
    assert report()["command"] == "match"


def test_maps_that_no_report_names_are_not_replaced_unasked(scan: Path, model: Path) -> None:
    Path("maps").mkdir()
    Path("maps/T2map.nii.gz").write_text("of someone")
    says = ("T2map.nii.gz exists, and no report says",)
    refuses(2, "quantify", scan, "--model", model, says=says)
    works("quantify", scan, "--model", model, "--overwrite")
    assert load(Path("maps/T2map.nii.gz")).max() > 0


def test_a_report_that_names_foreign_files_removes_none_of_them(scan: Path, model: Path) -> None:
    works("quantify", scan, "--model", model)
    Path("precious.txt").write_text("outside")
    facts = report() | {"outputs": ["../precious.txt", "/etc/hostname", "T1map.nii.gz"]}
    Path("maps/report.json").write_text(json.dumps(facts))
    works("quantify", scan, "--model", model)
    assert Path("precious.txt").exists()


@pytest.mark.slow
def test_each_scan_of_a_bids_data_set_has_a_report_of_its_own(scan: Path, model: Path) -> None:
    for subject in ("01", "02"):
        shutil.copy(scan, f"sub-{subject}_MRF.nii.gz")
        works("quantify", f"sub-{subject}_MRF.nii.gz", "--model", model, "-o", "derivatives")
    for subject in ("01", "02"):
        place = Path(f"derivatives/sub-{subject}/anat/sub-{subject}_MRF_report")
        facts = report(str(place))
        assert facts["input"]["name"] == f"sub-{subject}_MRF.nii.gz"
        assert {path.name for path in place.iterdir()} == {
            "overview.png",
            "report.html",
            "report.json",
        }
        assert (place / facts["maps"]["t1"]).exists()
    assert "*_report" in Path("derivatives/.bidsignore").read_text().splitlines()


def test_maps_of_a_bids_data_set_are_evaluated_scan_by_scan(scan: Path, model: Path) -> None:
    for subject in ("01", "02"):
        shutil.copy(scan, f"sub-{subject}_MRF.nii.gz")
        works("quantify", f"sub-{subject}_MRF.nii.gz", "--model", model, "-o", "derivatives")
    says = ("holds the reports of 2 scans", "sub-01_MRF_report")
    refuses(3, "evaluate", "maps", "derivatives", scan, says=says)
    place = "derivatives/sub-01/anat/sub-01_MRF_report"
    works("evaluate", "maps", place, scan, "-o", "errors")


@pytest.mark.slow
def test_strict_turns_a_report_that_needs_a_look_into_a_failure(scan: Path, model: Path) -> None:
    done = command("quantify", scan, "--model", model, "--strict")
    status = report()["status"]
    assert (done.code, status) in ((0, "good"), (5, "look"))
    frames = load(scan)
    bad = frames[..., ::-1].copy()
    import nibabel

    nibabel.save(nibabel.Nifti1Image(bad, nibabel.load(scan).affine), "bad.nii")
    done = command("quantify", "bad.nii", "--model", model, "-o", "bad", "--strict")
    assert (done.code, report("bad")["status"]) == (5, "look")
    assert Path("bad/T1map.nii.gz").exists() and "need a look" in done.err
    works("quantify", "bad.nii", "--model", model, "-o", "bad")


def fails(*_: object, **__: object) -> None:
    raise RuntimeError("no fonts\nat all")


def test_maps_are_written_where_the_picture_cannot_be_drawn(
    scan: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works("quantify", scan, "--model", model)
    assert "overview.png" in files(Path("maps"))
    monkeypatch.setattr("mrftool.pages.maps.overview_figure", fails)
    done = works("quantify", scan, "--model", model)
    assert "mrftool: overview.png could not be drawn: RuntimeError: no fonts at all\n" in done.err
    assert Path("maps/T1map.nii.gz").exists() and "overview.png" not in report()["outputs"]
    assert set(files(Path("maps"))) == set(report()["outputs"])
    done = command("quantify", scan, "--model", model, "--strict")
    assert done.code == 5 and "1 of the outputs beside the maps could not be made" in done.err
    assert Path("maps/T1map.nii.gz").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "says", "keeps_numbers"),
    [
        ("mrftool.reports.page.map_cards", "report.html could not be made", True),
        ("mrftool.reports.page.report_contents", "report.json could not be completed", False),
    ],
)
def test_maps_are_written_where_the_report_cannot_be_made(
    scan: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    says: str,
    keeps_numbers: bool,
) -> None:
    monkeypatch.setattr(broken, fails)
    done = works("quantify", scan, "--model", model)
    assert says in done.err and "Traceback" not in done.err
    assert "report.html" not in files(Path("maps"))
    assert set(files(Path("maps"))) == set(report()["outputs"])
    assert report()["maps"]["t1"] == "T1map.nii.gz"
    assert ("statistics" in report()) == keeps_numbers
    works("evaluate", "maps", "maps", scan, "-o", "errors")


def test_a_run_that_is_interrupted_after_its_maps_may_be_repeated(
    scan: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mrftool.pages.maps.overview_figure", interrupted)
        assert command("quantify", scan, "--model", model).code == 130
    assert set(files(Path("maps"))) == set(report()["outputs"])
    works("quantify", scan, "--model", model)


@pytest.mark.slow
def test_a_backend_that_does_not_exist_keeps_no_maps_back(
    scan: Path, model: Path, tmp_path: Path
) -> None:
    """MPLBACKEND, which notebooks set, and settings of matplotlib that need LaTeX."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    variables = {"MPLBACKEND": "module://no.such.backend", "MPLCONFIGDIR": str(tmp_path)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        done = process("quantify", scan, "--model", model)
    assert done.code == 0 and "Traceback" not in done.err, done
    assert {"T1map.nii.gz", "overview.png", "report.html"} <= set(files(Path("maps")))
