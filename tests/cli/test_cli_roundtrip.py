"""Simulate, quantify, evaluate through the front door, with pictures and reports: numbers, notes,
and any name.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from front_door import files, load, process, refuses, save, works

from mrftool.quantities import Flag

MAPS = {"T1map", "T2map", "M0map", "T1sd", "T2sd", "residual", "flags", "misfit"}
MAPS |= {"T1systematic", "T2systematic", "T1uncertainty", "T2uncertainty"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def scan(shelf: Path) -> Path:
    return shelf / "brain.nii.gz"


@pytest.fixture(scope="module")
def image(scan: Path) -> Any:
    return load(scan)


@pytest.fixture(scope="module")
def truth(shelf: Path) -> dict[str, Any]:
    return {name: load(shelf / f"brain_truth_{name}map.nii.gz") for name in ("T1", "T2", "M0")}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, scan: Path, model: Path) -> tuple[Path, str]:
    """Where the maps of the noise-free scan lie, and what the command printed."""
    folder = tmp_path_factory.mktemp("clean")
    return folder / "maps", works("quantify", scan, "--model", model, "-o", folder / "maps").out


def maps_in(folder: Path) -> dict[str, Any]:
    return {name: load(folder / f"{name}.nii.gz") for name in MAPS}


def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time; other tests look at the pictures."""
    monkeypatch.setattr("mrftool.figures.canvas.save_figure", lambda _, path: Path(path).touch())


def test_maps_are_the_truth_with_units_and_names(
    clean: tuple[Path, str], truth: dict[str, Any]
) -> None:
    folder, printed = clean
    others = {"report.json", "report.html", "overview.png"}
    assert set(files(folder)) == others | {
        f"{name}.{end}" for name in MAPS for end in ("nii.gz", "json")
    }
    assert set(printed.split()) >= {
        str(folder / name) for name in others | {f"{name}.nii.gz" for name in MAPS}
    }
    maps, empty = maps_in(folder), truth["T1"] == 0
    inside = (truth["T1"] > 0.1) & (truth["T1"] < 4.5) & (truth["T2"] > 0.01) & (truth["T2"] < 2)
    for name in ("T1", "T2", "M0"):
        np.testing.assert_allclose(maps[f"{name}map"][inside], truth[name][inside], rtol=0.01)
        assert not maps[f"{name}map"][empty].any()
        assert json.loads((folder / f"{name}map.json").read_text())["Units"] == (
            "arbitrary" if name == "M0" else "s"
        )
    assert (maps["flags"][empty] == Flag.MASKED).all()


