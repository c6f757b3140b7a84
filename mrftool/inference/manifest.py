"""The manifest: what a model file says about itself, as JSON in the metadata of the ONNX file."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mrftool.arrays import Range
from mrftool.errors import InputError

if TYPE_CHECKING:
    from onnx import ModelProto

KEY = "mrftool"
SCHEMA = 1

Number = int | float

# Keys in the file, in the units of the file, and what is in memory: (field, type, factor to SI).
_RANGES = {
    "t1_range_ms": ("t1_range", 1e-3),
    "t2_range_ms": ("t2_range", 1e-3),
    "b1_range": ("b1_range", 1.0),
}
_SCALED = {"adc_mm2_per_s": ("adc", 1e-6)}
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


@dataclass(frozen=True)
class Manifest:
    """Facts of a model.

    sequence: as plain numbers under the keys of a sequence file. form: "complex" or "magnitude".
    t1_range, t2_range [s], b1_range [1] (None: takes no B1): what it was made for; estimates
    outside are flagged.
    adc: diffusion coefficient that it assumes [m2/s].
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
    t1_range: Range
    t2_range: Range
    b1_range: Range | None = None
    adc: float = 0.0
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
    def takes_b1(self) -> bool:
        """Whether the model needs a B1 map."""
        return self.b1_range is not None


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
            f"{origin}: an ONNX file without mrftool's manifest, expected a model made by mrftool export"
        )
    manifest = manifest_from_json(found[0], origin)
    if manifest.weights_sha256 != weights_sha256(model):
        raise InputError(
            f"{origin}: the numbers are not those that the manifest signs, expected an unchanged file"
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
    for key, (name, factor) in _RANGES.items():
        data[key] = None if facts[name] is None else [_tidy(x / factor) for x in facts[name]]
    for key, (name, factor) in _SCALED.items():
        data[key] = _tidy(facts[name] / factor)
    return json.dumps(data, allow_nan=False)


def manifest_from_json(text: str, origin: str) -> Manifest:
    """The manifest in `text`. Raises InputError, naming `origin` and every fault, if it is not
    sound.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{origin}: the manifest is not JSON ({error})") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else None
        raise InputError(
            f"{origin}: the manifest has schema {found!r}, expected {SCHEMA}",
            hint="made by another version of mrftool? export it again",
        )
    faults = [*_plain_faults(data), *_number_faults(data)]
    if faults:
        raise InputError(f"{origin}: the manifest is not sound: " + "; ".join(faults))
    facts = {key: data[key] for key in _PLAIN} | {"grid": tuple(data["grid"])}
    for key, (name, factor) in _RANGES.items():
        facts[name] = None if data[key] is None else tuple(x * factor for x in data[key])
    for key, (name, factor) in _SCALED.items():
        facts[name] = data[key] * factor
    return Manifest(**facts)


def _plain_faults(data: dict[str, Any]) -> list[str]:
    faults = [f"{key} is missing" for key in (*_PLAIN, *_RANGES, *_SCALED) if key not in data]
    for key, kind in _PLAIN.items():
        if key in data and (not isinstance(data[key], kind) or isinstance(data[key], bool)):
            faults.append(f"{key} is {_shown(data[key])}")
    if data.get("form") not in ("complex", "magnitude"):
        faults.append(f"form is {_shown(data.get('form'))}, expected complex or magnitude")
    if data.get("encoder") not in ("none", "features", "fingerprint"):
        faults.append(
            f"encoder is {_shown(data.get('encoder'))}, expected none, features or fingerprint"
        )
    return faults


def _number_faults(data: dict[str, Any]) -> list[str]:
    faults = []
    for key in _RANGES:
        value: Any = data.get(key)
        if (value is None and key == "b1_range") or _is_range(value):
            continue
        faults.append(f"{key} is {_shown(value)}, expected two positive numbers in order")
    for key, least in (("adc_mm2_per_s", 0.0), ("n_time", 1), ("polish", 0), ("rank", 1)):
        value = data.get(key)
        if not _is_number(value) or value < least:
            faults.append(f"{key} is {_shown(value)}, expected a number of at least {least:g}")
    return faults


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(map(_is_number, value))
        and 0 < value[0] < value[1]
    )


def _shown(value: Any) -> str:
    return repr(value)[:40]


def _tidy(value: Number) -> float:
    """Twelve digits: 0.1 s is 100 ms, not 100.00000000000001."""
    return float(f"{value:.12g}")
