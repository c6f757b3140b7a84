"""A model for the heartbeats of one scan: made, verified, kept in the cache, and used."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from front_door import command, works

import mrftool.workflows.steps.sequence_model as sequence_model
from mrftool.environment.reporter import SilentReporter
from mrftool.environment.shipped import find_file
from mrftool.formats.sequence.heartbeats import read_with_heartbeats
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.session import Model, run
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.steps.mean_rhythm import bias
from mrftool.workflows.steps.sequence_model import ModelSettings, model_of_sequence

COMPLEX = ModelSettings("complex")
HEART = """\
mrftool_sequence: 2
name: heart
flip_angle_deg: {rule: lobes, peaks: [25], lengths: [40]}
tr_ms: 6
te_ms: 1.5
rr_ms: 900
events:
  - wait_until_trigger: {}
  - invert: {time_ms: 20}
  - pulses: {}
  - repeat:
      times: 3
      events:
        - wait_until_trigger: {}
        - t2prep: {te_ms: 50}
        - pulses: {}
"""
RR = "1100\n900\n700\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sequence and its heartbeats, and a cache of its own."""
    monkeypatch.setenv("MRFTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heart.yaml").write_text(HEART)
    (tmp_path / "rr.txt").write_text(RR)
    return tmp_path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[PulseSequence]:
    """Sequences that a model was made for; all get a stand-in, which is quickly written."""
    calls: list[PulseSequence] = []
    model = sequence_model.load_model(find_file("models", "fisp", ".onnx"))

    def make(sequence: PulseSequence, settings: ModelSettings) -> Model:
        calls.append(sequence)
        return model

    monkeypatch.setattr(sequence_model, "_made", make)
    return calls


def save_scan(folder: Path, frames: int) -> None:
    image = nibabel.Nifti1Image(np.ones((2, 2, 1, frames), np.complex64), np.eye(4))
    nibabel.save(image, folder / "scan.nii")


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "models").glob("*"))


@pytest.mark.slow
def test_a_scan_is_quantified_with_its_own_heartbeats(folder: Path) -> None:
    rhythm = ("--seq", "heart.yaml", "--rr", "rr.txt")
    works("simulate", *rhythm, "--phantom", "brain", "--matrix", 24, "-o", "scan.nii")
    said = works("quantify", "scan.nii", *rhythm, "-o", "maps").err
    assert "RR intervals of 700 to 1100 ms" in said
    assert "of 900 ms for all would change T1 of myocardium by" in said
    truth = nibabel.load(folder / "scan_truth_T2map.nii.gz").get_fdata()
    found = nibabel.load(folder / "maps" / "T2map.nii.gz").get_fdata()
    inside = (truth > 0) & (truth < 1)
    np.testing.assert_allclose(found[inside], truth[inside], rtol=0.01)
    (model,) = kept(folder)
    written = model.stat().st_ino
    works("quantify", "scan.nii", *rhythm, "-o", "maps")
    assert kept(folder) == [model]
    assert model.stat().st_ino == written

    other = command("quantify", "scan.nii", "--seq", "heart.yaml", "-o", "other")
    assert other.code == 4
    assert "before block 2 of pulses: wait (time 840), not wait (time 640)" in other.err


@pytest.mark.slow
def test_the_cost_of_a_mean_rhythm_is_that_of_its_model(folder: Path) -> None:
    played = read_with_heartbeats("heart.yaml", "rr.txt")
    mean = read_sequence("heart.yaml", rr=np.asarray(0.9))
    model = model_of_sequence(mean, COMPLEX, SilentReporter())
    found = run(model, simulate(played, Tissue([1.1], [0.045])).signal)
    changes = np.array([found["t1"][0] / 1.1 - 1, found["t2"][0] / 0.045 - 1])
    assert abs(changes).max() > 0.01
    np.testing.assert_allclose(bias(mean, played, 1.1, 0.045), changes, rtol=0.01)


def test_a_scan_of_another_length_is_refused_before_a_model_is_made(
    folder: Path, made: list[PulseSequence]
) -> None:
    save_scan(folder, 120)
    refused = command("quantify", "scan.nii", "--seq", "heart.yaml", "--rr", "rr.txt")
    assert (refused.code, made) == (4, [])
    assert "120 frames, expected 160 as sequence heart acquires" in refused.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rr", "rr.txt"), "--rr goes with --seq"),
        (("--seq", "heart.yaml", "--model", "fisp"), "--model and --seq both name a sequence"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    folder: Path, options: tuple[str, ...], words: str
) -> None:
    save_scan(folder, 160)
    refused = command("quantify", "scan.nii", *options)
    assert refused.code == 2
    assert words in refused.err


def test_a_model_of_another_sequence_under_the_same_name_is_not_used(
    folder: Path, made: list[PulseSequence]
) -> None:
    """The stand-in is that of fisp, so the heart's model is made each time, and fisp's once."""
    heart, fisp = read_sequence("heart.yaml"), read_sequence("fisp")
    for sequence in (heart, heart, fisp, fisp):
        model_of_sequence(sequence, COMPLEX, SilentReporter())
    assert made == [heart, heart, fisp]
    model_of_sequence(fisp, ModelSettings("magnitude"), SilentReporter())
    assert len(made) == 4
    for path in kept(folder):
        path.write_bytes(path.read_bytes()[:1000])
    model_of_sequence(fisp, COMPLEX, SilentReporter())
    assert len(made) == 5


def test_the_cache_keeps_the_models_of_most_recent_use(
    folder: Path, made: list[PulseSequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence_model, "_KEPT", 2)
    for rr in (0.8, 0.9, 1.0):
        model_of_sequence(read_sequence("heart.yaml", rr=np.asarray(rr)), COMPLEX, SilentReporter())
    assert len(kept(folder)) == 2


def test_a_cache_that_cannot_be_written_is_told_and_no_reason_to_fail(
    folder: Path, made: list[PulseSequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("MRFTOOL_CACHE", str(folder / "file"))
    reporter = SilentReporter()
    model_of_sequence(read_sequence("heart.yaml"), COMPLEX, reporter)
    assert len(made) == 1
    assert "is not kept" in reporter.notes[0]


def test_ranges_of_b1_end_at_tenths_around_the_map() -> None:
    from mrftool.scan.series import series_from_array

    series = series_from_array(np.ones((2, 1, 1, 8), np.complex64))
    b1 = np.array([0.83, 1.12], np.float32)
    assert sequence_model.settings_for(series, {}).b1_range is None
    assert sequence_model.settings_for(series, {"b1": b1}).b1_range == (0.8, 1.2)
    assert sequence_model.settings_for(series, {"b1": b1[:1] * 0 + 1}).b1_range == (1.0, 1.1)