@pytest.mark.slow
def test_scores_of_a_noisy_phantom_are_the_errors_of_its_maps(
    shelf: Path, model: Path, truth: dict[str, Any]
) -> None:
    phantom = ("--phantom", "brain", "--matrix", 24, "--snr", 50)
    works("simulate", "--seq", shelf / "short.yaml", *phantom, "-o", "noisy.nii")
    works("quantify", "noisy.nii", "--model", model)
    outcome = works("evaluate", "maps", "maps", "noisy.nii")
    assert "T1" in outcome.out and "grey matter" in outcome.out
    maps, inside = maps_in(Path("maps")), truth["T1"] > 0
    scores = json.loads(Path("maps/errors/errors.json").read_text())
    for name in ("T1", "T2"):
        error = 1e3 * (maps[f"{name}map"] - truth[name])[inside].astype(float)
        score = next(s for s in scores if (s["parameter"], s["region"]) == (name.lower(), "all"))
        assert score["n"] == inside.sum()
        assert score["bias"] == pytest.approx(error.mean(), rel=1e-3, abs=1e-3)
        assert score["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-3)
        half = np.median(
            abs(error) / (1e3 * maps[f"{name}sd"][inside])
        )  # 0.6745 for a normal distribution
        assert 0.55 < half < 0.8


def test_what_is_not_finite_is_mapped_as_such_and_counted_and_what_is_assumed_is_said(
    image: Any,
    model: Path,
    truth: dict[str, Any],
    clean: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no_picture(monkeypatch)
    bad, chosen = image.copy(), np.argwhere(truth["T1"][..., 0] > 0)[[3, 40, 77]]
    for (x, y), value in zip(chosen, (np.nan, np.inf, complex(0, -np.inf)), strict=True):
        bad[x, y, 0, 7] = value
    save(Path("bare.nii"), bad)
    outcome = works("quantify", "bare.nii", "--model", model)
    assert "not a finite number in the input" in outcome.out
    assert (
        "mrftool: the series does not name its sequence; assumed to be short of the model"
        in outcome.err
    )
    assert all(line.startswith("mrftool: ") for line in outcome.err.splitlines())
    assert "mrftool:" not in outcome.out and "maps/" not in outcome.err
    report = json.loads(Path("maps/report.json").read_text())
    assert (
        next(flag for flag in report["voxels"]["flags"] if flag["name"] == "non_finite")["voxels"]
        == 3
    )
    assert any("does not name its sequence" in sentence for sentence in report["assumptions"])
    expected, maps, rest = (
        maps_in(clean[0]),
        maps_in(Path("maps")),
        np.ones(truth["T1"].shape, bool),
    )
    for x, y in chosen:
        rest[x, y] = False
        assert maps["flags"][x, y, 0] == Flag.NON_FINITE
        assert np.isnan([maps[name][x, y, 0] for name in MAPS - {"flags"}]).all()
    of_each_voxel = {"T1map", "T2map", "M0map", "residual", "flags"}
    for name in of_each_voxel:
        np.testing.assert_array_equal(maps[name][rest], expected[name][rest])
    for name in MAPS - of_each_voxel:  # the noise is judged from all voxels together
        np.testing.assert_allclose(maps[name][rest], expected[name][rest], rtol=2e-3, atol=1e-4)


@pytest.mark.slow
def test_any_name_goes(scan: Path, model: Path, tmp_path: Path) -> None:
    """Accents, spaces, what could be taken for HTML, markup or a formula, and bytes that are no
    text at all.
    """
    name = os.fsdecode("-ä <b>&amp; [bold] $\\frac$ späce".encode() + b"\xff\xfe.nii.gz")
    (tmp_path / name).write_bytes(scan.read_bytes())
    into = tmp_path / "maps [" / "b] $x^$"  # [/b] ends bold type, if taken for markup
    outcome = process("quantify", f"./{name}", "--model", model, "-o", into, cwd=tmp_path)
    assert outcome.code == 0 and "Traceback" not in outcome.err, outcome
    assert f"{into}/report.json\n" in outcome.out and "[bold] $" in outcome.out
    assert len(files(into)) == 2 * len(MAPS) + 3
    assert "<b>&amp;" not in (into / "report.html").read_text()
    assert json.loads((into / "report.json").read_text())["input"]["path"] == name


def test_maps_of_another_sequence_are_not_compared_with_the_bound_of_this_one(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    noisy = ("--phantom", "brain", "--matrix", 16, "--snr", 50)
    works("simulate", "--seq", shelf / "short.yaml", *noisy, "-o", "short.nii")
    works("simulate", "--seq", "delics", *noisy, "-o", "delics.nii")
    works("quantify", "short.nii", "--model", model, "-o", "maps")
    refuses(4, "evaluate", "maps", "maps", "delics.nii", says=("maps of sequence short", "delics"))


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.mrd"])
def test_a_second_scan_does_not_take_the_sidecar_of_the_first(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    scan = ("--phantom", "brain", "--matrix", 16, "-o", "scan.nii")
    works("simulate", "--seq", shelf / "short.yaml", *scan)
    before = Path("scan.json").read_bytes()
    how = ("--kspace", name) if name.endswith("mrd") else ("-o", name)
    arguments = ("simulate", "--seq", "delics", "--phantom", "brain", "--matrix", 16, *how)
    refuses(3, *arguments, says=("scan.nii lies beside it and has scan.json too",))
    assert Path("scan.json").read_bytes() == before
    assert not Path(name).exists()
