"""RR intervals of a scan at the command line: each command that takes them uses them."""

import json
from pathlib import Path

import numpy as np
import pytest
from front_door import command, works

from mrftool.formats.npz.dictionary import load_dictionary
from mrftool.formats.sequence.yaml_file import read_sequence

HEART = """\
mrftool_sequence: 2
name: heart
flip_angle_deg: {rule: lobes, peaks: [25], lengths: [20]}
tr_ms: 6
te_ms: 1.5
rr_ms: 900
events:
  - wait_until_trigger: {}
  - invert: {time_ms: 20}
  - pulses: {}
  - wait_until_trigger: {}
  - t2prep: {te_ms: 50}
  - pulses: {}
"""
GRID = ("--t1-ms", "500:250:1500", "--t2-ms", "40:20:100")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRFTOOL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "heart.yaml").write_text(HEART)
    (tmp_path / "rr.txt").write_text("1100\n")
    return tmp_path


def test_a_sequence_is_exported_as_it_was_played() -> None:
    works("sequence", "export", "heart.yaml", "--rr", "rr.txt", "-o", "played.yaml")
    works("sequence", "export", "heart.yaml", "--rr", 1100, "-o", "played.csv")
    works("sequence", "import", "played.csv", "-o", "again.yaml")
    expected = read_sequence("heart.yaml", rr=np.array([1.1]))
    assert read_sequence("played.yaml") == read_sequence("again.yaml") == expected


def test_the_dictionary_is_that_of_the_rhythm() -> None:
    for name, rr in (("given", ("--rr", 1100)), ("default", ())):
        works("simulate", "--seq", "heart.yaml", *rr, *GRID, "-o", f"{name}.npz")
    one = load_dictionary(Path("given.npz")).fingerprints
    other = load_dictionary(Path("default.npz")).fingerprints
    assert one.sequence_id == read_sequence("heart.yaml", rr=np.array([1.1])).sequence_id
    assert np.abs(one.signal - other.signal).max() > 0.01


def test_a_scan_is_matched_with_its_rhythm() -> None:
    rhythm = ("--seq", "heart.yaml", "--rr", "rr.txt")
    works("simulate", *rhythm, "--phantom", "vials", "--matrix", 12, "-o", "scan.nii")
    works("match", "scan.nii", *rhythm, *GRID, "-o", "maps")
    assert json.loads(Path("maps/report.json").read_text())["options"]["rr"] == "rr.txt"
    assert command("match", "scan.nii", "--seq", "heart.yaml", *GRID, "-o", "other").code == 4


def test_the_basis_is_that_of_the_rhythm() -> None:
    for name, rr in (("given", ("--rr", 1100)), ("default", ())):
        works("export", "--seq", "heart.yaml", *rr, "--basis", f"{name}.npy")
    assert np.abs(np.load("given.npy") - np.load("default.npy")).max() > 1e-3


@pytest.mark.slow
def test_show_describes_the_rhythm() -> None:
    shown = works("sequence", "show", "heart.yaml", "--rr", 1100, "-o", "heart.png").out
    assert read_sequence("heart.yaml", rr=np.array([1.1])).sequence_id in shown


def test_heartbeats_of_a_sequence_that_waits_for_none_are_refused() -> None:
    refused = command("sequence", "export", "fisp", "--rr", 900, "-o", "x.yaml")
    assert refused.code == 3
    assert "RR intervals are given, but nothing waits for a trigger" in refused.err
    assert "the heartbeats are those of 900" in refused.err


def test_events_of_a_table_admit_no_train_besides() -> None:
    works("sequence", "export", "heart.yaml", "-o", "heart.csv")
    refused = command("sequence", "import", "heart.csv", "--repeats", 2, "-o", "x.yaml")
    assert refused.code == 3
    assert "the file lists its events, expected no inversion, repeats" in refused.err
