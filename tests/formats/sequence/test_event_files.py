"""Sequence files of version 2: events, loops, own columns, heartbeats; every fault with its
line.
"""

import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.formats.sequence.tables.text import read_table
from mrftool.formats.sequence.write import csv_text, from_csv, yaml_text
from mrftool.formats.sequence.yaml_file import (
    parse_sequence,
    sequence_from_dict,
    sequence_summary,
    sequence_to_dict,
)
from mrftool.sequence import HardPulse, Invert, Pulses, PulseSequence, Saturate, T2Prep, Wait
from mrftool.sequence.echoes import without_echoes

HEAD = """\
mrftool_sequence: 2
name: x
flip_angle_deg: [10, 20, 30, 40]
tr_ms: 10
te_ms: 2
events:
"""


def read(events: str, **options: object) -> PulseSequence:
    return parse_sequence(HEAD + events, **options)


def faults(events: str, **options: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(events, **options)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_events_are_played_in_order() -> None:
    sequence = read(
        """\
  - invert: {efficiency: 0.9, time_ms: 21}
  - pulses: {count: 2}
  - wait: {ms: 100}
  - t2prep: {te_ms: 40, refocusing: 4, efficiency: 0.95}
  - pulses: {first: 1, count: 1, acquire: false}
  - saturate: {efficiency: 0.8, time_ms: 5}
  - t2prep: {te_ms: 30}
  - pulses: {first: 2}
"""
    )
    assert sequence.events == (
        Invert(0.9),
        Wait(0.021),
        Pulses(0, 2),
        Wait(0.1),
        T2Prep(0.04, 4, 0.95),
        Pulses(1, 2, acquire=False),
        Saturate(0.8),
        Wait(0.005),
        T2Prep(0.03),
        Pulses(2, 4),
    )
    assert len(sequence) == 4
    assert sequence.duration == pytest.approx(0.021 + 0.02 + 0.1 + 0.04 + 0.01 + 0.005 + 0.05)


@pytest.mark.parametrize("version", [1, 2])
def test_an_inversion_without_crusher_is_a_hard_pulse(version: int) -> None:
    inversion = "{efficiency: 0.9, time_ms: 21, spoiled: false}"
    if version == 2:
        sequence = read(f"  - invert: {inversion}\n  - pulses: {{}}\n")
    else:
        text = HEAD.replace("sequence: 2", "sequence: 1").replace("events:\n", "")
        sequence = parse_sequence(f"{text}inversion: {inversion}\n")
    assert sequence.events[0] == HardPulse.inversion(0.9)
    assert sequence.events[1] == Wait(0.021)
    again = parse_sequence(yaml_text(sequence))
    assert again.sequence_id == sequence.sequence_id
    spoiled = parse_sequence(HEAD + "  - invert: {efficiency: 0.9, time_ms: 21}\n  - pulses: {}\n")
    assert spoiled.sequence_id != sequence.sequence_id


def test_pulses_without_echo_are_read_and_written() -> None:
    events = "  - hard_pulse: {flip_angle_deg: 150, rf_phase_deg: 90, time_ms: 5}\n  - pulses: {}\n"
    sequence = read(events)
    assert sequence.events[0] == HardPulse(np.deg2rad(150.0), np.deg2rad(90.0))
    assert sequence_from_dict(sequence_to_dict(sequence)).sequence_id == sequence.sequence_id
    assert "not 0" in faults(events.replace("150", "0"))[0]


def test_loops_play_their_events_several_times() -> None:
    sequence = read(
        """\
  - repeat:
      times: 2
      events:
        - invert: {}
        - repeat: {times: 3, events: [{pulses: {count: 1}}, {wait: {ms: 1}}]}
  - pulses: {}
"""
    )
    once = [Invert(), Wait(0.0), *[Pulses(0, 1), Wait(1e-3)] * 3]
    assert sequence.events == (*once, *once, Pulses(0, 4))
    assert len(sequence) == 10


def test_blocks_may_have_pulses_of_their_own() -> None:
    sequence = read(
        """\
  - pulses: {flip_angle_deg: {rule: lobes, peaks: [8], lengths: [3]}, acquire: false}
  - pulses: {}
  - repeat: {times: 2, events: [{pulses: {flip_angle_deg: 5, repetitions: 2, tr_ms: 12}}]}
"""
    )
    own = np.sin(np.pi * np.arange(3) / 3) * 8
    expected = [10, 20, 30, 40, *own, 5, 5]
    np.testing.assert_allclose(np.rad2deg(sequence.flip_angle), expected)
    np.testing.assert_allclose(sequence.tr, [*[0.01] * 7, 0.012, 0.012])
    assert sequence.events == (
        Pulses(4, 7, acquire=False),
        Pulses(0, 4),
        Pulses(7, 9),
        Pulses(7, 9),
    )


def test_a_train_of_events_has_the_id_of_version_1() -> None:
    """So has its dictionary, which then is of version 1."""
    first = parse_sequence(
        """\
mrftool_sequence: 1
name: x
flip_angle_deg: [10, 20, 30, 40]
tr_ms: 10
te_ms: 2
inversion: {efficiency: 0.9, time_ms: 20}
train: {repeats: 2, wait_ms: 500}
"""
    )
    second = read(
        """\
  - invert: {efficiency: 0.9, time_ms: 20}
  - pulses: {acquire: false}
  - wait: {ms: 500}
  - invert: {efficiency: 0.9, time_ms: 20}
  - pulses: {}
"""
    )
    assert first.sequence_id == second.sequence_id
    assert sequence_to_dict(second)["mrftool_sequence"] == 1


EVENTS = """\
  - t2prep: {te_ms: 40.000001, refocusing: 2}
  - saturate: {efficiency: 0.7}
  - pulses: {flip_angle_deg: [5, 6], acquire: false}
  - wait: {ms: 3.3}
  - pulses: {}
  - invert: {efficiency: 0.7, time_ms: 2}
  - pulses: {first: 2}
"""


def test_other_events_are_kept_by_every_file(tmp_path) -> None:
    sequence = read(EVENTS)
    again = sequence_from_dict(sequence_to_dict(sequence))
    assert sequence_to_dict(sequence)["mrftool_sequence"] == 2
    assert again.sequence_id == sequence.sequence_id
    assert parse_sequence(yaml_text(sequence)).sequence_id == sequence.sequence_id
    path = tmp_path / "events.csv"
    path.write_text(csv_text(sequence))
    assert from_csv(read_table(path, "point"), "x").sequence_id == sequence.sequence_id
    assert sequence_summary(sequence)["events"] == (
        "1 t2prep, 1 saturate, 3 wait, 3 pulses, 1 invert"
    )


HEART = """\
  - wait_until_trigger: {}
  - wait: {ms: 200}
  - pulses: {}
  - repeat:
      times: 2
      events:
        - wait_until_trigger: {}
        - t2prep: {te_ms: 50}
        - pulses: {}
"""


def test_triggers_come_with_the_heartbeats() -> None:
    sequence = read(HEART, rr=np.array([0.9, 0.8]))
    waits = [event.time for event in sequence.events if isinstance(event, Wait)]
    assert waits == pytest.approx([0.0, 0.2, 0.9 - 0.24, 0.8 - 0.09])
    assert sequence.duration == pytest.approx(1.7 + 0.09)
    constant = parse_sequence(HEAD + HEART + "rr_ms: 850\n")
    waits = [event.time for event in constant.events if isinstance(event, Wait)]
    assert waits == pytest.approx([0.0, 0.2, 0.85 - 0.24, 0.85 - 0.09])
    listed = parse_sequence(HEAD + HEART + "rr_ms: [900, 800]\n")
    assert listed.sequence_id == sequence.sequence_id != constant.sequence_id
    of_triggers = read(HEART, rr=np.array([100.0, 100.9, 101.7]))
    np.testing.assert_allclose(of_triggers.duration, sequence.duration)
    assert of_triggers.sequence_id == sequence.sequence_id


def test_a_rhythm_that_does_not_fit_is_refused_with_the_beat() -> None:
    assert faults(HEART) == ["rr_ms: missing, expected the RR intervals between 3 triggers"]
    assert faults(HEART, rr=np.array([0.9])) == [
        "rr_ms: 1 RR intervals, expected 2 between 3 triggers, or the 3 times of all triggers in "
        "ascending order"
    ]
    assert faults(HEART, rr=np.array([0.9, 5.1])) == [
        "rr_ms: RR interval 2, from trigger 2 to 3, is 5100 ms, expected at most 5000 ms"
    ]
    assert faults(HEART, rr=np.array([0.9, 0.05])) == [
        "line 13: events[3].repeat.events[0].wait_until_trigger: trigger 3 is missed: it comes 50 "
        "ms after the one before, expected at least the 90 ms that the events between them take"
    ]
    assert faults("  - wait: {ms: 5}\n" + HEART, rr=np.array([0.9, 0.9])) == [
        "line 8: events[1].wait_until_trigger: 5 ms of events before the first trigger, expected "
        "none"
    ]
    assert faults("  - pulses: {}\n", rr=np.array([0.9])) == [
        "rr_ms: RR intervals are given, but no event waits for a trigger"
    ]


WRONG = {
    "  - pulses: {first: 4}": "line 7: events[0].pulses: pulses 4 to 3, expected some of the 4",
    "  - pulses: {count: 5}": "line 7: events[0].pulses: pulses 0 to 4, expected some of the 4",
    "  - pulses: {count: 0}": "line 7: events[0].pulses.count: expected 1 or more (got 0)",
    "  - pulses: {first: -1}": "line 7: events[0].pulses.first: expected 0 or more (got -1)",
    "  - pulses: {acquire: 1}": "line 7: events[0].pulses.acquire: ",
    "  - pulses: {acquire: false}": "line 6: events: no event acquires echoes",
    "  - pulses: {flip: 3}": "line 7: events[0].pulses.flip: unknown key (got 3)",
    "  - pulses: {flip_angle_deg: 5}": "line 7: events[0].pulses.repetitions: missing",
    "  - pulses: {flip_angle_deg: [800]}": "line 7: events[0].pulses.flip_angle_deg: repetition 0",
    "  - pulses: {flip_angle_deg: [5], te_ms: 11}": "line 7: events[0].pulses.te_ms: repetition 0",
    "  - pulses: {flip_angle_deg: [5, 6], tr_ms: [9]}": (
        "line 7: events[0].pulses.tr_ms: 1 values, expected 2 as in flip_angle_deg"
    ),
    "  - pulses: {flip_angle_deg: {rule: lobe}}": "line 7: events[0].pulses.flip_angle_deg: ",
    "  - pulse: {}": "line 7: events[0]: expected a mapping with one of the keys invert, saturate",
    "  - pulses": "line 7: events[0]: expected a mapping with one of the keys",
    "  - {wait: {ms: 1}, pulses: {}}": "line 7: events[0]: expected a mapping with one of",
    "  - wait: {}": "line 7: events[0].wait.ms: missing, expected a value",
    "  - wait: 100": "line 7: events[0].wait: expected a mapping",
    "  - wait: {ms: -1}": "line 7: events[0].wait.ms: expected 0 or more (got -1)",
    "  - wait: {ms: 70000}": "line 7: events[0].wait.ms: expected at most 60000 (got 70000)",
    "  - wait: {ms: '5'}": "line 7: events[0].wait.ms: expected a number (got '5')",
    "  - wait: {ms: 1, s: 5}": "line 7: events[0].wait.s: unknown key (got 5)",
    "  - invert: {efficiency: 2}": "line 7: events[0].invert.efficiency: expected at most 1",
    "  - invert: {time_ms: .nan}": "line 7: events[0].invert.time_ms: expected a finite number",
    "  - saturate: {efficiency: -0.1}": "line 7: events[0].saturate.efficiency: expected 0 or more",
    "  - t2prep: {}": "line 7: events[0].t2prep.te_ms: missing, expected a value",
    "  - t2prep: {te_ms: 40, refocusing: 1.5}": (
        "line 7: events[0].t2prep.refocusing: expected a whole number (got 1.5)"
    ),
    "  - t2prep: {te_ms: 40, refocusing: 2000}": "line 7: events[0].t2prep.refocusing: expected at",
    "  - t2prep: {te_ms: 40, efficiency: 1.1}": "line 7: events[0].t2prep.efficiency: expected at",
    "  - repeat: {times: 0, events: [pulses: {}]}": "line 7: events[0].repeat.times: expected 1 or",
    "  - repeat: {times: 2, events: []}": "line 7: events[0].repeat.events: expected at least 1",
    "  - repeat: {times: 2, events: [{wait: {ms: -1}}]}": (
        "line 7: events[0].repeat.events[0].wait.ms: expected 0 or more (got -1)"
    ),
    "  - repeat: {times: 1000, events: [repeat: {times: 1000, events: [pulses: {}]}]}": (
        "line 6: events: 1000000 events, expected at most 100000"
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_each_wrong_event_is_named_with_its_line(wrong: str) -> None:
    (only,) = faults(wrong + "\n")
    assert only.startswith(WRONG[wrong])


def test_all_wrong_events_are_named_at_once() -> None:
    events = [text for text in WRONG if "acquire: false" not in text and "1000," not in text]
    schema_faults = faults("\n".join(events) + "\n")
    assert len(schema_faults) >= 20
    numbers = ["  - pulses: {first: 4}", "  - pulses: {flip_angle_deg: [800]}", "  - wait: {ms: 1}"]
    assert [fault.split(":")[0] for fault in faults("\n".join(numbers) + "\n")] == [
        "line 7",
        "line 8",
    ]


def test_a_file_needs_columns_where_events_play_them() -> None:
    head = "mrftool_sequence: 2\nname: x\nevents:\n"
    own = "{flip_angle_deg: [5, 6], tr_ms: 9, te_ms: 1}"
    assert len(parse_sequence(f"{head}  - pulses: {own}\n")) == 2
    with pytest.raises(InputError, match="expected some of the 0 pulses of the file's columns"):
        parse_sequence(f"{head}  - pulses: {{}}\n")
    with pytest.raises(InputError, match=r"pulses.tr_ms: missing, expected it here or as one"):
        parse_sequence(f"{head}  - pulses: {{flip_angle_deg: [5], te_ms: 1}}\n")


BINNED = """\
  - pulses: {bin: 2}
  - wait: {ms: 100}
  - pulses: {first: 1, count: 3, bin: 3}
"""


def test_frames_may_average_the_echoes_of_several_pulses() -> None:
    sequence = read(BINNED)
    assert sequence.events == (Pulses(0, 4, bin=2), Wait(0.1), Pulses(1, 4, bin=3))
    assert len(sequence) == 3
    assert sequence.observed.tolist() == [0, 2, 1]
    assert sequence != read(BINNED.replace("bin: 2", "bin: 1"))
    assert sequence_from_dict(sequence_to_dict(sequence)) == sequence
    assert parse_sequence(yaml_text(sequence)) == sequence


def test_a_frame_of_one_pulse_changes_no_identity() -> None:
    assert read("  - pulses: {bin: 1}\n") == read("  - pulses: {}\n")


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("{bin: 3}", "frames of 3 pulses each, expected a number that divides the 4 pulses"),
        ("{bin: 2, acquire: false}", "frames of 2 pulses that acquire nothing, expected no bin"),
        ("{bin: 0}", "expected 1 or more (got 0)"),
        ("{bin: 1.5}", "expected a whole number"),
    ],
)
def test_bins_that_cannot_be_are_refused(block: str, expected: str) -> None:
    (fault,) = faults(f"  - pulses: {block}\n  - pulses: {{}}\n")
    assert fault.startswith("line 7: events[0].pulses") and expected in fault


def test_frames_are_left_out_with_all_their_pulses() -> None:
    sequence = without_echoes(read(BINNED), [1])
    assert sequence.events == (
        Pulses(0, 2, bin=2),
        Pulses(2, 4, acquire=False),
        Wait(0.1),
        Pulses(1, 4, bin=3),
    )
