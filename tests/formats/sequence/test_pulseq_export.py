"""Pulseq files that are exported: read back by pypulseq, and by our own import."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from front_door import command, works
from pulseq_factory import pp

from mrftool.errors import InputError
from mrftool.formats.sequence.importing import import_sequence
from mrftool.formats.sequence.pulseq.writing.scanner import Scanner
from mrftool.formats.sequence.pulseq.writing.write import write_pulseq
from mrftool.formats.sequence.sources import Given
from mrftool.formats.sequence.write import yaml_text
from mrftool.formats.sequence.yaml_file import parse_sequence, read_sequence
from mrftool.physics.rf.pulse import Pulse, rotation
from mrftool.physics.rf.slice_rotations import spinors
from mrftool.physics.simulate import simulate
from mrftool.sequence import (
    HardPulse,
    Inversion,
    Invert,
    Pulses,
    PulseSequence,
    SelectivePulse,
    T2Prep,
    Train,
    Wait,
)
from mrftool.sequence.timeline import timeline, trigger_times
from mrftool.tissue import Tissue

FLIPS = np.deg2rad([10.0, 30.0, 0.0, 60.0, 45.0, 20.0])
PHASES = np.deg2rad([0.0, 117.0, 351.0, 342.0, 90.0, 0.0])
TR = np.array([12.0, 11.0, 12.5, 13.0, 12.0, 12.0]) * 1e-3
TE = np.array([3.0, 2.0, 2.5, 2.2, 3.0, 3.0]) * 1e-3


def train(**options: Any) -> PulseSequence:
    events = Train(Inversion(0.95, 0.021)).events
    numbers = {"tr": TR, "te": TE, "events": events, "name": "train", **options}
    return PulseSequence(FLIPS, PHASES, **numbers)


def read_by_pypulseq(path: Path) -> Any:
    sequence = pp.Sequence()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sequence.read(str(path))
    return sequence


@pytest.mark.parametrize("spoiling", ["gradient", "none"])
def test_our_import_finds_the_same_train(spoiling: str, tmp_path: Path) -> None:
    sequence, path = train(spoiling=spoiling), tmp_path / "train.seq"
    assert write_pulseq(sequence, path) == []
    found = import_sequence(path).sequence
    assert found.spoiling == spoiling
    assert found.train is not None and found.train.inversion is not None
    assert found.train.inversion.efficiency == pytest.approx(0.95, abs=1e-5)
    assert found.train.inversion.time == pytest.approx(0.021, abs=1e-9)
    np.testing.assert_allclose(found.flip_angle, FLIPS, atol=1e-5)
    turned = np.exp(1j * (found.rf_phase - PHASES))
    np.testing.assert_allclose(turned, 1, atol=1e-4)
    np.testing.assert_allclose(found.tr, TR, atol=1e-9)
    np.testing.assert_allclose(found.te, TE, atol=1e-9)


def test_pypulseq_reads_pulses_and_samples_at_their_times(tmp_path: Path) -> None:
    path = tmp_path / "train.seq"
    write_pulseq(train(), path)
    sequence = read_by_pypulseq(path)
    assert sequence.check_timing()[0]
    time, centres, first_samples = 0.0, [], []
    for number in sequence.block_events:
        block = sequence.get_block(number)
        if block.rf is not None:
            centres.append(time + block.rf.delay + block.rf.shape_dur / 2)
        if block.adc is not None:
            first_samples.append(time + block.adc.delay + block.adc.dwell / 2)
        time += sequence.block_durations[number]
    np.testing.assert_allclose(np.diff(centres), [0.021, *TR[:-1]], atol=1e-9)
    np.testing.assert_allclose(np.array(first_samples) - centres[1:], TE, atol=1e-9)
    assert time == pytest.approx(centres[-1] + TR[-1], abs=2e-3)


def test_the_limits_of_the_scanner_hold(tmp_path: Path) -> None:
    path = tmp_path / "train.seq"
    scanner = Scanner(0.02, 50.0, 15e-6, readout_duration=1e-3)
    write_pulseq(train(), path, scanner)
    sequence = read_by_pypulseq(path)
    blocks = [sequence.get_block(number) for number in sequence.block_events]
    gamma = 42.576e6
    gradients = [g for b in blocks for g in (b.gx, b.gy, b.gz) if g is not None]
    assert max(abs(g.amplitude) for g in gradients) <= 0.0201 * gamma
    assert max(abs(g.amplitude) / g.rise_time for g in gradients) <= 50.5 * gamma
    largest = max(abs(b.rf.signal).max() for b in blocks if b.rf is not None)
    assert 5e-6 * gamma < largest <= 15.01e-6 * gamma


@pytest.mark.parametrize(
    ("sequence", "scanner", "expected"),
    [
        (train(te=0.2e-3), Scanner(), "pulse 0: TE 0.2 ms is too short to be played, expected"),
        (train(), Scanner(pulse_duration=4e-3), "pulse 1: TE 2 ms is too short"),
        (train(tr=4e-3), Scanner(), "pulse 0: TR 4 ms, or the time to the next event, is too"),
        (
            train(events=Train(Inversion(1.0, 1e-3)).events),
            Scanner(),
            "inversion: its crusher needs 1.82 ms to be played",
        ),
        (train(), Scanner(max_gradient=2e-3), "inversion: its crusher needs 23.51 ms to be played"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(
    sequence: PulseSequence, scanner: Scanner, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        write_pulseq(sequence, tmp_path / "train.seq", scanner)
    assert str(caught.value).startswith(f"train: {expected}")
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_times_off_the_raster_are_told(tmp_path: Path) -> None:
    path = tmp_path / "train.seq"
    notes = write_pulseq(train(tr=TR + 3.3e-6), path)
    assert any("onto the raster" in note for note in notes)
    found = import_sequence(path).sequence
    shift = np.cumsum(found.tr[:-1]) - np.cumsum(TR[:-1] + 3.3e-6)
    assert 1e-6 < np.abs(shift).max() <= 10e-6


PREPARED = """\
mrftool_sequence: 2
name: prepared
flip_angle_deg: {rule: lobes, peaks: [25, 60], lengths: [20, 20], minimum: 5}
rf_phase_deg: {rule: quadratic, increment: 50}
tr_ms: 10
te_ms: 2
rr_ms: [600, 700]
events:
  - wait_until_trigger: {}
  - wait: {ms: 1}
  - pulses: {flip_angle_deg: 5, rf_phase_deg: 0, repetitions: 10, acquire: false}
  - invert: {efficiency: 0.95, time_ms: 21}
  - pulses: {count: 20}
  - wait_until_trigger: {}
  - wait: {ms: 1}
  - saturate: {efficiency: 0.9, time_ms: 10}
  - t2prep: {te_ms: 40, refocusing: 2}
  - wait: {ms: 5}
  - pulses: {first: 20}
  - wait: {ms: 100}
  - pulses: {count: 10}
  - wait_until_trigger: {}
  - wait: {ms: 20}
  - pulses: {count: 10}
