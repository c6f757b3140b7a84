"""The checked values of a sequence file to a PulseSequence; what is wrong with their numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.reading.columns import COLUMNS, column_fields
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
from mrftool.formats.sequence.reading.pulse_table import KEY_OF, PulseTable, read_columns
from mrftool.formats.sequence.reading.uncertainty import uncertainties_of
from mrftool.formats.sequence.schema.first import SelectivePulseBlock
from mrftool.formats.sequence.schema.second import PulsesBlock
from mrftool.sequence import (
    Inversion,
    PulseSequence,
    SelectivePulse,
    SliceProfile,
    Spoiler,
    Train,
    sequence_faults,
    train_faults,
)


def build_train(
    values: dict[str, Any], raw: dict[str, Any], folder: Path
) -> tuple[PulseSequence | None, list[PathFault]]:
    """The sequence of a file of version 1, or what is wrong with its numbers.

    A column that is missing is checked as if it did no harm.
    """
    columns, column_faults = read_columns(values, raw, folder)
    faults: list[PathFault] = [((key,), text) for key, text in column_faults]
    if not columns:
        return None, faults
    fields, played = _fields(values, columns), _train_fields(values)
    wrong = [*sequence_faults(**fields), *train_faults(**played)]
    faults += [((KEY_OF.get(key, key),), text) for key, text in wrong]
    if faults or not COLUMNS.keys() <= columns.keys():
        return None, faults
    return PulseSequence(**fields, events=Train(**played).events, **_beside(values)), []


def build_events(
    values: dict[str, Any], raw: dict[str, Any], folder: Path, rr: FloatArray | None
) -> tuple[PulseSequence | None, list[PathFault]]:
    """The sequence of a file of version 2, or what is wrong with its numbers.

    Parameters
    ----------
    values, raw : dict
        The checked values of the file, and the values as they stand there, by key.
    folder : Path
        Where its CSV files lie.
    rr : array or None
        RR intervals `(interval,)` [s] in place of the file's.
    """
    entries = values.get("events")
    if entries is None:
        return None, []
    if count_events(entries) > MOST_EVENTS:
        text = f"{count_events(entries)} events, expected at most {MOST_EVENTS}"
        return None, [(("events",), text)]
    blocks = list(blocks_of(entries))
    pulses = _pulses_of(blocks, values, raw, folder)
    programme = programme_of(blocks, pulses.played)
    columns = pulses.columns
    faults = [*pulses.faults, *programme.faults, *_event_faults(programme, len(columns["tr_ms"]))]
    if faults:
        return None, list(dict.fromkeys(faults))
    programme = _in_time(programme, values, columns["tr_ms"] * 1e-3, rr)
    if programme.faults:
        return None, list(dict.fromkeys(programme.faults))
    fields = _fields(values, _without_defaults(values, columns))
    fields["events"] = [event for _, event in programme.events]
    faults = [((KEY_OF.get(key, key),), text) for key, text in sequence_faults(**fields)]
    if faults:
        return None, faults
    return PulseSequence(**fields, **_beside(values)), []


def _pulses_of(
    blocks: Sequence[tuple[FilePath, Any]],
    values: dict[str, Any],
    raw: dict[str, Any],
    folder: Path,
) -> PulseTable:
    """The pulses of the file's own columns and of all blocks."""
    pulses = PulseTable(values, folder)
    if values.get("flip_angle_deg") is not None:
        pulses.add_shared(raw)
    for path, block in blocks:
        if isinstance(block, PulsesBlock):
            pulses.add_block(path, block)
    return pulses


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
    if rr is None:
        rr = np.zeros(0)
        if n_triggers > 1:
            text = f"missing, expected the RR intervals between {n_triggers} triggers"
            return Programme(faults=[(("rr_ms",), text)])
    elif not n_triggers:
        text = "RR intervals are given, but no event waits for a trigger"
        return Programme(faults=[(("rr_ms",), text)])
    return triggered(programme, rr, tr)


def _fields(values: Mapping[str, Any], columns: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Fields of the `PulseSequence` but for its events and its name."""
    return {
        **column_fields(columns),
        "spoiling": values.get("spoiling", "gradient"),
        "spoiler": _spoiler(values.get("spoiler")),
        "slice_profile": _slice_profile(values.get("slice_profile")),
    }


def _without_defaults(
    values: Mapping[str, Any], columns: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """The columns of all pulses, but for cycles of a spoiler where nothing spoils."""
    kept = dict(columns)
    if values.get("spoiling") == "none" and (kept["spoiler_cycles"] == 1).all():
        del kept["spoiler_cycles"]
    return kept


def _beside(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the `PulseSequence` on which no signal depends."""
    return {
        "name": values.get("name", "unnamed"),
        "uncertainty": uncertainties_of(values.get("uncertainty")),
    }


def _train_fields(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of the `Train`."""
    fields: dict[str, Any] = {"inversion": None, "repeats": 1, "wait": 0.0}
    inversion, train = values.get("inversion"), values.get("train")
    if inversion:
        fields["inversion"] = Inversion(
            inversion.efficiency, inversion.time_ms * 1e-3, inversion.spoiled
        )
    if train:
        fields |= {"repeats": train.repeats, "wait": train.wait_ms * 1e-3}
    return fields


def _spoiler(block: Any) -> Spoiler | None:
    if block is None:
        return None
    return Spoiler(np.array(block.gradient_mt_per_m) * 1e-3, np.array(block.duration_ms) * 1e-3)


def _slice_profile(block: Any) -> SliceProfile | SelectivePulse | None:
    if block is None:
        return None
    if isinstance(block, SelectivePulseBlock):
        return _selective_pulse(block)
    return SliceProfile(np.array(block.flip_factor), np.array(block.weight))


def _selective_pulse(block: SelectivePulseBlock) -> SelectivePulse:
    thickness = None
    if block.thickness_mm is not None:
        thickness = block.thickness_mm * 1e-3
    return SelectivePulse(
        shape=block.pulse,
        time_bandwidth=block.time_bandwidth,
        duration=block.duration_ms * 1e-3,
        apodisation=block.apodisation,
        positions=block.positions,
        extent=block.extent,
        rephasing=block.rephasing,
        thickness=thickness,
    )
