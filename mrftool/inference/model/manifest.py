"""The manifest: what a model file says about itself, as JSON in the metadata of the ONNX file."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mrftool.arrays import Range
from mrftool.errors import ArgumentError, InputError
from mrftool.formats.json_text import load_json
from mrftool.inference.model.scores import score_faults
from mrftool.manifold.parameters import (
    GIVEN,
    PARAMETERS,
    Parameter,
    parameter_named,
    parameters_of,
)

if TYPE_CHECKING:
    from onnx import ModelProto

KEY = "mrftool"
SCHEMA = 2
READABLE = (1, 2)

Number = int | float

_KNOWN = {parameter.name: parameter for parameter in PARAMETERS}

# Keys in the file, in the units of the file, and what is in memory: (field, factor to SI).
_SCALED = {"adc_mm2_per_s": ("adc", 1e-6)}
# Ranges in files of schema 1: (parameter, factor to its unit).
_RANGES_OF_SCHEMA_1 = {
    "t1_range_ms": ("t1", 1e-3),
    "t2_range_ms": ("t2", 1e-3),
    "b1_range": ("b1", 1.0),
}
_PLAIN: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "sequence": dict,
    "sequence_id": str,
    "sequence_name": str,
    "form": str,
    "n_time": int,
    "encoder": str,
    "polish": int,
    "rank": int,
    "grid": list,
    "table_error": (int, float),
    "truncation": (int, float),
    "weights_sha256": str,
    "versions": dict,
    "training": dict,
    "scores": dict,
}

_DEFAULTS = {"coils": 1}  # of keys that may be absent


@dataclass(frozen=True)
class Manifest:
    """Facts of a model.

    sequence: as plain numbers under the keys of a sequence file. form: "complex" or "magnitude".
    ranges: what it was made for, by name of the parameter [its unit]; estimates outside are
    flagged. Given parameters that it does not take are absent.
    adc: diffusion coefficient that it assumes [m2/s]. coils: whose root sum of squares magnitudes
    are.
    encoder: "none" (coarse search), "features" or "fingerprint". polish: number of Gauss-Newton
    steps.
    rank, grid: of the table. table_error, truncation: its largest relative errors, between nodes
    and by the basis [1].
    training: facts of the encoder's training. scores: what was measured against the exact engine.
    """

    name: str
    sequence: dict[str, Any]
    sequence_id: str
    sequence_name: str
    form: str
    n_time: int
    ranges: dict[str, Range]
    adc: float = 0.0
    coils: int = 1
    encoder: str = "none"
    polish: int = 2
    rank: int = 0
    grid: tuple[int, ...] = ()
    table_error: float = 0.0
    truncation: float = 0.0
    weights_sha256: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the parameters whose maps the model takes."""
        return tuple(parameter.name for parameter in GIVEN if parameter.name in self.ranges)


def write_manifest(model: "ModelProto", manifest: Manifest) -> None:
    """Put `manifest` into `model`, in place of the one that is there."""
    kept = [(p.key, p.value) for p in model.metadata_props if p.key != KEY]
    del model.metadata_props[:]
    for key, value in [*kept, (KEY, manifest_to_json(manifest))]:
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def read_manifest(model: "ModelProto", origin: str) -> Manifest:
    """The manifest of `model`. Raises InputError, naming `origin`, if there is none or it is not
    sound.
    """
    found = [p.value for p in model.metadata_props if p.key == KEY]
    if not found:
        raise InputError(
            f"{origin}: an ONNX file without mrftool's manifest, expected a model made by "
            f"mrftool export"
        )
    manifest = manifest_from_json(found[0], origin)
    if manifest.weights_sha256 != weights_sha256(model):
        raise InputError(
            f"{origin}: the numbers are not those that the manifest signs, expected an unchanged "
            f"file"
        )
    return manifest