"""


def test_our_import_finds_the_same_events(tmp_path: Path) -> None:
    sequence, path = parse_sequence(PREPARED), tmp_path / "prepared.seq"
    assert write_pulseq(sequence, path) == []
    found = import_sequence(path, Given(rr=np.array([0.6, 0.7]))).sequence
    kinds = [type(event) for event in sequence.program]
    assert [type(event) for event in found.program] == kinds
    for one, other in zip(timeline(found).blocks, timeline(sequence).blocks, strict=True):
        assert one.event.acquire == other.event.acquire
        np.testing.assert_allclose(one.centres, other.centres, atol=1e-8)
    tissue = Tissue([1.1, 0.3], [0.08, 0.05])
    np.testing.assert_allclose(
        np.abs(simulate(found, tissue).signal), np.abs(simulate(sequence, tissue).signal), atol=2e-5
    )
    again = parse_sequence(yaml_text(found))
    assert again == found and trigger_times(again) == pytest.approx([0.0, 0.6, 1.3])


def test_a_cardiac_sequence_makes_room_for_its_crushers(tmp_path: Path) -> None:
    path = tmp_path / "heart.seq"
    notes = write_pulseq(read_sequence("cmrf15"), path)
    assert any("to make room for their crushers" in note for note in notes)
    found = import_sequence(path, Given(rr=np.asarray(1.0))).sequence
    assert len(found) == 705
    assert [type(event) for event in found.events].count(T2Prep) == 9
    assert [type(event) for event in found.events].count(Invert) == 3


def test_the_command_line_exports_within_limits_and_imports_again(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text(yaml_text(train()))
    path = tmp_path / "train.seq"
    works("sequence", "export", tmp_path / "train.yaml", "--pulse-ms", 1, "-o", path)
    works("sequence", "import", path, "-o", tmp_path / "again.yaml")
    again = read_sequence(tmp_path / "again.yaml")
    np.testing.assert_allclose(again.te, TE, atol=1e-9)
    refused = command("sequence", "export", tmp_path / "train.yaml", "--pulse-ms", 4, "-o", path)
    assert refused.code == 3 and "pulse 1: TE 2 ms is too short" in refused.err
    useless = command(
        "sequence", "export", tmp_path / "train.yaml", "--pulse-ms", 1, "-o", tmp_path / "t.csv"
    )
    assert useless.code == 2 and "limits of a scanner are for Pulseq files" in useless.err


def test_a_pulse_without_crusher_is_played_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "train.seq"
    write_pulseq(train(events=[HardPulse(np.pi), Wait(0.005), Pulses()]), path)
    blocks = [read_by_pypulseq(path).get_block(number + 1) for number in range(3)]
    assert blocks[0].rf is not None and all(block.gz is None for block in blocks[:2])
    assert import_sequence(path).sequence.train is not None


HANN_SINC = SelectivePulse("sinc", 4.0, 2e-3, "hann", thickness=5e-3)


@pytest.mark.parametrize("spoiling", ["gradient", "none"])
def test_a_selective_pulse_is_played_by_name(spoiling: str, tmp_path: Path) -> None:
    sequence = train(spoiling=spoiling, slice_profile=HANN_SINC, tr=TR + 2e-3, te=TE + 1e-3)
    path = tmp_path / "train.seq"
    assert write_pulseq(sequence, path) == []
    found = import_sequence(path, Given(slice_positions=20)).sequence
    assert found.spoiling == spoiling
    np.testing.assert_allclose(found.flip_angle, FLIPS, atol=1e-5)
    np.testing.assert_allclose(np.exp(1j * (found.rf_phase - PHASES)), 1, atol=1e-4)
    np.testing.assert_allclose(found.tr, sequence.tr, atol=1e-9)
    np.testing.assert_allclose(found.te, sequence.te, atol=1e-9)
    assert found.slice_profile is not None


@pytest.mark.parametrize("rephasing", [1.0, 0.9])
@pytest.mark.parametrize("shape", ["sinc", "gauss"])
def test_the_file_turns_each_position_as_the_engine_does(
    shape: Any, rephasing: float, tmp_path: Path
) -> None:
    pulse = SelectivePulse(shape, 4.0, 2e-3, rephasing=rephasing, thickness=5e-3)
    sequence = train(slice_profile=pulse, tr=TR + 2e-3, te=TE + 1e-3)
    path = tmp_path / "train.seq"
    write_pulseq(sequence, path)
    played = read_by_pypulseq(path)
    blocks = {number: played.get_block(number) for number in played.block_events}
    number = next(n for n, each in blocks.items() if each.gz is not None and each.rf is not None)
    block, after = blocks[number], blocks[number + 1]
    places = np.linspace(-1.5, 1.5, 13)
    waveform = Pulse(block.rf.signal.astype(complex), np.full(len(block.rf.signal), 1e-6))
    alpha, beta = rotation(waveform, places * 5e-3 * block.gz.amplitude)
    moment = block.gz.amplitude * block.gz.fall_time / 2 + after.gz.area
    left = 2 * np.conj(alpha) * beta * np.exp(2j * np.pi * moment * places * 5e-3)
    expected_alpha, expected_beta = spinors(pulse, FLIPS[:1], places)
    expected = 2 * np.conj(expected_alpha[0]) * expected_beta[0]
    np.testing.assert_allclose(left, expected, atol=2e-5)


def test_what_a_slice_needs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.seq"
    for pulse, says in (
        (replace(HANN_SINC, thickness=None), "without thickness, expected thickness_mm"),
        (replace(HANN_SINC, thickness=1e-5), "its slice cannot be played"),
        (replace(HANN_SINC, duration=0.5e-3, thickness=20e-3), "a longer pulse needs less"),
    ):
        sequence = train(slice_profile=pulse, tr=TR + 2e-3, te=TE + 1e-3)
        with pytest.raises(InputError, match=says):
            write_pulseq(sequence, path, Scanner(max_b1=10e-6))
