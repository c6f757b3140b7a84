"""The checked values of a sequence file to a PulseSequence; what is wrong with their numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.reading.programme import (
    MOST_EVENTS,
    PathFault,
    Programme,
    blocks_of,
    count_events,
    programme_of,
    triggered,
)
from mrftool.formats.sequence.reading.programme import Path as FilePath
from mrftool.formats.sequence.reading.rules import own_length, resolve
from mrftool.formats.sequence.schema.second import PulsesBlock
from mrftool.sequence import (
    Inversion,
    PulseSequence,
    SliceProfile,
    Spoiler,
    Train,
    sequence_faults,
    train_faults,
)

_COLUMNS = {
    "flip_angle_deg": "flip_angle",
    "rf_phase_deg": "rf_phase",
    "tr_ms": "tr",
    "te_ms": "te",
}
_KEY_OF = {**{field: key for key, field in _COLUMNS.items()}, "repeats": "train", "wait": "train"}


def _columns(
    values: Mapping[str, Any], raw: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Numbers of the four columns, as far as they can be had. A list fixes the length even if a
    number in it is bad.
    """
    faults: list[tuple[str, str]] = []
    lengths = {}
    for key in _COLUMNS:
        listed = raw.get(key) if isinstance(raw.get(key), list) else None
        try:
            lengths[key] = own_length(values.get(key, listed), folder)
        except InputError as error:
            faults.append((key, str(error)))
    said = {**lengths, "repetitions": values.get("repetitions")}
    n = said["repetitions"] or next((length for length in lengths.values() if length), None)
    if n is None:  # one repetition shows what is wrong with the constants
        n = said["repetitions"] = 1
        faults = faults or [
            ("repetitions", "missing, expected the number of repetitions, as no column fixes it")
        ]
    first = next(
        key
        for key, length in (("repetitions", said["repetitions"]), *lengths.items())
        if length == n
    )
    columns: dict[str, Any] = {}
    for key, length in lengths.items():
        if length not in (None, n):
            faults.append((key, f"{length} values, expected {n} as in {first}"))
        elif key in values:
            try:
                columns[key] = resolve(values[key], n, folder)
            except InputError as error:
                faults.append((key, str(error)))
    return columns, faults


def build_train(
    values: dict[str, Any], raw: dict[str, Any], folder: Path
) -> tuple[PulseSequence | None, list[PathFault]]:
    """The sequence of a file of version 1, or what is wrong with its numbers.

    A column that is missing is checked as if it did no harm.
    """
    columns, column_faults = _columns(values, raw, folder)
    faults: list[PathFault] = [((key,), text) for key, text in column_faults]
    if not columns:
        return None, faults
    fields, played = _fields(values, columns), _train_fields(values)
    wrong = [*sequence_faults(**fields), *train_faults(**played)]
    faults += [((_KEY_OF.get(key, key),), text) for key, text in wrong]
    if faults or len(columns) < len(_COLUMNS):
        return None, faults
    name = values.get("name", "unnamed")
    return PulseSequence(**fields, events=Train(**played).events, name=name), []


def build_events(
    values: dict[str, Any], raw: dict[str, Any], folder: Path, rr: FloatArray | None
) -> tuple[PulseSequence | None, list[PathFault]]:
    """The sequence of a file of version 2, or what is wrong with its numbers.

    rr: RR intervals [s] in place of the file's.
    """
    entries = values.get("events")
    if entries is None:
        return None, []
    if count_events(entries) > MOST_EVENTS:
        text = f"{count_events(entries)} events, expected at most {MOST_EVENTS}"
        return None, [(("events",), text)]
    blocks = list(blocks_of(entries))
    pulses = _PulseTable(values, folder)
    if values.get("flip_angle_deg") is not None:
        pulses.add_shared(raw)
    for path, block in blocks:
        if isinstance(block, PulsesBlock):
            pulses.add_block(path, block)
    programme = programme_of(blocks, pulses.played)
    columns = pulses.columns
    faults = [*pulses.faults, *programme.faults, *_event_faults(programme, len(columns["tr_ms"]))]
    if faults:
        return None, list(dict.fromkeys(faults))
    programme = _in_time(programme, values, columns["tr_ms"] * 1e-3, rr)
    if programme.faults:
        return None, list(dict.fromkeys(programme.faults))
    fields = _fields(values, columns)
    fields["events"] = [event for _, event in programme.events]
    faults = [((_KEY_OF.get(key, key),), text) for key, text in sequence_faults(**fields)]
    if faults:
        return None, faults
    return PulseSequence(**fields, name=values.get("name", "unnamed")), []


