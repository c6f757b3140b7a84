"""RF-sequence files (YAML) to PulseSequence and back. All faults of a file are reported at once,
with key and line.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.environment.shipped import find_file
from mrftool.errors import InputError
from mrftool.formats.regular_file import read_regular
from mrftool.formats.sequence.plain_train import plain_train
from mrftool.formats.sequence.reading.slice_profile import profile_block, profile_in_words
from mrftool.formats.sequence.reading.uncertainty import uncertainty_block
from mrftool.sequence import Event, Invert, Pulses, PulseSequence, T2Prep, Trigger, Wait
from mrftool.sequence.timeline import trigger_times

if TYPE_CHECKING:
    from mrftool.formats.sequence.reading.yaml_text import Fault, Lines

MAX_BYTES = 20_000_000


def read_sequence(name: str | Path, *, rr: FloatArray | None = None) -> PulseSequence:
    """The sequence in a YAML file, or a shipped one by its name.

    Parameters
    ----------
    name
        Path of the file, or name of a shipped sequence.
    rr
        RR intervals between the triggers that the sequence waits for `(interval,)`, or the times of
        all triggers `(trigger,)`, or one interval for all `()` [s], in place of those in the file.

    Raises
    ------
    InputError
        Naming every fault of the file with its line and key.
    """
    path = find_file("sequences", str(name), ".yaml")
    return parse_sequence(_read_text(path), folder=path.parent, origin=str(path), rr=rr)


def as_sequence(sequence: PulseSequence | str | Path) -> PulseSequence:
    """A sequence: as it is, from its file, or a shipped one by its name."""
    if isinstance(sequence, PulseSequence):
        return sequence
    return read_sequence(sequence)


def parse_sequence(
    text: str,
    *,
    folder: Path | None = None,
    origin: str = "sequence",
    rr: FloatArray | None = None,
) -> PulseSequence:
    """The sequence in a YAML text; CSV files are looked for in `folder`. Raises InputError as
    read_sequence does.
    """
    from mrftool.formats.sequence.reading.yaml_text import load_mapping

    raw, lines, faults = load_mapping(text, origin)
    return _checked(raw, lines, faults, folder or Path(), origin, rr)


def _checked(
    raw: dict[str, Any],
    lines: "Lines",
    faults: list["Fault"],
    folder: Path,
    origin: str,
    rr: FloatArray | None = None,
) -> PulseSequence:
    """The sequence in a mapping. Raises InputError with its faults and those that are given."""
    if rr is None and not faults:
        plain = plain_train(raw)
        if plain is not None:
            return plain
    return _checked_by_schema(raw, lines, faults, folder, origin, rr)


def _checked_by_schema(
    raw: dict[str, Any],
    lines: "Lines",
    faults: list["Fault"],
    folder: Path,
    origin: str,
    rr: FloatArray | None,
) -> PulseSequence:
    from mrftool.formats.sequence.reading.building import build_events, build_train
    from mrftool.formats.sequence.reading.validation import fault_at, validate
    from mrftool.formats.sequence.schema import VERSIONS, EventFile, SequenceFile

    version = raw.get("mrftool_sequence")
    schema: type[SequenceFile] | type[EventFile] = SequenceFile
    if isinstance(version, int):
        schema = VERSIONS.get(version, SequenceFile)
    values, invalid = validate(raw, lines, schema)
    if schema is EventFile:
        sequence, wrong = build_events(values, raw, folder, rr)
    else:
        sequence, wrong = build_train(values, raw, folder)
        if rr is not None:
            wrong.append((("rr_ms",), "RR intervals are given, but nothing waits for a trigger"))
    faults += [*invalid, *(fault_at(path, text, lines) for path, text in wrong)]
    if faults or sequence is None:
        raise InputError(_faults_in_words(faults, origin))
    return sequence


def _faults_in_words(faults: list["Fault"], origin: str) -> str:
    listed = "\n".join(f"  {fault}" for fault in sorted(faults, key=lambda fault: fault.line))
    number = f"{len(faults)} faults"
    if len(faults) == 1:
        number = "1 fault"
    return f"{origin}: {number} in the sequence\n{listed}"


def sequence_to_dict(sequence: PulseSequence) -> dict[str, Any]:
    """The sequence as plain numbers under the keys of a sequence file: for manifests, sidecars and
    new files.
    """
    data: dict[str, Any] = {
        "mrftool_sequence": 1,
        "name": sequence.name,
        "repetitions": len(sequence.flip_angle),
        "flip_angle_deg": _plain(np.rad2deg(sequence.flip_angle), 1e-9),
        "rf_phase_deg": _plain(np.rad2deg(sequence.rf_phase), 1e-9),
        "tr_ms": _plain(sequence.tr * 1e3, 1e-9),
        "te_ms": _plain(sequence.te * 1e3, 1e-9),
        **_readout(sequence),
        **_played(sequence),
        "spoiling": sequence.spoiling,
    }
    if sequence.train is None:
        data["mrftool_sequence"] = 2
    if sequence.spoiler:
        axes: Any = [_list(pieces, 1e-9) for pieces in sequence.spoiler.axes * 1e3]
        if len(axes) == 1:
            axes = axes[0]
        duration = _list(sequence.spoiler.duration * 1e3, 1e-9)
        data["spoiler"] = {"gradient_mt_per_m": axes, "duration_ms": duration}
    if sequence.slice_profile:
        data["slice_profile"] = profile_block(sequence.slice_profile)
    if sequence.uncertainty:
        data["uncertainty"] = uncertainty_block(sequence.uncertainty)
    return data


def _readout(sequence: PulseSequence) -> dict[str, Any]:
    """Further echoes, the receiver's phase and the spoiler's cycles, where they are not usual."""
    data: dict[str, Any] = {}
    if sequence.later_echoes.size:
        data["later_echoes_ms"] = _list(sequence.later_echoes * 1e3, 1e-9)
    if sequence.receiver_phase is not None:
        data["receiver_phase_deg"] = _plain(np.rad2deg(sequence.receiver), 1e-9)
    if sequence.spoiler_cycles is not None:
        data["spoiler_cycles"] = _plain(sequence.spoiler_cycles, 1e-9)
    return data


def _played(sequence: PulseSequence) -> dict[str, Any]:
    """The events: in the words of version 1 if they are a train."""
    train = sequence.train
    if train is None:
        return _listed(sequence)
    wait = _plain(train.wait * 1e3, 1e-9)
    data: dict[str, Any] = {"train": {"repeats": train.repeats, "wait_ms": wait}}
    if train.inversion:
        time = _plain(train.inversion.time * 1e3, 1e-9)
        data["inversion"] = {"efficiency": train.inversion.efficiency, "time_ms": time}
    return data


def _listed(sequence: PulseSequence) -> dict[str, Any]:
    """The events of a sequence that is no train, and the RR intervals between its triggers."""
    from mrftool.formats.sequence.reading.programme import events_to_list

    triggers = trigger_times(sequence)
    can_say_triggers = triggers[:1] == [0.0]  # a file that has some begins with one
    events: list[Event] = []
    for event in sequence.events:
        if isinstance(event, Trigger) and can_say_triggers:
            events.append(event)
        elif isinstance(event, Trigger):
            events.append(Wait(event.time))
        elif event != Wait(0.0):
            events.append(event)
    data: dict[str, Any] = {"events": events_to_list(events, len(sequence.flip_angle))}
    if can_say_triggers and len(triggers) > 1:
        data["rr_ms"] = _list(np.diff(triggers) * 1e3, 1e-9)
    return data


def sequence_from_dict(data: dict[str, Any], origin: str = "sequence") -> PulseSequence:
    """The sequence from what sequence_to_dict gave. Raises InputError as read_sequence does."""
    try:
        text = json.dumps(data)
    except (TypeError, ValueError, RecursionError):  # which YAML may be able to write
        from mrftool.formats.sequence.reading.yaml_text import dump_yaml

        return parse_sequence(dump_yaml(data), origin=origin)
    return _from_json(text, origin)


@lru_cache(maxsize=16)
def _from_json(text: str, origin: str) -> PulseSequence:
    """The sequence in the JSON text of a mapping: a run asks for that of its model many times."""
    return _checked(json.loads(text), {}, [], Path(), origin)


def sequence_summary(sequence: PulseSequence) -> dict[str, str]:
    """What a person wants to know of a sequence, as label and text."""
    phase = "constant"
    if np.ptp(sequence.rf_phase) > 0:
        phase = _range(np.rad2deg(sequence.rf_phase), "deg")
    if sequence.receiver_phase is not None:
        phase += f"; receiver {_range(np.rad2deg(sequence.receiver_phase), 'deg')}"
    spoiling: str = sequence.spoiling
    if sequence.spoiler_cycles is not None:
        spoiling += f", {_range(sequence.spoiler_cycles, 'cycles')}"
    if sequence.spoiler:
        spoiling += ", waveform given"
    te = _range(sequence.te * 1e3, "ms")
    if sequence.later_echoes.size:
        later = ", ".join(f"{time * 1e3:g}" for time in sequence.later_echoes)
        te += f", and echoes {later} ms later"
    return {
        "repetitions": f"{len(sequence)}",
        "duration": f"{sequence.duration:.3f} s",
        "flip angle": _range(np.rad2deg(sequence.flip_angle), "deg"),
        "RF phase": phase,
        "TR": _range(sequence.tr * 1e3, "ms"),
        "TE": te,
        **_preparations(sequence),
        "spoiling": spoiling,
        "slice profile": profile_in_words(sequence.slice_profile),
        "sequence id": sequence.sequence_id,
    }


def _preparations(sequence: PulseSequence) -> dict[str, str]:
    train = sequence.train
    if train is None:
        return {"events": ", ".join(_event_names(sequence)), **_preparation_times(sequence)}
    inversion, played = "none", "once"
    if train.inversion:
        efficiency, time = train.inversion.efficiency, train.inversion.time * 1e3
        inversion = f"efficiency {efficiency:g}, TI {time:g} ms"
    if train.repeats > 1:
        played = f"played {train.repeats} x, {train.wait * 1e3:g} ms between"
    return {"inversion": inversion, "train": played}


def _preparation_times(sequence: PulseSequence) -> dict[str, str]:
    """TI, from each inversion to the next pulse, and the TE of T2 preparations."""
    times: dict[str, list[float]] = {"TI": [], "T2 preparation TE": []}
    since: float | None = None  # an inversion [s]
    for event in sequence.events:
        if isinstance(event, Pulses):
            times["TI"] += [] if since is None else [since]
            since = None
        elif isinstance(event, Invert):
            since = 0.0
        elif since is not None:
            since += event.duration
        if isinstance(event, T2Prep):
            times["T2 preparation TE"].append(event.te)
    return {label: _range(np.array(found) * 1e3, "ms") for label, found in times.items() if found}


def _event_names(sequence: PulseSequence) -> list[str]:
    """How often each kind of event is played."""
    from mrftool.formats.sequence.reading.programme import events_to_list

    kinds = [next(iter(entry)) for entry in events_to_list(sequence.events, len(sequence.tr))]
    return [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]


def _read_text(path: Path) -> str:
    try:
        return read_regular(path, MAX_BYTES, "a sequence file").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8, expected YAML") from error


def _list(values: Any, resolution: float) -> list[float]:
    return [
        float(np.round(v / resolution) * resolution) if abs(v / resolution) < 2**52 else float(v)
        for v in values
    ]


def _plain(values: Any, resolution: float) -> Any:
    """A list of numbers, or one number if all are the same, without the last digits that unit
    conversion leaves.
    """
    digits = round(-np.log10(resolution))
    rounded = np.round(np.asarray(values, np.float64), digits)
    if rounded.ndim == 0 or (rounded == rounded.flat[0]).all():
        return float(rounded.flat[0])
    return [float(value) for value in rounded]


def _range(values: Any, unit: str) -> str:
    low, high = float(values.min()), float(values.max())
    if low == high:
        return f"{low:g} {unit}"
    return f"{low:g} to {high:g} {unit}"
