"""Times in seconds under a key in milliseconds, and angles in radians under one in degrees."""

import json
from pathlib import Path

import pytest
from front_door import command, works

from mrftool.environment.shipped import shipped_files
from mrftool.errors import InputError
from mrftool.formats.sequence.doubts import sequence_doubts
from mrftool.formats.sequence.yaml_file import parse_sequence, read_sequence

SOUND = {"flip_angle_deg": "[10, 60]", "tr_ms": "12", "te_ms": "2.5"}


def text(**changes: str) -> str:
    keys = {**SOUND, **changes}
    lines = [f"{key}: {value}\n" for key, value in keys.items()]
    return "mrftool_sequence: 1\nname: x\n" + "".join(lines)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tr_ms": "0.012", "te_ms": "0.0025"}, "the longest TR is 0.012 ms, are the times"),
        ({"tr_ms": "12000", "te_ms": "2.5"}, "are the times in microseconds?"),
        ({"te_ms": "0.0025"}, "the longest TE is 0.0025 ms"),
        ({"inversion": "{time_ms: 0.02}"}, "the inversion time is 0.02 ms, are the times"),
        ({"flip_angle_deg": "[0.17, 1.05]"}, "the largest flip angle is 1.05 deg, are the angles"),
    ],
)
def test_numbers_in_another_unit_raise_a_doubt(changes: dict[str, str], words: str) -> None:
    assert any(words in doubt for doubt in sequence_doubts(parse_sequence(text(**changes))))


def test_usual_sequences_raise_none() -> None:
    assert sequence_doubts(parse_sequence(text())) == []
    for path in shipped_files("sequences"):
        if path.suffix == ".yaml":
            assert sequence_doubts(read_sequence(path)) == []


def test_check_and_import_tell_the_doubt(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(text(tr_ms="0.012", te_ms="0.0025"))
    outcome = command("sequence", "check", tmp_path / "s.yaml")
    assert outcome.code == 5 and "are the times in seconds?" in outcome.err
    assert "s.yaml: look, 2 repetitions" in outcome.out
    (tmp_path / "t.csv").write_text("flip_deg,tr_ms,te_ms\n10,0.012,0.0025\n20,0.012,0.0025\n")
    given = ("--rf-phase-deg", 0, "--spoiling", "gradient", "--no-inversion")
    outcome = works("sequence", "import", tmp_path / "t.csv", "-o", tmp_path / "t.yaml", *given)
    assert "are the times in seconds?" in outcome.err


UNITS = {
    "seconds": {"tr_ms": "0.012", "te_ms": "0.0025"},
    "radians": {"flip_angle_deg": "{rule: lobes, peaks: [0.6, 1.05], lengths: [20, 20]}"},
}


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_every_door_tells_the_doubt(tmp_path: Path, unit: str) -> None:
    """Of numbers in another unit: simulate and export tell, and no map of them is called good."""
    lobes = {"flip_angle_deg": "{rule: lobes, peaks: [35, 60], lengths: [20, 20]}"}
    file, scan = tmp_path / "s.yaml", tmp_path / "s.nii"
    file.write_text(text(**{**lobes, **UNITS[unit]}))
    words = f"are the {'times' if unit == 'seconds' else 'angles'} in {unit}?"
    size = ("--phantom", "brain", "--matrix", 16, "--snr", 50)
    assert words in works("simulate", "--seq", file, *size, "-o", scan).err
    model = tmp_path / "s.onnx"
    made = ("--encoder", "none", "--allow-inaccurate", "-o", model)
    assert words in works("export", "--seq", file, *made).err
    assert words in works("quantify", scan, "--model", model, "-o", tmp_path / "maps").err
    report = json.loads((tmp_path / "maps" / "report.json").read_text())
    assert report["status"] == "look" and report["remarks"][0]["code"] == "sequence_implausible"


def test_te_beyond_tr_is_found_beside_other_faults() -> None:
    bad = text(flip_angle_deg="many", tr_ms="2", te_ms="12")
    with pytest.raises(InputError) as caught:
        parse_sequence(bad)
    assert "flip_angle_deg" in str(caught.value) and "TE 12 ms is outside TR 2 ms" in str(
        caught.value
    )
