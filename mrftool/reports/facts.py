"""A run of quantification in numbers: what `report.json` holds, described key by key in
docs/report.md.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray
from mrftool.errors import InputError
from mrftool.figures.panels import Style, style_of
from mrftool.figures.views import orientation
from mrftool.maps import Maps
from mrftool.quantities import FLAGS, Flag, quantity
from mrftool.reports.remarks import Remark, implied_snr, remarks, with_signal
from mrftool.reports.run import Method, Run
from mrftool.sequence import PulseSequence

SCHEMA = 1
_N_BINS = 60
_MOST_DEPTH = 12
_PERCENTILES = {"p1": 1, "p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95, "p99": 99}
_SCAN_WORDS = ("SeriesDescription", "ProtocolName", "Manufacturer", "ManufacturersModelName")


def run_facts(run: Run, sequence: PulseSequence | None) -> dict[str, Any]:
    """All facts of a run, as plain JSON without NaN. sequence: of the method, where it could be
    read.
    """
    signal = with_signal(run.maps)
    found = remarks(run, signal)
    if sequence is None and run.method.sequence is not None:
        text = f"The {run.method.kind} does not describe its sequence in a way that can be read."
        found.append(Remark("sequence_unreadable", "warning", text))
    facts = {
        "mrftool_report": SCHEMA,
        "status": "look" if any(remark.level == "warning" for remark in found) else "good",
        "remarks": [_remark_facts(remark) for remark in found],
        "assumptions": list(run.assumptions),
        "command": run.command,
        "started": run.started,
        "input": _input_facts(run),
        "options": dict(run.options),
        "method": _method_facts(run.method),
        "sequence": _sequence_facts(run.method, sequence),
        "voxels": _voxel_facts(run.maps, signal),
        "implied_snr": implied_snr(run, signal),
        "statistics": {
            name: _statistics(name, image, run.maps)
            for name, image in run.maps.images()
            if name != "flags"
        },
        "maps": dict(run.files),
        "seconds": {
            stage: {"wall": wall, "cpu": cpu} for stage, (wall, cpu) in run.seconds.items()
        },
        "versions": dict(run.versions),
    }
    return dict(_plain(facts))


def read_plain_sequence(data: Mapping[str, Any] | None) -> PulseSequence | None:
    """The sequence that a method names, or None if it names none that can be read."""
    from mrftool.formats.sequence.yaml_file import sequence_from_dict

    try:
        return None if data is None else sequence_from_dict(dict(data))
    except InputError:
        return None


def window_of(name: str, image: Array) -> tuple[Style, float, float]:
    """How a map is shown, and the ends of its window in the unit in memory."""
    style = style_of(name, image)
    return style, style.window[0] / style.scale, style.window[1] / style.scale


def _remark_facts(remark: Remark) -> dict[str, Any]:
    keys = ("code", "level", "text", "value", "limit")
    return {key: getattr(remark, key) for key in keys if getattr(remark, key) is not None}


def _input_facts(run: Run) -> dict[str, Any]:
    series = run.series
    codes, oblique = orientation(series.affine)
    return {
        "path": run.source,
        "name": series.name,
        "format": run.kind,
        "bytes": run.n_bytes,
        "shape": [*series.shape, series.n_time],
        "form": series.form,
        "voxel_size_mm": [
            round(float(edge), 6) for edge in np.linalg.norm(series.affine[:3, :3], axis=0)
        ],
        "orientation": codes,
        "oblique_deg": round(oblique, 3),
        "affine_mm": series.affine.tolist(),
        "sequence_id": series.sequence_id,
        **_scanner_facts(series.sidecar or {}),
    }


def _scanner_facts(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the scan says of its series and its scanner, in the words of a BIDS sidecar; None where
    it says nothing.
    """
    texts = {key: said[key] for key in _SCAN_WORDS if isinstance(said.get(key), str)}
    field = said.get("MagneticFieldStrength")
    maker = " ".join(
        texts[key] for key in ("Manufacturer", "ManufacturersModelName") if key in texts
    )
    return {
        "description": texts.get("SeriesDescription", texts.get("ProtocolName")),
        "scanner": maker or None,
        "field_t": field if isinstance(field, int | float) and 0 < field < 100 else None,
    }


