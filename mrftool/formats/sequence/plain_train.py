"""The sequences of most models, read without the schema of sequence files: trains of plain numbers.

Models, and files that mrftool wrote, hold a sequence as `sequence_to_dict` gave it. Where that is
one train and nothing is unusual, a few comparisons tell as much as the schema, which takes longer
to load. Whatever is not plainly sound is left to the schema, and to its messages.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.reading.columns import COLUMNS, column_fields
from mrftool.formats.sequence.reading.uncertainty import KEYS, uncertainties_of
from mrftool.sequence import Inversion, PulseSequence, Train, sequence_faults, train_faults

_LONGEST_NAME, _MOST_REPETITIONS, _LARGEST_NUMBER = 100, 100_000, 1e15
_NEEDED = {"mrftool_sequence", "name", "repetitions", *COLUMNS, "spoiling", "train"}
_TEXTS = {"description", "source"}
_OPTIONAL = {"inversion", "uncertainty", *_TEXTS}


def plain_train(data: Mapping[str, Any]) -> PulseSequence | None:
    """The sequence in a mapping as `sequence_to_dict` gives it; None if the schema must tell."""
    if not _has_plain_keys(data):
        return None
    columns, played, stated = _columns(data), _played(data), data.get("uncertainty", {})
    is_stated = _holds_numbers(stated) and stated.keys() <= KEYS.keys()
    if columns is None or played is None or not is_stated:
        return None
    fields = column_fields(columns) | {"spoiling": data["spoiling"]}
    if sequence_faults(**fields) or train_faults(**played):
        return None
    uncertainty = uncertainties_of(SimpleNamespace(**stated))
    events = Train(**played).events
    return PulseSequence(**fields, events=events, name=data["name"], uncertainty=uncertainty)


def _columns(data: Mapping[str, Any]) -> dict[str, FloatArray] | None:
    """The columns by key; None where one is not plainly sound."""
    columns = {}
    for key in COLUMNS:
        column = _column(data[key], data["repetitions"])
        if column is None:
            return None
        columns[key] = column
    return columns


def _has_plain_keys(data: Mapping[str, Any]) -> bool:
    """Whether the keys are those of a plain train, and its name and its length are sound."""
    if data.keys() - _OPTIONAL != _NEEDED or not _has_plain_texts(data):
        return False
    is_first_version = _is_whole(data["mrftool_sequence"], 1)
    return is_first_version and _is_whole(data["repetitions"], _MOST_REPETITIONS)


def _has_plain_texts(data: Mapping[str, Any]) -> bool:
    texts = [data.get(key, "") for key in ("name", "spoiling", *_TEXTS)]
    if not all(type(text) is str for text in texts):
        return False
    return 1 <= len(texts[0]) <= _LONGEST_NAME and texts[1] in ("gradient", "none")


def _column(values: Any, n: int) -> FloatArray | None:
    """A column of `n` repetitions in the unit of its key, from one number or a list of them."""
    listed = values
    if not isinstance(values, list):
        listed = [values]
    if len(listed) not in (1, n) or not all(map(_is_number, listed)):
        return None
    if isinstance(values, list) and len(listed) != n:
        return None
    return np.asarray(np.resize(listed, n), np.float64)


def _played(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Arguments of the `Train`; None where they are not plainly sound."""
    train, inversion = data["train"], data.get("inversion")
    if not _holds(train, {"repeats", "wait_ms"}) or type(train["repeats"]) is not int:
        return None
    played = {"inversion": None, "repeats": train["repeats"], "wait": train["wait_ms"] * 1e-3}
    if inversion is not None:
        if not _holds(inversion, {"efficiency", "time_ms"}):
            return None
        played["inversion"] = Inversion(inversion["efficiency"], inversion["time_ms"] * 1e-3)
    return played


def _holds(block: Any, keys: set[str]) -> bool:
    """Whether a block has these keys and no others, and numbers of 0 or more under them."""
    return _holds_numbers(block) and block.keys() == keys


def _holds_numbers(block: Any) -> bool:
    """Whether a block has numbers of 0 or more under all its keys."""
    if not isinstance(block, dict):
        return False
    return all(_is_number(value) and value >= 0 for value in block.values())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST_NUMBER


def _is_whole(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most
