"""What a scan's header says of its sequence, against the sequence of a model or dictionary.

A fit absorbs many of these errors without a trace: with a TR that is 8 % off, T1 and T2 are 8 %
off, and the residual is that of noise. The header is the only witness.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.plausibility import PLAUSIBLE, doubt, unit_slip
from mrftool.scan.series import Series
from mrftool.sequence import Event, HardPulse, Invert, Pulses, PulseSequence, Wait

_TIME_TOLERANCE = 0.05e-3  # [s]; headers round to tenths of a millisecond
_RELATIVE = 0.01  # of every number
_TI_TOLERANCE = 1e-3  # [s]; vendors count TI from different points of the pulses
_ANGLE_TOLERANCE = np.deg2rad(0.5)
_DEFAULT_FRAME_TIMES = (0.0, 1.0)  # what writers put where they know nothing [s]


@dataclass(frozen=True)
class Statement:
    """A number that a header states.

    Parameters
    ----------
    name
        What it is: a key of `PLAUSIBLE`.
    value
        In SI units.
    source
        Where it stands, in words.

    """

    name: str
    value: float
    source: str


@dataclass(frozen=True)
class Header:
    """What a file that is no series of frames states of its scan.

    Parameters
    ----------
    name
        Of the file, for messages.
    sidecar
        Under the names of BIDS.
    frame_time
        Time between frames, where it is known [s].
    """

    name: str
    sidecar: Mapping[str, Any]
    frame_time: float | None = None


@dataclass(frozen=True)
class Contradiction:
    """A statement of the header that the sequence contradicts; `name` is what allows it."""

    name: str
    text: str


NAMES = ("tr", "te", "ti", "flip-angle", "field", "sequence-name")


def contradictions(
    series: Series | Header, sequence: PulseSequence, other_names: tuple[str, ...] = ()
) -> list[Contradiction]:
    """What the header of a scan says that cannot be true of a sequence.

    Parameters
    ----------
    series
        The scan, with its sidecar or DICOM attributes.
    sequence
        Of the model or dictionary.
    other_names
        Names of other sequences that are known, such as the shipped ones.

    """
    found: dict[str, Contradiction] = {}
    for statement in statements(series):
        text = _contradiction(statement, sequence)
        if text:
            name = statement.name.replace("_", "-")
            found.setdefault(name, Contradiction(name, text))
    name = _other_name(series.sidecar or {}, sequence.name, other_names)
    if name:
        found["sequence-name"] = Contradiction("sequence-name", name)
    return list(found.values())


def statements(series: Series | Header) -> Iterator[Statement]:
    """What the header states of the sequence."""
    sidecar = series.sidecar or {}
    for key, (name, factor) in _KEYS.items():
        for value in _numbers(sidecar.get(key)):
            yield Statement(name, value * factor, key)
    frame_time = series.frame_time
    if frame_time is not None and frame_time not in _DEFAULT_FRAME_TIMES:
        yield Statement("tr", frame_time, "the time between frames (pixdim[4])")


_KEYS: Mapping[str, tuple[str, float]] = {  # of BIDS: what it is, and its unit in SI units
    "RepetitionTimeExcitation": ("tr", 1.0),
    "RepetitionTime": ("tr", 1.0),
    "EchoTime": ("te", 1.0),
    "InversionTime": ("ti", 1.0),
    "FlipAngle": ("flip_angle", np.pi / 180),
    "MagneticFieldStrength": ("field", 1.0),
}
_NAME_KEYS = ("PulseSequenceName", "SequenceName", "ProtocolName", "SeriesDescription")


def _numbers(value: Any) -> list[float]:
    """A number, or the different ones of a list; nothing of anything else."""
    values = value
    if not isinstance(value, list | tuple):
        values = [value]
    return sorted({float(each) for each in values if _is_number(each)})


def _is_number(value: Any) -> bool:
    """True for a finite number; an integer may be larger than any float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def _contradiction(statement: Statement, sequence: PulseSequence) -> str:
    """What is wrong with a statement; "" if the sequence can have it."""
    name, value = statement.name, statement.value
    if name == "field":
        return _implausible(statement)
    expected, agrees = _EXPECTED[name](sequence)
    if agrees(value):
        return ""
    plausible = PLAUSIBLE[name]
    text = f"{statement.source} is {plausible.text(value)}, the sequence has {expected}"
    if not plausible.holds(value):  # what is plausible needs no other unit to explain it
        slip = unit_slip(name, value, agrees)
        if slip:
            text += f": {slip}?"
    return text


