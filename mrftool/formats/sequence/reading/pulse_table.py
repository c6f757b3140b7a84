"""The columns of a sequence file: flip angle, RF phase, TR and TE of its pulses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.reading.columns import COLUMNS, LATER, OPTIONAL, column_fields
from mrftool.formats.sequence.reading.echo_times import with_echo_times
from mrftool.formats.sequence.reading.programme import Path as FilePath
from mrftool.formats.sequence.reading.programme import PathFault
from mrftool.formats.sequence.reading.rules import own_length, resolve
from mrftool.formats.sequence.schema.second import PulsesBlock
from mrftool.sequence import sequence_faults

KEY_OF = {
    **{field: key for key, field in {**COLUMNS, **OPTIONAL}.items()},
    "later_echoes": "te_ms",
    "repeats": "train",
    "wait": "train",
}
_STORED = (*COLUMNS, *OPTIONAL, LATER)
_NO_REPETITIONS = "missing, expected the number of repetitions, as no column fixes it"


def read_columns(
    values: Mapping[str, Any], raw: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Numbers of the columns and of further echoes, as far as they can be had. A list fixes the
    length even if a number in it is bad.
    """
    lengths, faults = _lengths(values, raw, folder)
    stated = {"repetitions": values.get("repetitions"), **lengths}
    first = next((key for key, length in stated.items() if length), "repetitions")
    n = stated[first]
    if not n:  # one repetition shows what is wrong with the constants
        n = 1
        if not faults and not _has_bad_column(values, raw):
            faults = [("repetitions", _NO_REPETITIONS)]
    columns: dict[str, Any] = {}
    given = [key for key in lengths if values.get(key) is not None or lengths[key] is not None]
    for key in given:
        if lengths[key] not in (None, n):
            faults.append((key, f"{lengths[key]} values, expected {n} as in {first}"))
        elif values.get(key) is not None:
            _resolve_into(columns, key, values[key], n, folder, faults)
    if columns:
        columns |= _later_echoes(values)
    return columns, faults


def _has_bad_column(values: Mapping[str, Any], raw: Mapping[str, Any]) -> bool:
    """Whether the file has a column that was refused: it may be what fixes the repetitions."""
    return any(key in raw and key not in values for key in (*COLUMNS, *OPTIONAL))


def _later_echoes(values: Mapping[str, Any]) -> dict[str, FloatArray]:
    """The times of further echoes after TE [ms] by their key, if there are any."""
    later = values.get(LATER)
    if not later:
        return {}
    return {LATER: np.asarray(later, np.float64)}


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
    for key in (*COLUMNS, *OPTIONAL):
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
        self.columns: dict[str, FloatArray] = {key: np.zeros(0) for key in _STORED}
        self.played: dict[FilePath, range] = {}
        self.faults: list[PathFault] = []
        self._values, self._folder = values, folder
        self._shared = range(0)
        if values.get("flip_angle_deg") is None:  # TE is no column of anything
            self._values = with_echo_times(values, 0)

    def add_shared(self, raw: dict[str, Any]) -> None:
        """The pulses of the file's own columns."""
        given = {key: value for key, value in self._values.items() if value is not None}
        self._values = with_echo_times(given, self._length_without_te(given))
        self._shared = self._add(self._values, raw, ()) or range(0)

    def _length_without_te(self, given: Mapping[str, Any]) -> int | None:
        """Number of repetitions that is stated, or that a column other than TE fixes."""
        others = {key: value for key, value in given.items() if key != "te_ms"}
        lengths, _ = _lengths(others, {}, self._folder)
        stated = [given.get("repetitions"), *lengths.values()]
        return next((length for length in stated if length), None)

    def add_block(self, path: FilePath, block: PulsesBlock) -> None:
        """The pulses of a block, once for all loops that play it."""
        if path in self.played:
            return
        if block.flip_angle_deg is None:
            pulses = self._chosen(path, block)
            self.faults += _lonely_columns(path, block)
        else:
            pulses = self._add(self._own(block), {}, path)
        if pulses is not None:
            self.played[path] = pulses

    def _own(self, block: PulsesBlock) -> dict[str, Any]:
        """The columns of a block, with the file's where those are single numbers."""
        common = {key: self._values.get(key) for key in (*COLUMNS, *OPTIONAL)}
        given: dict[str, Any] = {x: y for x, y in common.items() if isinstance(y, (int, float))}
        if block.te_ms is None:
            given[LATER] = self._values.get(LATER)
        for key in (*COLUMNS, *OPTIONAL, LATER, "repetitions"):
            value = getattr(block, key)
            if value is not None:
                given[key] = value
        return with_echo_times(given, self._length_without_te(given))

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
        fault = self._echo_fault(first, columns.pop(LATER, np.zeros(0)))
        if fault:
            self.faults.append(((*path, "te_ms"), fault))
            return None
        columns.setdefault("receiver_phase_deg", columns["rf_phase_deg"])
        columns.setdefault("spoiler_cycles", np.ones(len(columns["tr_ms"])))
        for key, column in columns.items():
            self.columns[key] = np.concatenate([self.columns[key], column])
        return range(first, len(self.columns["tr_ms"]))

    def _echo_fault(self, n_before: int, later: FloatArray) -> str:
        """What is wrong with further echoes [ms] beside `n_before` pulses; "" where nothing is."""
        known = self.columns[LATER]
        if n_before and (len(known) != len(later) or (known != later).any()):
            texts = [f"{', '.join(f'{time:g}' for time in times)} ms" for times in (later, known)]
            return (
                f"echoes {texts[0]} after TE, but other pulses have them at {texts[1]}, expected "
                "the same for all pulses"
            )
        self.columns[LATER] = later
        return ""


def _column_faults(
    columns: Mapping[str, FloatArray], known: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """What is wrong with numbers that could all be read; nothing where faults are known already."""
    if known:
        return []
    wrong = sequence_faults(**column_fields(columns))
    return [(KEY_OF.get(key, key), text) for key, text in wrong]


def _lonely_columns(path: FilePath, block: PulsesBlock) -> list[PathFault]:
    """Columns of a block that plays pulses of the file, which have their own."""
    text = "columns of a block's own need its flip_angle_deg too, expected it or none of them"
    keys = (*COLUMNS, *OPTIONAL, LATER, "repetitions")
    return [((*path, key), text) for key in keys if getattr(block, key) is not None]


def _missing_columns(columns: Mapping[str, Any], given: Mapping[str, Any]) -> list[tuple[str, str]]:
    text = "missing, expected it here or as one number of the file"
    return [(key, text) for key in COLUMNS if key not in columns and key not in given]