def _event_faults(programme: Programme, n_pulses: int) -> list[PathFault]:
    return [
        (path, text)
        for path, event in programme.events
        if event is not None
        for text in event.faults(n_pulses)
    ]


def _in_time(
    programme: Programme, values: dict[str, Any], tr: FloatArray, rr: FloatArray | None
) -> Programme:
    """The programme with its triggers at their times."""
    n_triggers = sum(event is None for _, event in programme.events)
    if rr is None and values.get("rr_ms") is not None:
        rr = np.asarray(values["rr_ms"], np.float64) * 1e-3
    if rr is None and n_triggers > 1:
        text = f"missing, expected the RR intervals between {n_triggers} triggers"
        return Programme(faults=[(("rr_ms",), text)])
    if rr is not None and not n_triggers:
        text = "RR intervals are given, but no event waits for a trigger"
        return Programme(faults=[(("rr_ms",), text)])
    if rr is None:
        rr = np.zeros(0)
    return triggered(programme, rr, tr)


class _PulseTable:
    """The pulses of all blocks, one after the other."""

    def __init__(self, values: dict[str, Any], folder: Path) -> None:
        self.columns: dict[str, FloatArray] = {key: np.zeros(0) for key in _COLUMNS}
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
        if block.flip_angle_deg is not None:
            own = {key: getattr(block, key) for key in (*_COLUMNS, "repetitions")}
            own = {key: value for key, value in own.items() if value is not None}
            common = {key: self._values.get(key) for key in ("rf_phase_deg", "tr_ms", "te_ms")}
            numbers = {key: x for key, x in common.items() if isinstance(x, (int, float))}
            pulses = self._add({**numbers, **own}, {}, path)
            if pulses is not None:
                self.played[path] = pulses
            return
        count = len(self._shared) - block.first
        if block.count is not None:
            count = block.count
        last = block.first + count
        if 0 <= block.first < last <= len(self._shared):
            self.played[path] = range(block.first, last)
            return
        text = f"pulses {block.first} to {last - 1}, expected some of the {len(self._shared)}"
        self.faults.append((path, f"{text} pulses of the file's columns"))

    def _add(self, given: dict[str, Any], raw: dict[str, Any], path: FilePath) -> range | None:
        columns, faults = _columns(given, raw, self._folder)
        missing = [key for key in _COLUMNS if columns and key not in columns and key not in given]
        faults += [
            (key, "missing, expected it here or as one number of the file") for key in missing
        ]
        if columns and not faults:
            wrong = sequence_faults(**_column_fields(columns))
            faults += [(_KEY_OF.get(key, key), text) for key, text in wrong]
        if faults or not columns:
            self.faults += [((*path, key), text) for key, text in faults]
            return None
        first = len(self.columns["tr_ms"])
        for key, column in columns.items():
            self.columns[key] = np.concatenate([self.columns[key], column])
        return range(first, len(self.columns["tr_ms"]))


def _fields(values: Mapping[str, Any], columns: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Fields of the `PulseSequence` but for its events and its name."""
    return {
        **_column_fields(columns),
        "spoiling": values.get("spoiling", "gradient"),
        "spoiler": _spoiler(values.get("spoiler")),
        "slice_profile": _slice_profile(values.get("slice_profile")),
    }


def _column_fields(columns: Mapping[str, FloatArray]) -> dict[str, Any]:
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


def _train_fields(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of the `Train`."""
    fields: dict[str, Any] = {"inversion": None, "repeats": 1, "wait": 0.0}
    inversion, train = values.get("inversion"), values.get("train")
    if inversion:
        fields["inversion"] = Inversion(inversion.efficiency, inversion.time_ms * 1e-3)
    if train:
        fields |= {"repeats": train.repeats, "wait": train.wait_ms * 1e-3}
    return fields


def _spoiler(block: Any) -> Spoiler | None:
    if block is None:
        return None
    return Spoiler(np.array(block.gradient_mt_per_m) * 1e-3, np.array(block.duration_ms) * 1e-3)


def _slice_profile(block: Any) -> SliceProfile | None:
    if block is None:
        return None
    return SliceProfile(np.array(block.flip_factor), np.array(block.weight))
