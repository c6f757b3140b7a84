"""Every shipped sequence: a dictionary, a model, and a phantom that comes back."""

import json
from pathlib import Path

import pytest
from front_door import works

from mrftool.environment.shipped import shipped_files
from mrftool.formats.npz.dictionary import load_dictionary
from mrftool.formats.sequence.yaml_file import read_sequence

SEQUENCES = [path.stem for path in shipped_files("sequences") if path.suffix == ".yaml"]


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_dictionary_of_every_shipped_sequence(name: str, tmp_path: Path) -> None:
    works(
        "simulate",
        "--seq",
        name,
        "--t1-ms",
        "300,1000",
        "--t2-ms",
        "50,100",
        "-o",
        tmp_path / "d.npz",
    )
    dictionary = load_dictionary(tmp_path / "d.npz")
    sequence = read_sequence(name)
    assert dictionary.fingerprints.signal.shape == (4, len(sequence))
    assert dictionary.fingerprints.sequence_id == sequence.sequence_id


@pytest.mark.slow
@pytest.mark.parametrize("name", SEQUENCES)
def test_the_phantom_comes_back_through_every_shipped_sequence(name: str, tmp_path: Path) -> None:
    works("export", "--seq", name, "--encoder", "none", "-o", tmp_path / "m.onnx")
    works(
        "simulate", "--seq", name, "--phantom", "brain", "--matrix", 24, "-o", tmp_path / "scan.nii"
    )
    works(
        "quantify", tmp_path / "scan.nii", "--model", tmp_path / "m.onnx", "-o", tmp_path / "maps"
    )
    works("evaluate", "maps", tmp_path / "maps", tmp_path / "scan.nii", "-o", tmp_path / "errors")
    scores = json.loads((tmp_path / "errors" / "errors.json").read_text())
    for score in (x for x in scores if x["region"] == "all"):
        assert score["n_invalid"] == 0
        assert score["error_percent"] < 1.0, score


BINNED = """\
mrftool_sequence: 2
name: binned
flip_angle_deg: {rule: lobes, peaks: [40, 60, 25], lengths: [100, 100, 100], minimum: 5}
tr_ms: 10
te_ms: 3
events:
  - invert: {efficiency: 0.95, time_ms: 20}
  - pulses: {bin: 5}
"""


@pytest.mark.slow
def test_the_phantom_comes_back_from_frames_that_average_pulses(tmp_path: Path) -> None:
    sequence, scan = tmp_path / "binned.yaml", tmp_path / "scan.nii"
    sequence.write_text(BINNED)
    works("simulate", "--seq", sequence, "--phantom", "vials", "--matrix", 24, "-o", scan)
    works("export", "--seq", sequence, "--encoder", "none", "-o", tmp_path / "m.onnx")
    works("quantify", scan, "--model", tmp_path / "m.onnx", "-o", tmp_path / "maps")
    works("evaluate", "maps", tmp_path / "maps", scan, "-o", tmp_path / "errors")
    scores = json.loads((tmp_path / "errors" / "errors.json").read_text())
    assert all(score["error_percent"] < 1.0 for score in scores if score["region"] == "all")
