"""Slice-selective pulses in sequence files: what they mean, and what is wrong with them."""

from pathlib import Path

import pytest
from front_door import command, works

from mrftool.errors import InputError
from mrftool.formats.sequence.yaml_file import (
    parse_sequence,
    sequence_from_dict,
    sequence_to_dict,
)
from mrftool.sequence import PulseSequence, SelectivePulse

HEAD = """mrftool_sequence: 1
name: sliced
repetitions: 5
flip_angle_deg: 30
tr_ms: 10
te_ms: 3
"""
GOOD = {"pulse": "sinc", "time_bandwidth": 4, "duration_ms": 2}
NUMBERS = {
    "pulse": "gauss",
    "time_bandwidth": 4.1,
    "apodisation": "hann",
    "positions": 39,
    "extent": 2.5,
    "rephasing": 0.9,
}


def text_of(block: dict[str, object], more: str = "") -> str:
    lines = [f"  {key}: {value}" for key, value in block.items()]
    return HEAD + more + "slice_profile:\n" + "\n".join(lines) + "\n"


def read(block: dict[str, object], more: str = "") -> PulseSequence:
    return parse_sequence(text_of(block, more))


def test_a_pulse_by_name_is_read_and_comes_back() -> None:
    every = {**GOOD, **NUMBERS, "thickness_mm": 5}
    sequence = read(every)
    assert sequence.slice_profile == SelectivePulse(
        "gauss", 4.1, 2e-3, "hann", 39, extent=2.5, rephasing=0.9, thickness=5e-3
    )
    again = sequence_from_dict(sequence_to_dict(sequence))
    assert again == sequence and again.slice_profile == sequence.slice_profile


@pytest.mark.parametrize("key", NUMBERS)
def test_the_id_changes_with_what_the_signal_depends_on(key: str) -> None:
    assert read({**GOOD, key: NUMBERS[key]}) != read(GOOD)


@pytest.mark.parametrize("key", ["duration_ms", "thickness_mm"])
def test_the_id_keeps_what_only_the_scanner_plays(key: str) -> None:
    assert read({**GOOD, key: 3}) == read(GOOD)


WRONG = [
    ({**GOOD, "pulse": "slr"}, 8, "slice_profile.pulse", "expected 'sinc' or 'gauss' (got 'slr')"),
    ({**GOOD, "time_bandwidth": 0}, 9, "slice_profile.time_bandwidth", "expected more than 0"),
    ({**GOOD, "time_bandwidth": 40}, 9, "slice_profile.time_bandwidth", "expected at most 32"),
    ({**GOOD, "duration_ms": "2 ms"}, 10, "slice_profile.duration_ms", "expected a number"),
    ({**GOOD, "duration_ms": 7}, 7, "slice_profile", "expected at least half of the pulse, 3.5 ms"),
    ({**GOOD, "apodisation": "kaiser"}, 11, "slice_profile.apodisation", "'none', 'hann' or"),
    ({**GOOD, "apodization": "hann"}, 11, "slice_profile.apodization", "mean apodisation?"),
    ({**GOOD, "positions": 0}, 11, "slice_profile.positions", "expected 1 or more"),
    ({**GOOD, "positions": 2.5}, 11, "slice_profile.positions", "expected a whole number"),
    ({**GOOD, "extent": -1}, 11, "slice_profile.extent", "expected more than 0"),
    ({**GOOD, "rephasing": 3}, 11, "slice_profile.rephasing", "expected at most 2"),
    ({**GOOD, "thickness_mm": 0}, 11, "slice_profile.thickness_mm", "expected more than 0"),
    ({**GOOD, "weight": [1]}, 11, "slice_profile.weight", "unknown key"),
    ({"pulse": "sinc", "duration_ms": 2}, 7, "slice_profile.time_bandwidth", "missing"),
]


@pytest.mark.parametrize(("block", "line", "place", "expected"), WRONG)
def test_a_wrong_pulse_is_named_with_its_line_and_what_was_expected(
    block: dict[str, object], line: int, place: str, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(block)
    faults = [text.strip() for text in str(caught.value).splitlines()[1:]]
    assert len(faults) == 1
    assert faults[0].startswith(f"line {line}: {place}: ") and expected in faults[0]


def test_balanced_trains_need_full_rephasing() -> None:
    with pytest.raises(InputError, match=r"rephasing 0\.9, expected 1 where no gradient spoils"):
        read({**GOOD, "rephasing": 0.9}, "spoiling: none\n")


def test_a_pulse_that_no_file_made_is_checked_too() -> None:
    pulse = SelectivePulse("box", -1.0, 2e-3, "wide", 0, thickness=0.0)  # type: ignore[arg-type]
    assert pulse.faults() == [
        "pulse 'box', expected sinc or gauss",
        "apodisation 'wide', expected none, hann, hamming",
        "0 positions, expected 1 to 1000",
        "time_bandwidth -1, expected more than 0 and at most 40",
        "extent -2, expected more than 0 and at most 20",
        "thickness 0, expected more than 0 and at most 1",
    ]


def test_show_says_the_pulse(tmp_path: Path) -> None:
    path = tmp_path / "sliced.yaml"
    path.write_text(text_of({**GOOD, "apodisation": "hann"}))
    picture = tmp_path / "sliced.png"
    shown = " ".join(works("sequence", "show", path, "-o", picture).out.replace("│", " ").split())
    assert "sinc pulse of 2 ms, time-bandwidth 4, hann window; 40 positions over 3" in shown
    assert command("sequence", "check", path).code == 0