def weights_sha256(model: "ModelProto") -> str:
    """Digest of all numbers and of the nodes of the graph, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for tensor in sorted(model.graph.initializer, key=lambda t: t.name):
        digest.update(tensor.SerializeToString(deterministic=True))
    for node in model.graph.node:
        digest.update(node.SerializeToString(deterministic=True))
    return digest.hexdigest()


def manifest_to_json(manifest: Manifest) -> str:
    """`manifest` as JSON, units in the keys."""
    facts = asdict(manifest)
    data: dict[str, Any] = {"schema": SCHEMA, **{key: facts[key] for key in _PLAIN}}
    if manifest.coils > 1:
        data["coils"] = manifest.coils
    data["parameters"] = {}
    for parameter in parameters_of(manifest.ranges):
        data["parameters"][parameter.name] = {
            "unit": parameter.unit,
            "transform": parameter.transform,
            "fitted": parameter.fitted,
            "range": [_tidy(x) for x in manifest.ranges[parameter.name]],
        }
    for key, (name, factor) in _SCALED.items():
        data[key] = _tidy(facts[name] / factor)
    return json.dumps(data, allow_nan=False)


def manifest_from_json(text: str, origin: str) -> Manifest:
    """The manifest in `text`. Raises InputError, naming `origin` and every fault, if it is not
    sound.
    """
    try:
        data = load_json(text)
    except ValueError as error:
        raise InputError(f"{origin}: the manifest is not JSON ({error})") from error
    data = _in_current_schema(data, origin)
    faults = [*_plain_faults(data), *_range_faults(data), *_number_faults(data)]
    faults += score_faults(data.get("scores"))
    if faults:
        raise InputError(f"{origin}: the manifest is not sound: " + "; ".join(faults))
    facts = {key: data[key] for key in _PLAIN} | {"grid": tuple(data["grid"])}
    facts["ranges"] = {key: tuple(x["range"]) for key, x in data["parameters"].items()}
    facts["coils"] = int(data.get("coils", _DEFAULTS["coils"]))
    for key, (name, factor) in _SCALED.items():
        facts[name] = data[key] * factor
    return Manifest(**facts)


def _in_current_schema(data: Any, origin: str) -> dict[str, Any]:
    """`data` in the keys of SCHEMA. Raises InputError for a schema that cannot be read."""
    found = None
    if isinstance(data, dict):
        found = data.get("schema")
    if found not in READABLE:
        known = " or ".join(map(str, READABLE))
        raise InputError(
            f"{origin}: the manifest has schema {found!r}, expected {known}",
            hint="made by another version of mrftool? export it again",
        )
    if found == 1:
        data = data | {"parameters": _ranges_of_schema_1(data)}
    return dict(data)


def _ranges_of_schema_1(data: dict[str, Any]) -> dict[str, Any]:
    """The ranges of the parameters, as schema 1 names them, under the names of SCHEMA."""
    ranges = {}
    for key, (name, factor) in _RANGES_OF_SCHEMA_1.items():
        limits = data.get(key)
        if isinstance(limits, list) and all(map(_is_number, limits)):
            limits = [limit * factor for limit in limits]
        if limits is not None or parameter_named(name).fitted:
            ranges[name] = {"range": limits}
    return ranges


def _plain_faults(data: dict[str, Any]) -> list[str]:
    """Faults of the values that stand in the manifest as they are."""
    needed = (*_PLAIN, *_SCALED, "parameters")
    faults = [f"{key} is missing" for key in needed if key not in data]
    for key, kind in _PLAIN.items():
        if key in data and not _is_of(kind, data[key]):
            faults.append(f"{key} is {_shown(data[key])}")
    return faults + _choice_faults(data)


def _is_of(kind: Any, value: Any) -> bool:
    """Whether a value is of a type; true and false are no numbers."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _choice_faults(data: dict[str, Any]) -> list[str]:
    faults = []
    if data.get("form") not in ("complex", "magnitude"):
        faults.append(f"form is {_shown(data.get('form'))}, expected complex or magnitude")
    if data.get("encoder") not in ("none", "features", "fingerprint"):
        faults.append(
            f"encoder is {_shown(data.get('encoder'))}, expected none, features or fingerprint"
        )
    return faults


def _range_faults(data: dict[str, Any]) -> list[str]:
    """Faults of the parameters: unknown or missing ones, other units, and ranges."""
    entries = data.get("parameters", {})
    if not isinstance(entries, dict):
        return [f"parameters is {_shown(entries)}"]
    faults = [f"unknown parameter {name}" for name in entries if name not in _KNOWN]
    for name, parameter in _KNOWN.items():
        entry = entries.get(name, {})
        if entry or parameter.fitted:
            faults += _entry_faults(parameter, entry)
    return faults


def _entry_faults(parameter: Parameter, entry: Any) -> list[str]:
    """Faults of what a manifest says of one parameter."""
    stated = entry if isinstance(entry, dict) else {}
    faults = []
    for key in ("unit", "transform", "fitted"):
        expected = getattr(parameter, key)
        if stated.get(key, expected) != expected:
            faults.append(
                f"{key} of {parameter.name} is {_shown(stated[key])}, expected {expected}"
            )
    limits = stated.get("range")
    if not _is_range(limits, parameter):
        faults.append(
            f"range of {parameter.name} is {_shown(limits)}, expected two numbers in order"
        )
    return faults


def _number_faults(data: dict[str, Any]) -> list[str]:
    faults = []
    least_numbers = {"adc_mm2_per_s": 0.0, "n_time": 1, "polish": 0, "rank": 1, "coils": 1}
    for key, least in least_numbers.items():
        value = data.get(key, _DEFAULTS.get(key))
        if value is None or not _is_number(value) or value < least:
            faults.append(f"{key} is {_shown(value)}, expected a number of at least {least:g}")
    return faults


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_range(value: Any, parameter: Parameter) -> bool:
    if not (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))):
        return False
    try:
        parameter.check_range((value[0], value[1]))
    except ArgumentError:
        return False
    return True


def _shown(value: Any) -> str:
    return repr(value)[:40]


def _tidy(value: Number) -> float:
    """Twelve digits: 0.1 s is 100 ms, not 100.00000000000001."""
    return float(f"{value:.12g}")
