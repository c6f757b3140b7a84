"""What a header says of the sequence is compared with the sequence of the model."""

import dataclasses

import numpy as np
import pytest

from mrftool.inference.protocol import contradictions, inversion_times, statements
from mrftool.plausibility import PLAUSIBLE, doubt
from mrftool.scan.series import Series, series_from_array
from mrftool.sequence import Event, PulseSequence, Wait


def scan(sidecar: dict[str, object] | None = None, frame_time: float | None = None) -> Series:
    series = series_from_array(np.zeros((1, 1, 1, 40)))
    return dataclasses.replace(series, sidecar=sidecar, frame_time=frame_time)


def found(sequence: PulseSequence, **sidecar: object) -> dict[str, str]:
    return {each.name: each.text for each in contradictions(scan(sidecar), sequence, ("delics",))}


@pytest.mark.parametrize(
    "sidecar",
    [
        {},
        {"RepetitionTime": 0.012},
        {"RepetitionTime": 0.01204},
        {"RepetitionTimeExcitation": 0.012, "EchoTime": 0.003, "InversionTime": 0.02},
        {"FlipAngle": 60},
        {"FlipAngle": [5, 30, 60]},
        {"MagneticFieldStrength": 3},
        {"MagneticFieldStrength": 0.55, "SequenceName": "*fl2d1"},
        {"ProtocolName": "short", "RepetitionTime": "unknown"},
        {"RepetitionTime": None, "EchoTime": True},
    ],
)
def test_a_header_that_agrees_or_is_silent_is_no_contradiction(
    short_sequence: PulseSequence, sidecar: dict[str, object]
) -> None:
    assert found(short_sequence, **sidecar) == {}


def test_the_time_of_the_whole_train_is_also_called_tr(short_sequence: PulseSequence) -> None:
    assert found(short_sequence, RepetitionTime=short_sequence.duration) == {}


@pytest.mark.parametrize(
    ("sidecar", "name", "says"),
    [
        ({"RepetitionTime": 0.013}, "tr", "RepetitionTime is 13 ms, the sequence has TR 12 ms"),
        ({"RepetitionTime": 12}, "tr", "milliseconds taken for seconds?"),
        ({"RepetitionTime": 12e-6}, "tr", "seconds taken for milliseconds?"),
        ({"EchoTime": 0.004}, "te", "EchoTime is 4 ms, the sequence has TE 3 ms"),
        ({"EchoTime": 3}, "te", "milliseconds taken for seconds?"),
        ({"InversionTime": 0.04}, "ti", "InversionTime is 40 ms, the sequence has TI 20 ms"),
        ({"FlipAngle": 90}, "flip-angle", "FlipAngle is 90 deg"),
        ({"FlipAngle": 0.7}, "flip-angle", "radians taken for degrees?"),
        ({"MagneticFieldStrength": 30000}, "field", "gauss for tesla?"),
        ({"ProtocolName": "DELICS"}, "sequence-name", "ProtocolName is 'DELICS'"),
    ],
)
def test_a_header_that_contradicts_the_sequence_is_heard(
    short_sequence: PulseSequence, sidecar: dict[str, object], name: str, says: str
) -> None:
    texts = found(short_sequence, **sidecar)
    assert list(texts) == [name] and says in texts[name]


@pytest.mark.parametrize(
    "sidecar",
    [
        {"RepetitionTime": 0.013},
        {"RepetitionTime": 3.0},
        {"EchoTime": 0.004},
        {"InversionTime": 0.1},
        {"InversionTime": 1.0},
        {"FlipAngle": 90},
        {"FlipAngle": 120},
    ],
)
def test_a_plausible_number_is_no_mistake_of_the_unit(
    short_sequence: PulseSequence, sidecar: dict[str, object]
) -> None:
    """A TI of 100 ms is not one of 0.1 ms in another unit, whatever the sequence has."""
    for inversion_time in (0.02, 0.0):
        changed = dataclasses.replace(
            short_sequence, events=_with_inversion_time(short_sequence, inversion_time)
        )
        (text,) = found(changed, **sidecar).values()
        assert "taken for" not in text


def _with_inversion_time(sequence: PulseSequence, time: float) -> list[Event]:
    return [
        dataclasses.replace(event, time=time) if isinstance(event, Wait) else event
        for event in sequence.events
    ]


def test_the_time_between_frames_is_a_tr(short_sequence: PulseSequence) -> None:
    (only,) = contradictions(scan(frame_time=0.013), short_sequence)
    assert only.name == "tr" and "pixdim[4]" in only.text
    for default in (0.0, 1.0, None, 0.012):
        assert contradictions(scan(frame_time=default), short_sequence) == []


def test_an_inversion_time_without_an_inversion_is_a_contradiction() -> None:
    plain = PulseSequence(np.full(40, 0.5), np.zeros(40), np.full(40, 0.012), np.full(40, 0.003))
    assert inversion_times(plain) == []
    assert "no inversion" in found(plain, InversionTime=0.02)["ti"]
    assert found(plain, InversionTime=0) == {}


def test_statements_name_their_key() -> None:
    (first, *_) = statements(scan({"RepetitionTime": 0.012}))
    assert (first.name, first.value, first.source) == ("tr", 0.012, "RepetitionTime")


@pytest.mark.parametrize("name", PLAUSIBLE)
def test_every_plausible_range_holds_its_ends_and_nothing_beyond(name: str) -> None:
    plausible = PLAUSIBLE[name]
    assert doubt(name, plausible.low) == "" and doubt(name, plausible.high) == ""
    assert "plausible is" in doubt(name, plausible.high * 1.5)


def test_a_doubt_names_the_unit_that_was_mistaken() -> None:
    assert "mm2/s taken for m2/s?" in doubt("adc", 0.7e-3)
    assert "mm2/ms taken for m2/s?" in doubt("adc", 0.7e-6)
    assert "um2/ms taken for m2/s?" in doubt("adc", 0.7)
    assert "percent taken for a fraction?" in doubt("b1", 105)


@pytest.mark.parametrize("value", [10**400, -(10**400), np.inf, np.nan, "12", None, True, {}])
def test_what_is_no_finite_number_states_nothing(value: object) -> None:
    assert list(statements(scan({"RepetitionTime": [value], "EchoTime": value}))) == []
