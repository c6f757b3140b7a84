"""Wrong lists of events: `mrftool sequence check` names each fault with its line, and says what was
expected.
"""

from pathlib import Path

import pytest
from front_door import command

HEAD = """\
mrftool_sequence: 2
name: wrong
flip_angle_deg: [10, 20, 30, 40]
tr_ms: 10
te_ms: 2
events:
"""
PULSES = "\n  - pulses: {}"
BEATS = "  - wait_until_trigger: {}" + PULSES
KINDS = "expected a mapping with one of the keys invert, saturate, t2prep, wait,"
OWN = "pulses: {flip_angle_deg: 10"
CASES = [  # events, the line of the fault, where it is, and what was expected
    ("  - invert: {efficiency: 1.2}" + PULSES, 7, "invert.efficiency", "at most 1 (got 1.2)"),
    ("  - invert: {time_ms: -5}" + PULSES, 7, "invert.time_ms", "0 or more (got -5)"),
    ("  - invert: {tim_ms: 20}" + PULSES, 7, "invert.tim_ms", "did you mean time_ms?"),
    ("  - invert: 20" + PULSES, 7, "[0].invert", "expected a mapping (got 20)"),
    ("  - inversion: {}" + PULSES, 7, "events[0]", KINDS),
    ("  - saturate: {efficiency: -0.1}" + PULSES, 7, "saturate.efficiency", "0 or more"),
    ("  - saturate: {efficiency: '1'}" + PULSES, 7, "saturate.efficiency", "expected a number"),
    ("  - saturate: {time_ms: 70000}" + PULSES, 7, "saturate.time_ms", "expected at most 60000"),
    ("  - t2prep: {}" + PULSES, 7, "t2prep.te_ms", "missing, expected a value"),
    ("  - t2prep: {te_ms: forty}" + PULSES, 7, "t2prep.te_ms", "expected a number (got 'forty')"),
    ("  - t2prep: {te_ms: 4, refocusing: 1.5}" + PULSES, 7, "refocusing", "a whole number"),
    ("  - t2prep: {te_ms: 4, refocusing: -2}" + PULSES, 7, "t2prep.refocusing", "0 or more"),
    ("  - t2prep: {te_ms: .nan}" + PULSES, 7, "t2prep.te_ms", "expected a finite number"),
    ("  - wait: {}" + PULSES, 7, "wait.ms", "missing, expected a value"),
    ("  - wait: {ms: -1}" + PULSES, 7, "wait.ms", "expected 0 or more (got -1)"),
    ("  - wait: {ms: 5, s: 1}" + PULSES, 7, "wait.s", "unknown key (got 1), did you mean ms?"),
    ("  - pulses: {first: 4}", 7, "[0].pulses", "expected some of the 4 pulses of the file's"),
    ("  - pulses: {first: 2, count: 3}", 7, "[0].pulses", "pulses 2 to 4, expected some of"),
    ("  - pulses: {count: 0}", 7, "pulses.count", "expected 1 or more (got 0)"),
    ("  - pulses: {first: -1}", 7, "pulses.first", "expected 0 or more (got -1)"),
    ("  - pulses: {acquire: false}", 6, "events", "expected pulses that do"),
    ("  - pulses: {acquire: maybe}", 7, "pulses.acquire", "expected true or false (got 'maybe')"),
    ("  - pulses: {bin: 3}", 7, "[0].pulses", "expected a number that divides the 4 pulses"),
    ("  - pulses: {bin: 2, acquire: false}" + PULSES, 7, "[0].pulses", "expected no bin"),
    (f"  - {OWN}, repetitions: 2, te_ms: 12}}", 7, "pulses.te_ms", "expected TE <= TR"),
    (f"  - {OWN}}}", 7, "pulses.repetitions", "expected the number of repetitions"),
    ("  - repeat: {times: 0, events: [{pulses: {}}]}", 7, "repeat.times", "expected 1 or more"),
    ("  - repeat: {times: 2, events: []}", 7, "repeat.events", "expected at least 1 item"),
    ("  - repeat: {times: 2}" + PULSES, 7, "repeat.events", "missing, expected a value"),
    ("  - repeat:\n      times: 2\n      events:\n        - pulse: {}", 10, "events[0]", KINDS),
    ("  - {pulses: {}, wait: {ms: 5}}", 7, "events[0]", KINDS),
    ("  - pulses", 7, "events[0]", KINDS),
    (BEATS + "\nrr_ms: -4", 9, "rr_ms", "expected more than 0 (got -4)"),
    (PULSES[1:] + "\n" + BEATS, 8, "wait_until_trigger", "before the first trigger, expected none"),
    (f"{BEATS}\n{BEATS}\nrr_ms: 30", 9, "[2].wait_until_trigger", "expected at least the 40 ms"),
    ("  - wait_until_trigger: {delay_ms: 100}" + PULSES, 7, "delay_ms", "unknown key"),
    (PULSES[1:] + "\nrr_ms: 900", 8, "rr_ms", "no event waits for a trigger"),
]


@pytest.mark.parametrize(("events", "line", "place", "expected"), CASES)
def test_a_wrong_event_is_named_with_its_line_and_what_was_expected(
    events: str, line: int, place: str, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(HEAD + events + "\n")
    outcome = command("sequence", "check", path)
    assert outcome.code == 3
    faults = [text.strip() for text in outcome.err.splitlines() if text.startswith("  line ")]
    assert any(f.startswith(f"line {line}: ") and place in f and expected in f for f in faults), (
        outcome.err
    )
