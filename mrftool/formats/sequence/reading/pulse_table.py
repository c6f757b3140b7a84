"""The columns of a sequence file: flip angle, RF phase, TR and TE of its pulses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.reading.programme import Path as FilePath
from mrftool.formats.sequence.reading.programme import PathFault
from mrftool.formats.sequence.reading.rules import own_length, resolve
from mrftool.formats.sequence.schema.second import PulsesBlock
from mrftool.sequence import sequence_faults

COLUMNS = {
    "flip_angle_deg": "flip_angle",
    "rf_phase_deg": "rf_phase",
    "tr_ms": "tr",
    "te_ms": "te",
}
KEY_OF = {**{field: key for key, field in COLUMNS.items()}, "repeats": "train", "wait": "train"}
_NO_REPETITIONS = "missing, expected the number of repetitions, as no column fixes it"


def read_columns(
    values: Mapping[str, Any], raw: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Numbers of the four columns, as far as they can be had. A list fixes the length even if a
    number in it is bad.
    """
    lengths, faults = _lengths(values, raw, folder)
    stated = {"repetitions": values.get("repetitions"), **lengths}
    first = next((key for key, length in stated.items() if length), "repetitions")
    n = stated[first]
    if not n:  # one repetition shows what is wrong with the constants
        n = 1
        faults = faults or [("repetitions", _NO_REPETITIONS)]
    columns: dict[str, Any] = {}
    for key, length in lengths.items():
        if length not in (None, n):
            faults.append((key, f"{length} values, expected {n} as in {first}"))
        elif key in values:
            _resolve_into(columns, key, values[key], n, folder, faults)
    return columns, faults


def _resolve_into(
    columns: dict[str, Any],
    key: str,
    column: Any,
    n: int,
    folder: Path,
    faults: list[tuple[str, str]],
) -> None:
    """Add the numbers of a column, or a fault if it has none."""
    try:
        columns[key] = resolve(column, n, folder)
    except InputError as error:
        faults.append((key, str(error)))


def _lengths(
    values: Mapping[str, Any], raw: Mapping[str, Any], folder: Path
) -> tuple[dict[str, int | None], list[tuple[str, str]]]:
    """How many values each column has; None for a column that takes any number."""
    lengths: dict[str, int | None] = {}
    faults = []
    for key in COLUMNS:
        listed = raw.get(key)
        if not isinstance(listed, list):
            listed = None
        try:
            lengths[key] = own_length(values.get(key, listed), folder)
        except InputError as error:
            faults.append((key, str(error)))
    return lengths, faults


class PulseTable:
    """The pulses of all blocks, one after the other."""

    def __init__(self, values: dict[str, Any], folder: Path) -> None:
        self.columns: dict[str, FloatArray] = {key: np.zeros(0) for key in COLUMNS}
        self.played: dict[FilePath, range] = {}
        self.faults: list[PathFault] = []
        self._values, self._folder = values, folder
        self._shared = range(0)

    def add_shared(self, raw: dict[str, Any]) -> None:
        """The pulses of the file's own columns."""
        given = {key: value for key, value in self._values.items() if value is not None}
        self._shared = self._add(given, raw, ()) or range(0)

    def add_block(self, path: FilePath, block: PulsesBlock) -> None:
        """The pulses of a block, once for all loops that play it."""
        if path in self.played:
            return
        if block.flip_angle_deg is None:
            pulses = self._chosen(path, block)
        else:
            pulses = self._add(self._own(block), {}, path)
        if pulses is not None:
            self.played[path] = pulses

    def _own(self, block: PulsesBlock) -> dict[str, Any]:
        """The columns of a block, with the file's where those are single numbers."""
        common = {key: self._values.get(key) for key in ("rf_phase_deg", "tr_ms", "te_ms")}
        given = {key: x for key, x in common.items() if isinstance(x, (int, float))}
        for key in (*COLUMNS, "repetitions"):
            value = getattr(block, key)
            if value is not None:
                given[key] = value
        return given

    def _chosen(self, path: FilePath, block: PulsesBlock) -> range | None:
        """The pulses of the file's columns that a block plays."""
        count = len(self._shared) - block.first
        if block.count is not None:
            count = block.count
        last = block.first + count
        if 0 <= block.first < last <= len(self._shared):
            return range(block.first, last)
        text = f"pulses {block.first} to {last - 1}, expected some of the {len(self._shared)}"
        self.faults.append((path, f"{text} pulses of the file's columns"))
        return None

    def _add(self, given: dict[str, Any], raw: dict[str, Any], path: FilePath) -> range | None:
        columns, faults = read_columns(given, raw, self._folder)
        if columns:
            faults += _missing_columns(columns, given) or _column_faults(columns, faults)
        if faults or not columns:
            self.faults += [((*path, key), text) for key, text in faults]
            return None
        first = len(self.columns["tr_ms"])
        for key, column in columns.items():
            self.columns[key] = np.concatenate([self.columns[key], column])
        return range(first, len(self.columns["tr_ms"]))


def column_fields(columns: Mapping[str, FloatArray]) -> dict[str, Any]:
    """The columns in SI units; those that are missing do no harm."""
    n = len(next(iter(columns.values())))
    harmless = {"flip_angle_deg": 0.0, "rf_phase_deg": 0.0, "tr_ms": 60e3, "te_ms": 0.0}
    filled = {key: columns.get(key, np.full(n, value)) for key, value in harmless.items()}
    return {
        "flip_angle": np.deg2rad(filled["flip_angle_deg"]),
        "rf_phase": np.deg2rad(filled["rf_phase_deg"]),
        "tr": filled["tr_ms"] * 1e-3,
        "te": filled["te_ms"] * 1e-3,
    }


def _column_faults(
    columns: Mapping[str, FloatArray], known: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """What is wrong with numbers that could all be read; nothing where faults are known already."""
    if known:
        return []
    wrong = sequence_faults(**column_fields(columns))
    return [(KEY_OF.get(key, key), text) for key, text in wrong]


def _missing_columns(columns: Mapping[str, Any], given: Mapping[str, Any]) -> list[tuple[str, str]]:
    text = "missing, expected it here or as one number of the file"
    return [(key, text) for key in COLUMNS if key not in columns and key not in given]
