"""Training, adaptation, trials and matching of every kind of event sequence."""

from pathlib import Path

import pytest
from front_door import works

from mrftool.formats.sequence.yaml_file import read_sequence

HEAD = """\
mrftool_sequence: 2
name: events
flip_angle_deg: {rule: lobes, peaks: [40, 60], lengths: [30, 30], minimum: 5}
tr_ms: 10
"""
SEQUENCES = {
    "prepared": """\
te_ms: 2
events:
  - pulses: {flip_angle_deg: 5, repetitions: 10, acquire: false}
  - invert: {efficiency: 0.95, time_ms: 20}
  - pulses: {count: 30}
  - wait: {ms: 300}
  - t2prep: {te_ms: 50, refocusing: 2}
  - pulses: {first: 30}
""",
    "binned, two echoes": """\
te_ms: [2, 6]
spoiler_cycles: {rule: cycle, values: [1, 2]}
receiver_phase_deg: {rule: quadratic, increment: 5}
events:
  - invert: {efficiency: 0.95, time_ms: 20}
  - pulses: {bin: 3}
""",
    "balanced": """\
te_ms: 5
rf_phase_deg: {rule: cycle, values: [0, 180]}
spoiling: none
events:
  - invert: {efficiency: 0.95, time_ms: 20}
  - pulses: {count: 30}
  - t2prep: {te_ms: 50}
  - pulses: {first: 30}
""",
}
DECODERS = ("bloch", "table", "fc", "rnn", "none")


@pytest.fixture(params=SEQUENCES)
def sequence(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "events.yaml"
    path.write_text(HEAD + SEQUENCES[request.param])
    return path


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_decoder_trains(decoder: str, sequence: Path, tmp_path: Path) -> None:
    options = ("--steps", 1, "--batch", 16, "--decoder", decoder, "-o", tmp_path / "run")
    works("train", "--seq", sequence, *options)
    assert (tmp_path / "run/last.safetensors").is_file()


@pytest.mark.slow
def test_a_run_is_exported_tried_and_its_model_adapted(sequence: Path, tmp_path: Path) -> None:
    run, model, scan = tmp_path / "run", tmp_path / "m.onnx", tmp_path / "scan.nii"
    works("train", "--seq", sequence, "--steps", 1, "--batch", 16, "-o", run)
    works("export", run, "-o", model, "--allow-inaccurate")
    works("evaluate", "model", model, "-n", 20, "--snr", 20, "-o", tmp_path / "trials")
    adapted = tmp_path / "adapted.onnx"
    options = ("--steps", 1, "--allow-inaccurate", "-o", adapted)
    told = works("adapt", "fisp", "--seq", sequence, *options).err
    assert ("has several echoes" in told) == (read_sequence(sequence).later_echoes.size > 0)
    works("sequence", "show", sequence, "-o", tmp_path / "show.png")
    works("simulate", "--seq", sequence, "--phantom", "vials", "--matrix", 8, "-o", scan)
    works("match", scan, "--seq", sequence, "-o", tmp_path / "matched")
    works("quantify", scan, "--model", adapted, "-o", tmp_path / "maps")
