"""RF-sequence files (YAML) to PulseSequence and back. All faults of a file are reported at once,
with key and line.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from mrftool.errors import ArgumentError, InputError
from mrftool.formats.regular_file import read_regular
from mrftool.formats.sequence.rules import own_length, resolve
from mrftool.formats.sequence.schema import SequenceFile
from mrftool.formats.sequence.words import in_words
from mrftool.formats.sequence.yaml_text import Fault, Lines, dump_yaml, load_mapping
from mrftool.sequence import (
    Inversion,
    PulseSequence,
    SliceProfile,
    Spoiler,
    Train,
    sequence_faults,
    train_faults,
)
from mrftool.shipped import find_file

MAX_BYTES = 20_000_000
_COLUMNS = {
    "flip_angle_deg": "flip_angle",
    "rf_phase_deg": "rf_phase",
    "tr_ms": "tr",
    "te_ms": "te",
}
_KEY_OF = {**{field: key for key, field in _COLUMNS.items()}, "repeats": "train", "wait": "train"}


def read_sequence(name: str | Path) -> PulseSequence:
    """The sequence in a YAML file, or a shipped one by its name.

    Raises InputError that names every fault of the file with its line and key.
    """
    path = find_file("sequences", str(name), ".yaml")
    return parse_sequence(_read_text(path), folder=path.parent, origin=str(path))


def parse_sequence(
    text: str, *, folder: Path | None = None, origin: str = "sequence"
) -> PulseSequence:
    """The sequence in a YAML text; CSV files are looked for in `folder`. Raises InputError as
    read_sequence does.
    """
    raw, lines, twice = load_mapping(text, origin)
    values, faults = _validate(raw, lines)
    faults += twice
    columns, column_faults = _columns(values, raw, folder or Path())
    faults += [Fault(lines.get((key,), 0), key, text) for key, text in column_faults]
    sequence, number_faults = _build(values, columns)
    faults += [
        Fault(lines.get((_KEY_OF.get(k, k),), 0), _KEY_OF.get(k, k), text)
        for k, text in number_faults
    ]
    if faults or sequence is None:
        listed = "\n".join(f"  {fault}" for fault in sorted(faults, key=lambda fault: fault.line))
        raise InputError(
            f"{origin}: {len(faults)} fault{'s' if len(faults) > 1 else ''} in the sequence\n{listed}"
        )
    return sequence


def sequence_to_dict(sequence: PulseSequence) -> dict[str, Any]:
    """The sequence as plain numbers under the keys of a sequence file: for manifests, sidecars and
    new files.
    """
    train = sequence.train
    if train is None:
        raise ArgumentError(
            "a sequence file of version 1 holds one train, expected no other events"
        )
    data: dict[str, Any] = {
        "mrftool_sequence": 1,
        "name": sequence.name,
        "repetitions": len(sequence.flip_angle),
        "flip_angle_deg": _plain(np.rad2deg(sequence.flip_angle), 1e-9),
        "rf_phase_deg": _plain(np.rad2deg(sequence.rf_phase), 1e-9),
        "tr_ms": _plain(sequence.tr * 1e3, 1e-9),
        "te_ms": _plain(sequence.te * 1e3, 1e-9),
        "train": {"repeats": train.repeats, "wait_ms": _plain(train.wait * 1e3, 1e-9)},
        "spoiling": sequence.spoiling,
    }
    if train.inversion:
        time = _plain(train.inversion.time * 1e3, 1e-9)
        data["inversion"] = {"efficiency": train.inversion.efficiency, "time_ms": time}
    if sequence.spoiler:
        axes = [_list(pieces, 1e-9) for pieces in sequence.spoiler.axes * 1e3]
        duration = _list(sequence.spoiler.duration * 1e3, 1e-9)
        data["spoiler"] = {
            "gradient_mt_per_m": axes if len(axes) > 1 else axes[0],
            "duration_ms": duration,
        }
    if sequence.slice_profile:
        profile = sequence.slice_profile
        data["slice_profile"] = {
            "flip_factor": profile.flip_factor.tolist(),
            "weight": profile.weight.tolist(),
        }
    return data


def sequence_from_dict(data: dict[str, Any], origin: str = "sequence") -> PulseSequence:
    """The sequence from what sequence_to_dict gave. Raises InputError as read_sequence does."""
    return parse_sequence(dump_yaml(data), origin=origin)


def sequence_summary(sequence: PulseSequence) -> dict[str, str]:
    """What a person wants to know of a sequence, as label and text."""
    phase = "constant"
    if np.ptp(sequence.rf_phase) > 0:
        phase = _range(np.rad2deg(sequence.rf_phase), "deg")
    spoiling: str = sequence.spoiling
    if sequence.spoiler:
        spoiling += ", waveform given"
    profile = "none"
    if sequence.slice_profile:
        profile = f"{len(sequence.slice_profile.weight)} positions"
    return {
        "repetitions": f"{len(sequence)}",
        "duration": f"{sequence.duration:.3f} s",
        "flip angle": _range(np.rad2deg(sequence.flip_angle), "deg"),
        "RF phase": phase,
        "TR": _range(sequence.tr * 1e3, "ms"),
        "TE": _range(sequence.te * 1e3, "ms"),
        **_preparations(sequence),
        "spoiling": spoiling,
        "slice profile": profile,
        "sequence id": sequence.sequence_id,
    }


def _preparations(sequence: PulseSequence) -> dict[str, str]:
    train = sequence.train
    if train is None:
        return {"events": f"{len(sequence.events)}"}
    inversion, played = "none", "once"
    if train.inversion:
        efficiency, time = train.inversion.efficiency, train.inversion.time * 1e3
        inversion = f"efficiency {efficiency:g}, TI {time:g} ms"
    if train.repeats > 1:
        played = f"played {train.repeats} x, {train.wait * 1e3:g} ms between"
    return {"inversion": inversion, "train": played}


def json_schema() -> dict[str, Any]:
    """JSON Schema of sequence files, for editors."""
    schema = SequenceFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _read_text(path: Path) -> str:
    try:
        return read_regular(path, MAX_BYTES, "a sequence file").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file, expected YAML") from error


def _validate(raw: dict[str, Any], lines: Lines) -> tuple[dict[str, Any], list[Fault]]:
    """Each key on its own, so that one fault does not hide the others."""
    values: dict[str, Any] = {}
    faults = []
    fields = SequenceFile.model_fields
    for key in raw:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.5)
            hint = (
                f", did you mean {close[0]}?"
                if close
                else f", expected one of: {', '.join(fields)}"
            )
            faults.append(Fault(lines.get((str(key),), 0), str(key), "unknown key" + hint))
    for key, info in fields.items():
        if key not in raw:
            if info.is_required():
                faults.append(Fault(0, key, "missing, expected " + _about(info)))
            else:
                values[key] = info.get_default(call_default_factory=True)
            continue
        try:
            values[key] = TypeAdapter(_annotation(info)).validate_python(raw[key])
        except ValidationError as error:
            faults += [_fault(key, detail, lines) for detail in error.errors()]
    return values, faults


def _annotation(info: FieldInfo) -> Any:
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


def _about(info: FieldInfo) -> str:
    return info.description or "a value"


_TAGS = {"number", "list", "axes", "csv", "lobes", "spline", "quadratic", "cycle"}


def _fault(key: str, detail: Any, lines: Lines) -> Fault:
    path = (key, *(part for part in detail["loc"] if part not in _TAGS))
    line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 0)
    name = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in path).replace(
        ".[", "["
    )
    return Fault(line, name, in_words(detail))


def _columns(
    values: dict[str, Any], raw: dict[str, Any], folder: Path
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


def _build(
    values: dict[str, Any], columns: dict[str, Any]
) -> tuple[PulseSequence | None, list[tuple[str, str]]]:
    """The sequence, or what is wrong with its numbers. A column that is missing is checked as if it
    did no harm.
    """
    if not columns:
        return None, []
    n = len(next(iter(columns.values())))
    harmless = {"flip_angle_deg": 0.0, "rf_phase_deg": 0.0, "tr_ms": 60e3, "te_ms": 0.0}
    filled = {key: columns.get(key, np.full(n, value)) for key, value in harmless.items()}
    fields: dict[str, Any] = {
        "flip_angle": np.deg2rad(filled["flip_angle_deg"]),
        "rf_phase": np.deg2rad(filled["rf_phase_deg"]),
        "tr": filled["tr_ms"] * 1e-3,
        "te": filled["te_ms"] * 1e-3,
        "spoiling": values.get("spoiling", "gradient"),
        "spoiler": _spoiler(values.get("spoiler")),
        "slice_profile": _slice_profile(values.get("slice_profile")),
    }
    played = _train_fields(values)
    faults = [*sequence_faults(**fields), *train_faults(**played)]
    if faults or len(columns) < len(_COLUMNS):
        return None, faults
    name = values.get("name", "unnamed")
    return PulseSequence(**fields, events=Train(**played).events, name=name), []


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
    return f"{low:g} {unit}" if low == high else f"{low:g} to {high:g} {unit}"
