"""Facts of a run as the rows of a report's tables: label and text, units as a person reads them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mrftool.figures.panels import Style
from mrftool.quantities import UNFLAGGED, Flag, quantity
from mrftool.reports.remarks import scores_at_snr
from mrftool.reports.run import Method
from mrftool.sequence import PulseSequence

_AXES = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "head", "I": "feet"}

Rows = dict[str, str]
Cells = list[tuple[str, ...]]


def summary_text(facts: Mapping[str, Any]) -> str:
    """A run in one line."""
    said, method = facts["input"], facts["method"]
    *space, n_time = said["shape"]
    size = " x ".join(map(str, space))
    edges = " x ".join(f"{edge:.3g}" for edge in said["voxel_size_mm"])
    snr = f", SNR about {facts['implied_snr']:.2g}" if facts["implied_snr"] else ""
    return (
        f"{said['format']}, {size} voxels of {edges} mm, {n_time} time points, {said['form']}{snr}. "
        f"{method['kind'].capitalize()} {method['name']}, for sequence {facts['sequence']['name'] or 'unnamed'}."
    )


def number(value: float) -> str:
    """Four digits, as a person writes them: 1355 and not 1.355e+03, but 1.2e-07."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"


def percent(share: float) -> str:
    """A share of what there is."""
    return f"{100 * share:.1f} %"


def quantiles_text(statistics: Mapping[str, Any], style: Style) -> str:
    """The middle and the spread of a map, in the unit of its picture."""
    if not statistics["n"]:
        return "no voxel without complaint"
    median, low, high = (number(statistics[key] * style.scale) for key in ("median", "p5", "p95"))
    return f"median {median}; 90 % of the voxels without complaint from {low} to {high}"


def input_rows(facts: Mapping[str, Any]) -> Rows:
    """Of the scan."""
    said, options = facts["input"], facts["options"]
    edges = " x ".join(f"{edge:.4g}" for edge in said["voxel_size_mm"])
    towards = ", ".join(_AXES[code] for code in said["orientation"])
    oblique = f", oblique by {said['oblique_deg']:.1f} deg" if said["oblique_deg"] >= 0.05 else ""
    rows = {
        "scan": said["path"],
        "series": said["name"] if said["name"] != said["path"] else "",
        "description": said["description"] or "",
        "scanner": ", ".join(
            filter(None, (said["scanner"], said["field_t"] and f"{said['field_t']:.4g} T"))
        ),
        "format": said["format"]
        + (f", {_size(said['bytes'])}" if said["bytes"] is not None else ""),
        "voxels": " x ".join(map(str, said["shape"][:3])),
        "time points": str(said["shape"][3]),
        "signal": said["form"],
        "voxel size": f"{edges} mm",
        "axes run to": f"{towards} ({said['orientation']}){oblique}",
        "sequence": said["sequence_id"] or "not named by the file",
        **{f"option {key}": value for key, value in options.items()},
        "SNR": f"{facts['implied_snr']:.3g}, if the median residual is all noise"
        if facts["implied_snr"]
        else "",
        "run started": facts["started"],
    }
    return {key: text for key, text in rows.items() if text}


def method_rows(method: Method) -> Rows:
    """Of the model or the dictionary."""
    return {"name": method.name, "file": method.file, "sha256": method.sha256, **method.words}


def sequence_rows(method: Method, sequence: PulseSequence | None) -> Rows:
    """Of the sequence that the method was made for."""
    from mrftool.formats.sequence.yaml_file import sequence_summary

    rows = {"name": method.sequence_name or "not known", "id": method.sequence_id or "not known"}
    if sequence is None:
        return rows
    summary = sequence_summary(sequence)
    del summary["sequence id"]
    return {**rows, **summary}


def flag_rows(voxels: Mapping[str, Any]) -> Cells:
    """Meaning, bit, voxels, share of those measured, share of those with signal."""
    rows = [
        (UNFLAGGED.text, "0", voxels["without_complaint"], voxels["with_signal_without_complaint"])
    ]
    rows += [
        (flag["meaning"], str(flag["bit"]), flag["voxels"], flag["with_signal"])
        for flag in voxels["flags"]
    ]
    shown: Cells = []
    for text, bit, count, with_signal in rows:
        is_masked = bit == str(int(Flag.MASKED))
        of_measured = "" if is_masked else _share(count, voxels["measured"])
        of_signal = "" if is_masked else _share(with_signal, voxels["with_signal"])
        shown.append((text, bit, f"{count}", of_measured, of_signal))
    return shown


def statistics_rows(statistics: Mapping[str, Mapping[str, Any]]) -> Cells:
    """Map, unit, voxels, mean, and percentiles from low to high."""
    rows: Cells = []
    for name, numbers in statistics.items():
        shown = quantity(name)
        keys = ("mean", "p1", "p5", "p25", "median", "p75", "p95", "p99")
        values = [_shown(numbers.get(key), shown.unit.factor) for key in keys]
        rows.append((shown.caption, shown.unit.shown, str(numbers["n"]), *values))
    return rows


def score_rows(scores: Mapping[str, Any]) -> Cells:
    """SNR, parameter, RMSE / bound, share of truths inside the 95 % intervals."""
    rows: Cells = []
    for snr, parameter, score in scores_at_snr(scores):
        if {"rmse_over_bound", "coverage_95"} <= score.keys():
            shown = (f"{score['rmse_over_bound']:.3f}", percent(score["coverage_95"]))
            rows.append((f"{snr:g}", parameter.upper(), *shown))
    return rows


def stage_rows(seconds: Mapping[str, Mapping[str, float]]) -> Cells:
    """Stage, wall clock, processor; the sum last."""
    rows = [(stage, taken["wall"], taken["cpu"]) for stage, taken in seconds.items()]
    if rows:
        rows.append(("all", *np.sum([row[1:] for row in rows], axis=0).tolist()))
    return [(stage, f"{wall:.2f}", f"{cpu:.2f}") for stage, wall, cpu in rows]


def _shown(value: float | None, factor: float) -> str:
    """A number in the unit that is shown, empty where there is none."""
    if value is None:
        return ""
    return number(value * factor)


def _share(count: int, total: int) -> str:
    return percent(count / total) if total else ""


def _size(n_bytes: int) -> str:
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.3g} {unit}"
    return f"{n_bytes} bytes"
