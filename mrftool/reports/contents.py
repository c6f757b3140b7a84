"""What `report.json` holds: a run of quantification in numbers, described key by key in
docs/report.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mrftool.arrays import BoolArray, FloatArray
from mrftool.errors import InputError
from mrftool.evaluation.given_values import SuspectedError
from mrftool.evaluation.residuals import FitResiduals
from mrftool.maps import Maps, with_signal
from mrftool.pages.views import orientation
from mrftool.quantities import FLAGS, Flag
from mrftool.reports.budget import BudgetTable
from mrftool.reports.checks import check_run, check_sequence
from mrftool.reports.fit_checks import implied_snr
from mrftool.reports.parts.statistics import map_statistics
from mrftool.reports.remarks import Remark
from mrftool.reports.run import Method, Run
from mrftool.sequence import PulseSequence

SCHEMA = 2
_MOST_DEPTH = 12  # of nested values that are kept from the files of others
_SCAN_WORDS = ("SeriesDescription", "ProtocolName", "Manufacturer", "ManufacturersModelName")
_MOST_FIELD = 100.0  # field strength that is believed [T]


def report_contents(run: Run, sequence: PulseSequence | None) -> dict[str, Any]:
    """Everything about a run, as plain JSON without NaN.

    Parameters
    ----------
    run
        What was read, how, and what came out.
    sequence
        Of the method, where it could be read.
    """
    signal = with_signal(run.maps)
    found = [*check_sequence(run.method, sequence), *check_run(run, signal)]
    contents = {
        "mrftool_report": SCHEMA,
        "status": _status(found),
        "remarks": [_remark(remark) for remark in found],
        "assumptions": list(run.assumptions),
        "command": run.command,
        "started": run.started,
        "input": _input(run),
        "options": dict(run.options),
        "method": _method(run.method),
        "sequence": _sequence(run.method, sequence),
        "voxels": _voxels(run.maps, signal),
        "implied_snr": implied_snr(run, signal),
        "statistics": map_statistics(run.maps),
        "fit": _fit(run.residuals),
        "uncertainty": _uncertainty(run.budget),
        "maps": dict(run.files),
        "seconds": {
            stage: {"wall": wall, "cpu": cpu} for stage, (wall, cpu) in run.seconds.items()
        },
        "versions": dict(run.versions),
    }
    return dict(_plain(contents))


def _status(remarks: Sequence[Remark]) -> str:
    if any(remark.level == "warning" for remark in remarks):
        return "look"
    return "good"


def read_plain_sequence(data: Mapping[str, Any] | None) -> PulseSequence | None:
    """The sequence that a method names, or None if it names none that can be read."""
    from mrftool.formats.sequence.yaml_file import sequence_from_dict

    if data is None:
        return None
    try:
        return sequence_from_dict(dict(data))
    except InputError:
        return None


def _remark(remark: Remark) -> dict[str, Any]:
    values = {key: getattr(remark, key) for key in ("code", "level", "text", "value", "limit")}
    return {key: value for key, value in values.items() if value is not None}


def _input(run: Run) -> dict[str, Any]:
    series = run.series
    codes, oblique = orientation(series.affine)
    edges = np.linalg.norm(series.affine[:3, :3], axis=0)
    return {
        "path": run.source,
        "name": series.name,
        "format": run.kind,
        "bytes": run.n_bytes,
        "shape": [*series.shape, series.n_time],
        "form": series.form,
        "voxel_size_mm": [round(float(edge), 6) for edge in edges],
        "orientation": codes,
        "oblique_deg": round(oblique, 3),
        "affine_mm": series.affine.tolist(),
        "sequence_id": series.sequence_id,
        **_scanner(series.sidecar or {}),
    }


def _scanner(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """What the scan says of its series and its scanner, in the words of a BIDS sidecar.

    None where it says nothing.
    """
    texts = {key: sidecar[key] for key in _SCAN_WORDS if isinstance(sidecar.get(key), str)}
    names = [texts.get("Manufacturer"), texts.get("ManufacturersModelName")]
    field = sidecar.get("MagneticFieldStrength")
    if not isinstance(field, int | float) or not 0 < field < _MOST_FIELD:
        field = None
    return {
        "description": texts.get("SeriesDescription", texts.get("ProtocolName")),
        "scanner": " ".join(name for name in names if name is not None) or None,
        "field_t": field,
    }


def _method(method: Method) -> dict[str, Any]:
    b1_range = method.b1_range
    return {
        "kind": method.kind,
        "name": method.name,
        "file": method.file,
        "sha256": method.sha256,
        "t1_range_ms": _in_ms(method.t1_range),
        "t2_range_ms": _in_ms(method.t2_range),
        "b1_range": b1_range and list(b1_range),
        **method.numbers,
        "scores": dict(method.scores),
    }


def _sequence(method: Method, sequence: PulseSequence | None) -> dict[str, Any]:
    names: dict[str, Any] = {"name": method.sequence_name, "id": method.sequence_id}
    if sequence is None:
        return names
    return {
        **names,
        "repetitions": len(sequence),
        "duration_s": sequence.duration,
        **_events(sequence),
        "spoiling": sequence.spoiling,
        "flip_angle_deg": _rounded(np.rad2deg(sequence.flip_angle)),
        "rf_phase_deg": _rounded(np.rad2deg(sequence.rf_phase)),
        "tr_ms": _rounded(sequence.tr * 1e3),
        "te_ms": _rounded(sequence.te * 1e3),
        **_readout(sequence),
    }


def _readout(sequence: PulseSequence) -> dict[str, Any]:
    """Further echoes, the receiver's phase and the spoiler's cycles, where they are not usual."""
    found: dict[str, Any] = {}
    if sequence.later_echoes.size:
        found["later_echoes_ms"] = _rounded(sequence.later_echoes * 1e3)
    if sequence.receiver_phase is not None:
        found["receiver_phase_deg"] = _rounded(np.rad2deg(sequence.receiver_phase))
    if sequence.spoiler_cycles is not None:
        found["spoiler_cycles"] = sequence.cycles.tolist()
    return found


def _events(sequence: PulseSequence) -> dict[str, Any]:
    train = sequence.train
    if train is None:
        events = [{"event": type(event).__name__, **asdict(event)} for event in sequence.events]
        return {"events": events}
    inversion: dict[str, float] | None = None
    if train.inversion is not None:
        time_ms = train.inversion.time * 1e3
        inversion = {"efficiency": train.inversion.efficiency, "time_ms": time_ms}
    return {"inversion": inversion, "repeats": train.repeats, "wait_ms": train.wait * 1e3}


def _voxels(maps: Maps, signal: BoolArray) -> dict[str, Any]:
    flags = maps.flags
    return {
        "total": int(flags.size),
        "measured": int(np.count_nonzero((flags & Flag.MASKED) == 0)),
        "with_signal": int(signal.sum()),
        "unflagged": int(np.count_nonzero(flags == 0)),
        "with_signal_unflagged": int(np.count_nonzero(flags[signal] == 0)),
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


def _fit(residuals: FitResiduals | None) -> dict[str, Any] | None:
    """Frames are counted from 1, as everywhere in reports."""
    if residuals is None:
        return None
    average = residuals.average
    return {
        "slice": residuals.slice_index + 1,
        "voxels": average.n_voxels,
        "average_residual": average.level,
        "average_noise": average.noise,
        "faults": [
            {"kind": fault.kind, "frames": [frame + 1 for frame in fault.frames], "lag": fault.lag}
            for fault in residuals.faults
        ],
        "suspected_error": _suspected(residuals.suspected),
        "conspicuous_frames": [frame + 1 for frame in residuals.conspicuous()],
        "residual_of_frames": _rounded(average.size),
    }


def _suspected(error: SuspectedError | None) -> dict[str, Any] | None:
    """In the SI unit of the value."""
    if error is None:
        return None
    return {
        "value": error.influence.name,
        "unit": error.influence.unit,
        "size": error.size,
        "sd": error.sd,
        "uncertainty": error.uncertainty,
        "others": [each.name for each in error.others],
    }


def _uncertainty(budget: BudgetTable | None) -> dict[str, Any] | None:
    if budget is None:
        return None
    tissues = []
    for each in budget.budgets:
        parts = {"given": dict(each.given), "combined": each.combined, "text": each.text()}
        name = {"tissue": each.tissue, "parameter": each.parameter, "voxels": each.n_voxels}
        tissues.append({**name, "median": each.median, "noise": each.noise, **parts})
    return {
        "assumed": dict(budget.assumed),
        "assumed_is_typical": budget.is_typical,
        "tissues": tissues,
    }


def _in_ms(limits: Sequence[float]) -> list[float]:
    return _rounded(np.asarray(limits) * 1e3)


def _rounded(values: FloatArray) -> list[float]:
    """Without the digits that changes of unit leave."""
    return [round(float(value), 6) for value in values]


def _plain(value: Any, depth: int = 0) -> Any:
    """What JSON can hold.

    Numbers that are not finite, and what is nested deeper than any sound file nests, become null.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    if depth == _MOST_DEPTH:
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    return [_plain(item, depth + 1) for item in value]
