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
