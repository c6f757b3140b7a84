"""What tells two sequences apart, in words."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from mrftool.errors import InputError
from mrftool.formats.sequence.yaml_file import sequence_from_dict, sequence_summary
from mrftool.sequence import Event, Pulses, PulseSequence

_UNTOLD = ("sequence id", "duration")  # follow from the rest
_COLUMNS = {  # attribute: label, unit, factor
    "flip_angle": ("flip angles", "deg", 180 / np.pi),
    "rf_phase": ("RF phases", "deg", 180 / np.pi),
    "tr": ("TR", "ms", 1e3),
    "te": ("TE", "ms", 1e3),
    "receiver": ("receiver phases", "deg", 180 / np.pi),
    "cycles": ("spoilers", "cycles", 1.0),
}


def difference_text(played: PulseSequence, expected: PulseSequence) -> str:
    """The names and the properties that differ: `delics, not fisp: TE 0.7 ms, not 10 ms`.

    Parameters
    ----------
    played
        What a scan says that it was made with.
    expected
        What it is compared with.
    """
    one, other = sequence_summary(played), sequence_summary(expected)
    labels = [label for label in (*one, *other) if label not in _UNTOLD]
    parts = []
    for label in dict.fromkeys(labels):
        found, wanted = one.get(label, "none"), other.get(label, "none")
        if found != wanted:
            parts.append(f"{label} {found}, not {wanted}")
    text = "; ".join(parts) or _column_text(played, expected) or _event_text(played, expected)
    if played.name != expected.name:
        text = f"{played.name}, not {expected.name}: {text}"
    return text


def _column_text(played: PulseSequence, expected: PulseSequence) -> str:
    """The columns that differ, where the ends of their ranges are the same."""
    parts: list[str] = []
    if len(played.flip_angle) != len(expected.flip_angle):
        return ""
    for attribute, (label, unit, factor) in _COLUMNS.items():
        change = getattr(played, attribute) - getattr(expected, attribute)
        largest = factor * float(np.abs(change).max())
        if largest > 0:
            parts.append(f"{label} differ by up to {largest:.3g} {unit}")
    return "; ".join(parts)


def _event_text(played: PulseSequence, expected: PulseSequence) -> str:
    """The first event that differs, and the block of pulses that it comes before."""
    block = 1
    for one, other in zip(played.program, expected.program, strict=False):
        if one != other:
            return f"before block {block} of pulses: {_event(one)}, not {_event(other)}"
        block += isinstance(one, Pulses)
    return "other properties differ"


def _event(event: Event) -> str:
    """An event in words, in the units of a sequence file."""
    kind = type(event).__name__.lower()
    if isinstance(event, Pulses):
        text = f"{kind} {event.first} to {(event.stop or 0) - 1}"
        if event.bin > 1:
            text += f" in frames of {event.bin}"
        return text
    names = [field.name for field in fields(event)]
    numbers = zip(names, event.numbers_in_file, strict=True)
    words = [f"{name} {number:.6g}" for name, number in numbers]
    return f"{kind} ({', '.join(words)})"


def difference_of_files(
    played: Mapping[str, Any] | None, expected: Mapping[str, Any] | None
) -> str:
    """The same of sequences as sidecars and manifests hold them; empty where one cannot be read."""
    if not isinstance(played, Mapping) or not isinstance(expected, Mapping):
        return ""
    try:
        return difference_text(sequence_from_dict(dict(played)), sequence_from_dict(dict(expected)))
    except InputError:
        return ""
