"""Several echoes, receiver phases and spoiler cycles in sequence files."""

from pathlib import Path

import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.writing.write import write_pulseq
from mrftool.formats.sequence.tables.read import read_table
from mrftool.formats.sequence.write import csv_text, from_csv, yaml_text
from mrftool.formats.sequence.yaml_file import parse_sequence, sequence_summary

HEAD = """\
mrftool_sequence: 2
name: echoes
flip_angle_deg: {rule: lobes, peaks: [40], lengths: [20], minimum: 5}
tr_ms: 15
"""
FULL = (
    HEAD
    + """\
te_ms: [2, 5, 9]
receiver_phase_deg: {rule: quadratic, increment: 50}
spoiler_cycles: {rule: cycle, values: [1, 2]}
events:
  - pulses: {flip_angle_deg: 5, repetitions: 3, acquire: false}
  - pulses: {bin: 2}
"""
)


def test_a_list_of_te_that_is_no_column_is_the_echo_times_of_all_pulses() -> None:
    sequence = parse_sequence(FULL)
    np.testing.assert_allclose(sequence.later_echoes, [0.003, 0.007])
    np.testing.assert_allclose(sequence.te, 0.002)
    assert len(sequence) == 10 * 3
    np.testing.assert_allclose(sequence.observed_te[:4], [0.002, 0.005, 0.009, 0.002])
    np.testing.assert_allclose(np.rad2deg(sequence.receiver[:4]), [0, 50, 150, 300])
    assert sequence.cycles.tolist() == [1, 2] * 10 + [1] * 3
    np.testing.assert_array_equal(sequence.receiver[-3:], sequence.rf_phase[-3:])
    summary = sequence_summary(sequence)
    assert summary["TE"] == "2 ms, and echoes 3, 7 ms later"
    assert summary["spoiling"] == "gradient, 1 to 2 cycles"


def test_the_same_can_be_said_of_each_block_and_in_version_1() -> None:
    own = "{flip_angle_deg: 10, repetitions: 4, tr_ms: 15, te_ms: [2, 5]}"
    blocks = f"mrftool_sequence: 2\nname: own\nevents:\n  - pulses: {own}\n"
    first = "mrftool_sequence: 1\nname: first\nflip_angle_deg: 10\nrepetitions: 4\ntr_ms: 15\n"
    in_blocks, in_first = (
        parse_sequence(text) for text in (blocks, first + "te_ms: 2\nlater_echoes_ms: [3]\n")
    )
    assert in_blocks == in_first and len(in_first) == 8


def test_as_many_te_as_repetitions_are_a_column() -> None:
    text = HEAD.replace("[20]", "[2]") + "te_ms: [2, 5]\nevents:\n  - pulses: {}\n"
    sequence = parse_sequence(text)
    assert not sequence.later_echoes.size
    np.testing.assert_allclose(sequence.te, [0.002, 0.005])


@pytest.mark.parametrize("write", [yaml_text, csv_text])
def test_files_keep_the_identity(write: object, tmp_path: Path) -> None:
    sequence = parse_sequence(FULL)
    text = write(sequence)  # type: ignore[operator]
    if write is yaml_text:
        again = parse_sequence(text)
    else:
        path = tmp_path / "sequence.csv"
        path.write_text(text)
        again = from_csv(read_table(path), str(path))
    assert again.sequence_id == sequence.sequence_id and len(again) == len(sequence)


PULSES = "events:\n  - pulses: {}\n"
OWN = "events:\n  - pulses: {flip_angle_deg: 5, repetitions: 3, te_ms: "


@pytest.mark.parametrize(
    ("text", "line", "key", "expected"),
    [
        ("te_ms: [5, 2]\n" + PULSES, 5, "te_ms", "2 values, expected 20 as in flip_angle_deg"),
        ("te_ms: [2, 16]\n" + PULSES, 5, "te_ms", "the last echo at 16 ms is outside TR 15 ms"),
        ("te_ms: [2, 5]\n" + OWN + "[2, 6]}\n  - pulses: {}\n", 7, "te_ms", "the same for all"),
        ("te_ms: 2\nlater_echoes_ms: [0]\n" + PULSES, 6, "later_echoes_ms", "more than 0"),
        ("te_ms: 2\nspoiler_cycles: 1.5\n" + PULSES, 6, "spoiler_cycles", "a whole number from 0"),
        ("te_ms: 2\nspoiler_cycles: 0\n" + PULSES, 6, "spoiler_cycles", "spoiling 'none'"),
        ("te_ms: 2\nreceiver_phase_deg: [1, 2]\n" + PULSES, 6, "receiver_phase_deg", "20 as in"),
        (
            "te_ms: 2\nevents:\n  - pulses: {tr_ms: 9}\n",
            7,
            "pulses.tr_ms",
            "its flip_angle_deg too",
        ),
    ],
)
def test_faults_are_named_with_their_line(text: str, line: int, key: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_sequence(HEAD + text)
    fault = next(each for each in str(caught.value).splitlines() if expected in each)
    assert f"line {line}:" in fault and key in fault


def test_pulseq_files_are_refused_what_they_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several echoes of each pulse and a receiver phase"):
        write_pulseq(parse_sequence(FULL), tmp_path / "echoes.seq")