def _method_facts(method: Method) -> dict[str, Any]:
    return {
        "kind": method.kind,
        "name": method.name,
        "file": method.file,
        "sha256": method.sha256,
        "t1_range_ms": _in_ms(method.t1_range),
        "t2_range_ms": _in_ms(method.t2_range),
        "b1_range": None if method.b1_range is None else list(method.b1_range),
        **method.numbers,
        "scores": dict(method.scores),
    }


def _sequence_facts(method: Method, sequence: PulseSequence | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": method.sequence_name, "id": method.sequence_id}
    if sequence is None:
        return facts
    columns = {
        "flip_angle_deg": np.rad2deg(sequence.flip_angle),
        "rf_phase_deg": np.rad2deg(sequence.rf_phase),
        "tr_ms": sequence.tr * 1e3,
        "te_ms": sequence.te * 1e3,
    }
    inversion = sequence.inversion
    return {
        **facts,
        "repetitions": len(sequence),
        "duration_s": sequence.duration,
        "inversion": None
        if inversion is None
        else {"efficiency": inversion.efficiency, "time_ms": inversion.time * 1e3},
        "repeats": sequence.repeats,
        "wait_ms": sequence.wait * 1e3,
        "spoiling": sequence.spoiling,
        **{key: [round(float(value), 6) for value in column] for key, column in columns.items()},
    }


def _voxel_facts(maps: Maps, signal: BoolArray) -> dict[str, Any]:
    flags = maps.flags
    measured = int(np.count_nonzero((flags & Flag.MASKED) == 0))
    return {
        "total": int(flags.size),
        "measured": measured,
        "with_signal": int(signal.sum()),
        "without_complaint": int(np.count_nonzero(flags == 0)),
        "with_signal_without_complaint": int(np.count_nonzero(flags[signal] == 0)),
        "flags": [
            {
                "bit": int(flag),
                "name": str(flag.name).lower(),
                "meaning": FLAGS[flag].text,
                "voxels": int(np.count_nonzero(flags & flag)),
                "with_signal": int(np.count_nonzero(flags[signal] & flag)),
            }
            for flag in Flag
        ],
    }


def _statistics(name: str, image: Array, maps: Maps) -> dict[str, Any]:
    """Of the voxels without complaint, in the unit of the map's file."""
    values = np.abs(image[maps.flags == 0])
    values = values[np.isfinite(values)].astype(np.float64)
    facts: dict[str, Any] = {"unit": quantity(name).unit.name, "n": int(values.size)}
    if not values.size:
        return facts
    _, low, high = window_of(name, image)
    counts, _ = np.histogram(values[(values >= low) & (values <= high)], _N_BINS, (low, high))
    facts |= {"mean": float(values.mean()), "min": float(values.min()), "max": float(values.max())}
    found = np.percentile(values, list(_PERCENTILES.values()))
    facts |= {key: float(value) for key, value in zip(_PERCENTILES, found, strict=True)}
    below, above = int(np.count_nonzero(values < low)), int(np.count_nonzero(values > high))
    facts["histogram"] = {
        "from": low,
        "to": high,
        "counts": counts.tolist(),
        "below": below,
        "above": above,
    }
    return facts


def _in_ms(limits: Sequence[float]) -> list[float]:
    return [round(x * 1e3, 6) for x in limits]


def _plain(value: Any, depth: int = 0) -> Any:
    """What JSON can hold: numbers that are not finite, and depths that no sane file has, become
    null.
    """
    if isinstance(value, (Mapping, list, tuple)) and depth == _MOST_DEPTH:
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
