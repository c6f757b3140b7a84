"""Measured signals and the paper's anatomical maps, through the command line."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml
from front_door import works

from mrftool.environment.shipped import shipped_files
from mrftool.formats.sequence.yaml_file import read_sequence, sequence_to_dict

pytestmark = [pytest.mark.data, pytest.mark.slow]

REFERENCE_T1, REFERENCE_T2 = 0.899, 0.092  # [s], of the tube of MnCl2
ADC = 2.35e-9  # [m2/s]


@pytest.fixture(scope="module")
def tube(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The measured tube as a NIfTI series of magnitudes, with its B1 map."""
    folder = tmp_path_factory.mktemp("tube")
    measured = np.load(data_dir / "liquid_phantom" / "mncl2_phi150.npz")
    for name, values in (
        ("scan", measured["signal"].T[:, None, None, :]),
        ("b1", measured["b1"][:, None, None]),
    ):
        nibabel.Nifti1Image(values.astype(np.float32), np.eye(4)).to_filename(
            folder / f"{name}.nii.gz"
        )
    return folder


def quantified(
    folder: Path, *options: object, sequence: object = "liquid_phantom"
) -> dict[str, np.ndarray]:
    """Maps of the tube from a model of its train, made with these options."""
    ranges = ("--t1-ms", 600, 1300, "--t2-ms", 50, 150, "--form", "magnitude", "--b1", 0.9, 1.05)
    works(
        "export",
        "--seq",
        sequence,
        "--encoder",
        "none",
        *ranges,
        *options,
        "-o",
        folder / "m.onnx",
    )
    scan = (
        "quantify",
        folder / "scan.nii.gz",
        "--model",
        folder / "m.onnx",
        "--b1",
        folder / "b1.nii.gz",
    )
    works(*scan, "-o", folder / "maps", "--overwrite")
    names = ("T1map", "T2map", "T1uncertainty", "T2uncertainty", "flags")
    return {
        name: nibabel.load(folder / "maps" / f"{name}.nii.gz").get_fdata().ravel() for name in names
    }


def test_the_measured_tube_has_its_reference_t1_and_diffusion_explains_its_t2(tube: Path) -> None:
    whole = quantified(tube, "--adc", ADC)
    assert np.median(whole["T1map"]) == pytest.approx(REFERENCE_T1, rel=0.02)
    assert np.median(whole["T2map"]) == pytest.approx(REFERENCE_T2, rel=0.08)
    without = quantified(tube)
    assert np.median(without["T2map"]) < 0.8 * REFERENCE_T2
    assert abs(np.median(whole["T2map"]) / REFERENCE_T2 - 1) < 0.5 * abs(
        np.median(without["T2map"]) / REFERENCE_T2 - 1
    )
    for name, reference in (("T1", REFERENCE_T1), ("T2", REFERENCE_T2)):
        error = abs(whole[f"{name}map"] - reference)
        assert np.mean(error < 1.96 * whole[f"{name}uncertainty"]) >= 0.9
    assert np.mean(whole["flags"].astype(int) & 2 > 0) < 0.05
    assert (without["flags"].astype(int) & 2).all()  # diffusion left out shows


def test_the_budget_of_the_measured_tube_names_b1(tube: Path) -> None:
    quantified(tube, "--adc", ADC)
    report = json.loads((tube / "maps" / "report.json").read_text())
    budget = {each["parameter"]: each for each in report["uncertainty"]["tissues"]}
    for each in budget.values():
        print(each["text"])
    assert budget["t2"]["text"].startswith("T2 of all voxels: ")
    assert 0.1 < budget["t2"]["given"]["B1"] < 0.3  # it asks for an exact B1: 10 % for each percent
    assert budget["t2"]["combined"] > 5 * budget["t1"]["combined"]


def test_ignored_rf_phases_of_the_measured_tube_are_flagged(tube: Path) -> None:
    sequence = read_sequence("liquid_phantom")
    ignored = replace(sequence, rf_phase=np.zeros(len(sequence)), name="without phases")
    path = tube / "without_phases.yaml"
    path.write_text(yaml.safe_dump(sequence_to_dict(ignored)))
    flags = quantified(tube, "--adc", ADC, sequence=path)["flags"]
    assert (flags.astype(int) & 2).all()
    report = json.loads((tube / "maps" / "report.json").read_text())
    assert report["status"] == "look"
    assert "unexplained" in [remark["code"] for remark in report["remarks"]]


@pytest.mark.skipif(
    not any(path.stem == "fisp" for path in shipped_files("models")), reason="no shipped FISP model"
)
def test_the_papers_anatomical_maps_come_back_better_than_from_dictionary_matching(
    data_dir: Path, tmp_path: Path
) -> None:
    maps = np.load(data_dir / "brain_maps" / "hydra_anatomical_128.npz")
    np.savez(tmp_path / "reference.npz", T1_ms=maps["T1_ms"], T2_ms=maps["T2_ms"])
    works(
        "simulate",
        "--seq",
        "fisp",
        "--phantom",
        tmp_path / "reference.npz",
        "-o",
        tmp_path / "scan.nii",
    )
    works("quantify", tmp_path / "scan.nii", "-o", tmp_path / "maps")
    works(
        "evaluate", "maps", tmp_path / "maps", tmp_path / "reference.npz", "-o", tmp_path / "errors"
    )
    scores = json.loads((tmp_path / "errors" / "errors.json").read_text())
    errors = {x["parameter"]: x for x in scores if x["region"] == "all"}
    assert errors["t1"]["n_tissue"] == 7499 - 139
    assert np.mean([errors[key]["log10_mse_tissue"] for key in ("t1", "t2")]) < 0.0017
