"""`--skip` through the front door: frames that are left out of a fit."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from front_door import load, refuses, save, works

from mrftool.exporting.make import make_model
from mrftool.inference.assessment.sample import sample_residuals
from mrftool.inference.quantify import quantify
from mrftool.inference.session import Model
from mrftool.maps import Maps
from mrftool.physics.cramer_rao import cramer_rao
from mrftool.physics.noise import add_noise, level_of
from mrftool.physics.simulate import simulate
from mrftool.scan.frames import without_frames
from mrftool.scan.series import series_from_array
from mrftool.sequence import PulseSequence
from mrftool.sequence.echoes import without_echoes
from mrftool.tissue import Tissue

LOST = (0, 17, 18, 19, 33)
OPTION = ("--skip", "1,18-20,34")


@pytest.fixture
def spoilt(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The noise-free scan with frames that hold anything."""
    monkeypatch.chdir(tmp_path)
    image = load(shelf / "brain.nii.gz")
    image[..., list(LOST)] = np.random.default_rng(0).normal(size=len(LOST)) * abs(image).max()
    path = save(tmp_path / "spoilt.nii", image, nib.load(shelf / "brain.nii.gz").affine)
    path.with_suffix(".json").write_text((shelf / "brain.json").read_text())
    return path


@pytest.mark.slow
@pytest.mark.parametrize("command", ["quantify", "match"])
def test_frames_that_are_left_out_change_nothing_and_are_named(
    command: str, spoilt: Path, shelf: Path, model: Path
) -> None:
    method: tuple[Any, ...] = ("--model", model)
    if command == "match":
        grid = ("--t1-ms", "200:4000:log40", "--t2-ms", "20:1500:log40")
        method = ("--seq", shelf / "short.yaml", *grid)
    said = works(command, spoilt, *method, *OPTION, "-o", "maps")
    assert "left out: frames 1, 18 to 20 and 34 of 40" in said.err
    truth, found = load(shelf / "brain_truth_T1map.nii.gz"), load(Path("maps/T1map.nii.gz"))
    inside = truth > 0
    worst = {"quantify": 0.01, "match": 0.25}[command]
    assert abs(np.log(found[inside] / truth[inside])).max() < worst
    sidecar = json.loads(Path("maps/T1map.json").read_text())
    assert sidecar["mrftool"]["skipped_frames"] == [1, 18, 19, 20, 34]
    report = json.loads(Path("maps/report.json").read_text())
    assert report["options"]["skip"] == "1,18,19,20,34"
    works("evaluate", "maps", "maps", shelf / "brain.nii.gz")


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        ("0,3", 2, "counted from 1"),
        ("3,x", 2, "'x'"),
        ("9-3", 2, "the first frame before the last"),
        ("41", 4, "no frame 41"),
        ("1-40", 4, "all frames are left out"),
    ],
)
def test_frames_that_cannot_be_left_out_are_refused(
    value: str, code: int, words: str, spoilt: Path, model: Path
) -> None:
    refuses(code, "quantify", spoilt, "--model", model, "--skip", value, says=(words,))


def test_pulses_without_echoes_are_played_all_the_same(short_sequence: PulseSequence) -> None:
    tissue = Tissue(np.array([0.8, 1.4]), np.array([0.07, 0.2]))
    kept = np.setdiff1d(np.arange(40), LOST)
    left = without_echoes(short_sequence, LOST)
    whole = simulate(short_sequence, tissue).signal
    np.testing.assert_allclose(simulate(left, tissue).signal, whole[:, kept], atol=1e-6)
    assert left.duration == pytest.approx(short_sequence.duration)
    assert without_echoes(short_sequence, ()).sequence_id == short_sequence.sequence_id


@pytest.mark.slow
@pytest.mark.parametrize("form", ["complex", "magnitude"])
def test_noise_and_error_bars_are_those_of_the_frames_that_are_left(
    form: Any, short_sequence: PulseSequence
) -> None:
    random, skipped = np.random.default_rng(1), (*range(8), 20, 21)
    tissue = Tissue(np.full(1500, 1.0), np.full(1500, 0.1))
    signal = simulate(short_sequence, tissue).signal
    noisy: Any = add_noise(signal, level_of(signal) / 60, random)
    if form == "magnitude":
        noisy = abs(noisy)
    noisy[:, list(skipped)] = 10
    left = without_echoes(short_sequence, skipped)
    proto, facts = make_model(left, form=form, check=False)
    model = Model(Path("left.onnx"), facts, proto.SerializeToString())
    series = series_from_array(noisy.reshape(1500, 1, 1, 40))
    series = without_frames(series, skipped, left.sequence_id)
    maps: Maps = quantify(series, model)
    noise = level_of(signal[:1]) / 60
    bound = cramer_rao(left, tissue[np.array([0])], noise_sd=noise, form=form)
    assert np.std(maps.t1) == pytest.approx(bound.sd_t1[0], rel=0.08)
    assert np.median(maps.extra["sd_t1"]) == pytest.approx(bound.sd_t1[0], rel=0.08)
    assert np.median(maps.extra["sd_t2"]) == pytest.approx(bound.sd_t2[0], rel=0.08)
    sample = sample_residuals(series, maps, left)
    assert sample is not None
    assert np.median(sample.noise_sd) == pytest.approx(noise[0], rel=0.05)


def test_faults_of_other_frames_keep_their_numbers(short_sequence: PulseSequence) -> None:
    from mrftool.inference.assessment.frames import FrameFault

    left = np.setdiff1d(np.arange(40), LOST)
    assert FrameFault("lost", (0, 16)).numbered(left).frames == (1, 20)
    assert FrameFault("lost", (0, 16)).numbered(None).frames == (0, 16)
