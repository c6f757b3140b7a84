"""A scan whose header contradicts the sequence is refused, or quantified with that on record."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from front_door import load, refuses, works

GRID = ("--t1-ms", "300:1800:log12", "--t2-ms", "20:150:log12")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def scan(shelf: Path, tmp_path: Path) -> Path:
    """A scan whose sidecar says nothing."""
    return Path(shutil.copy(shelf / "brain.nii.gz", tmp_path / "scan.nii.gz"))


def say(scan: Path, **facts: object) -> None:
    Path("scan.json").write_text(json.dumps(facts))


def test_quantify_and_match_refuse_another_tr(scan: Path, shelf: Path, model: Path) -> None:
    say(scan, RepetitionTime=0.013)
    says = ("RepetitionTime is 13 ms, the sequence has TR 12 ms", "allow tr", "see --allow")
    refuses(4, "quantify", scan, "--model", model, says=says)
    refuses(4, "match", scan, "--seq", shelf / "short.yaml", *GRID, says=says)
    assert not Path("maps").exists()


def test_every_contradiction_is_named_at_once(scan: Path, model: Path) -> None:
    say(scan, RepetitionTime=12, EchoTime=0.005, InversionTime=0.5, FlipAngle=120)
    says = ("milliseconds taken for seconds?", "TE 3 ms", "TI 20 ms", "120 deg")
    says += ("allow tr and te and ti and flip-angle",)
    refuses(4, "quantify", scan, "--model", model, says=says)


@pytest.mark.slow
def test_what_is_allowed_is_recorded_in_every_output(scan: Path, model: Path) -> None:
    say(scan, RepetitionTime=0.013)
    done = works("quantify", scan, "--model", model, "--allow", "tr")
    sentence = "allowed (tr): RepetitionTime is 13 ms"
    assert sentence in done.err
    assert sentence in Path("maps/report.json").read_text()
    assert sentence in Path("maps/report.html").read_text()
    for sidecar in ("T1map", "T2sd", "flags"):
        facts = json.loads(Path(f"maps/{sidecar}.json").read_text())["mrftool"]
        assert facts["allowed"][0].startswith(sentence)


def test_only_what_is_named_is_allowed(scan: Path, model: Path) -> None:
    say(scan, RepetitionTime=0.013, EchoTime=0.005)
    refuses(4, "quantify", scan, "--model", model, "--allow", "tr", says=("EchoTime is 5 ms",))
    refuses(
        2, "quantify", scan, "--model", model, "--allow", "all", says=("all cannot be allowed",)
    )


@pytest.mark.slow
def test_the_time_between_frames_is_heard(scan: Path, model: Path) -> None:
    image = nibabel.load(scan)
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 13
    nibabel.save(image, "timed.nii")
    refuses(4, "quantify", "timed.nii", "--model", model, says=("pixdim[4]", "is 13 ms"))
    image.header["pixdim"][4] = 12
    nibabel.save(image, "timed.nii")
    works("quantify", "timed.nii", "--model", model)


@pytest.mark.slow
def test_agreement_changes_no_map(scan: Path, model: Path) -> None:
    works("quantify", scan, "--model", model, "-o", "silent")
    say(scan, RepetitionTime=0.012, EchoTime=0.003, FlipAngle=60, MagneticFieldStrength=3)
    works("quantify", scan, "--model", model, "-o", "told")
    np.testing.assert_array_equal(
        load(Path("silent/T1map.nii.gz")), load(Path("told/T1map.nii.gz"))
    )


def test_an_implausible_diffusion_coefficient_is_refused(shelf: Path) -> None:
    says = ("--adc 0.0007", "mm2/s taken for m2/s?")
    seq = shelf / "short.yaml"
    refuses(2, "simulate", "--seq", seq, "--phantom", "brain", "--adc", 0.7e-3, says=says)
    refuses(2, "export", "--seq", seq, "--encoder", "none", "--adc", 0.7e-3, says=says)


@pytest.mark.slow
def test_maps_of_a_scan_that_names_no_sequence_say_what_was_assumed(
    scan: Path, shelf: Path, model: Path
) -> None:
    works("quantify", scan, "--model", model)
    works("quantify", shelf / "brain.nii.gz", "--model", model, "-o", "named")
    facts = [
        json.loads(Path(f"{folder}/T2map.json").read_text())["mrftool"]
        for folder in ("maps", "named")
    ]
    assert facts[0]["assumed"] == ["the scan does not name its sequence; assumed to be short"]
    assert "assumed" not in facts[1]