def _implausible(statement: Statement) -> str:
    text = doubt(statement.name, statement.value)
    if text:
        return f"{statement.source}: {text}"
    return ""


Expectation = tuple[str, Callable[[float], bool]]


def _expected_tr(sequence: PulseSequence) -> Expectation:
    """Any TR of the train, or the time of the whole train: scanners state the one or the other."""
    tr = sequence.tr
    total = sequence.duration

    def agrees(value: float) -> bool:
        is_whole = abs(value - total) <= _RELATIVE * total
        return is_whole or _within(value, tr, _time_tolerance(value))

    return f"TR {_range(tr, 'tr')} in a train of {total:.4g} s", agrees


def _expected_te(sequence: PulseSequence) -> Expectation:
    te = sequence.observed_te
    return f"TE {_range(te, 'te')}", lambda value: _within(value, te, _time_tolerance(value))


def _expected_ti(sequence: PulseSequence) -> Expectation:
    times = inversion_times(sequence)
    if not times:
        return "no inversion", lambda value: value == 0

    def agrees(value: float) -> bool:
        tolerance = max(_TI_TOLERANCE, _RELATIVE * value)
        return any(abs(value - time) <= tolerance for time in times)

    return f"TI {_range(np.array(times), 'ti')}", agrees


def _expected_flip(sequence: PulseSequence) -> Expectation:
    """Any flip angle up to the largest: scanners state the nominal one."""
    angles = abs(sequence.flip_angle)
    text = f"flip angles {_range(angles, 'flip_angle')}"
    return text, lambda value: _within(value, angles, _ANGLE_TOLERANCE + _RELATIVE * value)


_EXPECTED: Mapping[str, Callable[[PulseSequence], Expectation]] = {
    "tr": _expected_tr,
    "te": _expected_te,
    "ti": _expected_ti,
    "flip_angle": _expected_flip,
}


def inversion_times(sequence: PulseSequence) -> list[float]:
    """Time from each inversion to the next RF pulse [s]."""
    times: list[float] = []
    since: float | None = None
    for event in sequence.events:
        if isinstance(event, Invert) or _is_hard_inversion(event):
            since = 0.0
        elif isinstance(event, Wait) and since is not None:
            since += event.time
        elif isinstance(event, Pulses) and since is not None:
            times.append(since)
            since = None
    return times


def _is_hard_inversion(event: Event) -> bool:
    return isinstance(event, HardPulse) and np.cos(event.flip_angle) < 0


def _within(value: float, expected: FloatArray, tolerance: float) -> bool:
    return bool(expected.min() - tolerance <= value <= expected.max() + tolerance)


def _time_tolerance(value: float) -> float:
    return max(_TIME_TOLERANCE, _RELATIVE * value)


def _range(values: FloatArray, name: str) -> str:
    """`12 ms`, or `12 ms to 15 ms`."""
    low, high = float(values.min()), float(values.max())
    plausible = PLAUSIBLE[name]
    if high - low <= 1e-6 * high:
        return plausible.text(high)
    return f"{plausible.text(low)} to {plausible.text(high)}"


def _other_name(sidecar: Mapping[str, Any], own: str, others: tuple[str, ...]) -> str:
    """What is wrong with the name of the sequence, where it is that of another known one."""
    for key in _NAME_KEYS:
        value = sidecar.get(key)
        if not isinstance(value, str):
            continue
        for other in others:
            if value.casefold() == other.casefold() != own.casefold():
                return f"{key} is {value!r}, the sequence is {own}"
    return ""
