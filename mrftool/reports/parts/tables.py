"""The tables of a report's page: labels and texts, in units as a person reads them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mrftool.quantities import UNFLAGGED, Flag, quantity
from mrftool.reports.budget import BudgetTable
from mrftool.reports.run import Method
from mrftool.reports.scores import scores_at_snr
from mrftool.sequence import PulseSequence

if TYPE_CHECKING:
    from mrftool.pages.styles import Style  # heavy

Pairs = dict[str, str]  # label and text
Rows = list[tuple[str, ...]]

_DIRECTIONS = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "head", "I": "feet"}
_LEAST_OBLIQUE = 0.05  # angle that is mentioned [deg]
_MOST_RUNS = 8  # of frames that are named
_STATISTICS = ("mean", "p1", "p5", "p25", "median", "p75", "p95", "p99")


def summary_text(contents: Mapping[str, Any]) -> str:
    """A run in one line. contents: of `report.json`."""
    about, method = contents["input"], contents["method"]
    *space, n_time = about["shape"]
    text = f"{about['format']}, {_product(space)} voxels of {_size_text(about, 3)}, "
    text += f"{n_time} time points, {about['form']}"
    if contents["implied_snr"]:
        text += f", SNR about {contents['implied_snr']:.2g}"
    sequence = contents["sequence"]["name"] or "unnamed"
    text += f". {method['kind'].capitalize()} {method['name']}, for sequence {sequence}"
    if about["sequence_id"] is None:
        text += ", which is assumed: the scan does not name its own"
    return f"{text}."


def number_text(value: float) -> str:
    """Four digits, as a person writes them: 1355 and not 1.355e+03, but 1.2e-07."""
    if 1000 <= abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:.4g}"


def percent(share: float) -> str:
    """A share with one decimal."""
    return f"{100 * share:.1f} %"


def quantiles_text(statistics: Mapping[str, Any], style: "Style") -> str:
    """The middle and the spread of a map, in the unit of its picture."""
    if not statistics["n"]:
        return "no unflagged voxel"
    keys = ("median", "p5", "p95")
    median, low, high = (number_text(statistics[key] * style.scale) for key in keys)
    return f"median {median}; 90 % of the unflagged voxels from {low} to {high}"


def input_table(contents: Mapping[str, Any]) -> Pairs:
    """What was read. contents: of `report.json`."""
    about = contents["input"]
    pairs = {
        "scan": about["path"],
        "series": _series_text(about),
        "description": about["description"] or "",
        "scanner": _scanner_text(about),
        "format": _format_text(about),
        "voxels": _product(about["shape"][:3]),
        "time points": str(about["shape"][3]),
        "signal": about["form"],
        "voxel size": _size_text(about, 4),
        "axes run to": _axes_text(about),
        "sequence": about["sequence_id"] or "not named by the file",
        **{f"option {key}": value for key, value in contents["options"].items()},
        "SNR": _snr_text(contents["implied_snr"]),
        "run started": contents["started"],
    }
    return {label: text for label, text in pairs.items() if text}


def _series_text(about: Mapping[str, Any]) -> str:
    """The name that messages use, where it is not the path."""
    if about["name"] == about["path"]:
        return ""
    return str(about["name"])


def _format_text(about: Mapping[str, Any]) -> str:
    if about["bytes"] is None:
        return str(about["format"])
    return f"{about['format']}, {_bytes_text(about['bytes'])}"


def _snr_text(snr: float | None) -> str:
    if not snr:
        return ""
    return f"{snr:.3g}, if the median residual is all noise"


def _scanner_text(about: Mapping[str, Any]) -> str:
    parts = [about["scanner"] or ""]
    if about["field_t"]:
        parts.append(f"{about['field_t']:.4g} T")
    return ", ".join(part for part in parts if part)


def _axes_text(about: Mapping[str, Any]) -> str:
    towards = ", ".join(_DIRECTIONS[code] for code in about["orientation"])
    text = f"{towards} ({about['orientation']})"
    if about["oblique_deg"] >= _LEAST_OBLIQUE:
        text += f", oblique by {about['oblique_deg']:.1f} deg"
    return text


def _size_text(about: Mapping[str, Any], digits: int) -> str:
    return " x ".join(f"{edge:.{digits}g}" for edge in about["voxel_size_mm"]) + " mm"


def _product(numbers: list[int]) -> str:
    return " x ".join(map(str, numbers))


def _bytes_text(n_bytes: int) -> str:
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.3g} {unit}"
    return f"{n_bytes} bytes"


def method_table(method: Method) -> Pairs:
    """The model or the dictionary."""
    return {"name": method.name, "file": method.file, "sha256": method.sha256, **method.words}


def sequence_table(method: Method, sequence: PulseSequence | None) -> Pairs:
    """The sequence that the method was made for."""
    from mrftool.formats.sequence.yaml_file import sequence_summary

    names = {"name": method.sequence_name or "not known", "id": method.sequence_id or "not known"}
    if sequence is None:
        return names
    summary = sequence_summary(sequence)
    del summary["sequence id"]
    return {**names, **summary}


def flag_table(voxels: Mapping[str, Any]) -> Rows:
    """Meaning, bit, voxels, share of those measured, share of those with signal."""
    unflagged = {
        "meaning": UNFLAGGED.text,
        "bit": 0,
        "voxels": voxels["unflagged"],
        "with_signal": voxels["with_signal_unflagged"],
    }
    rows: Rows = []
    for entry in (unflagged, *voxels["flags"]):
        count = entry["voxels"]
        of_measured = _share(count, voxels["measured"])
        of_signal = _share(entry["with_signal"], voxels["with_signal"])
        if entry["bit"] == Flag.MASKED:  # neither measured nor with signal
            of_measured = of_signal = ""
        rows.append((entry["meaning"], str(entry["bit"]), str(count), of_measured, of_signal))
    return rows


def _share(count: int, total: int) -> str:
    if not total:
        return ""
    return percent(count / total)


def statistics_table(statistics: Mapping[str, Mapping[str, Any]]) -> Rows:
    """Map, unit, voxels, mean, and percentiles from low to high."""
    rows: Rows = []
    for name, numbers in statistics.items():
        shown = quantity(name)
        values = [_shown(numbers.get(key), shown.unit.factor) for key in _STATISTICS]
        rows.append((shown.caption, shown.unit.shown, str(numbers["n"]), *values))
    return rows


def _shown(value: float | None, factor: float) -> str:
    """A number in the unit that is shown, empty where there is none."""
    if value is None:
        return ""
    return number_text(value * factor)


def budget_rows(budget: BudgetTable) -> Rows:
    """Headings, then parameter and tissue, voxels, median [ms], and the parts of their budget
    [%].
    """
    parts = [f"{label} {shown}" for label, shown in budget.assumed.items()]
    rows: Rows = [("", "voxels", "median [ms]", "noise", *parts, "combined")]
    for each in budget.budgets:
        name = f"{quantity(each.parameter).caption} of {each.tissue}"
        sizes = [each.noise, *each.given.values(), each.combined]
        median = number_text(each.median * quantity(each.parameter).unit.factor)
        rows.append((name, str(each.n_voxels), median, *map(_part_text, sizes)))
    return rows


def _part_text(size: float | None) -> str:
    """A relative uncertainty in percent; a dash where it is not known or without bounds."""
    if size is None or not np.isfinite(size):
        return "-"
    if size >= 0.0995:
        return f"{100 * size:.0f}"
    return f"{100 * size:.1f}"


def frames_text(frames: Sequence[int]) -> str:
    """Frames counted from 0, in words that count from 1: `3, 7 to 9 and 12`."""
    runs: list[list[int]] = []
    for frame in sorted(frames):
        if runs and frame == runs[-1][-1] + 1:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    texts = [_run_text(run[0] + 1, run[-1] + 1) for run in runs]
    if len(texts) > _MOST_RUNS:
        texts = [*texts[:_MOST_RUNS], f"{len(runs) - _MOST_RUNS} more"]
    *first, last = texts
    if not first:
        return last
    return f"{', '.join(first)} and {last}"


def _run_text(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first} to {last}"


def score_table(scores: Mapping[str, Any]) -> Rows:
    """SNR, parameter, RMSE / bound, share of true values inside the 95 % intervals."""
    rows: Rows = []
    for snr, parameter, score in scores_at_snr(scores):
        if {"rmse_over_bound", "coverage_95"} <= score.keys():
            values = (f"{score['rmse_over_bound']:.3f}", percent(score["coverage_95"]))
            rows.append((f"{snr:g}", quantity(parameter).caption, *values))
    return rows


def time_table(seconds: Mapping[str, Mapping[str, float]]) -> Rows:
    """Stage, wall clock, processor [s]; the sum last."""
    rows = [(stage, taken["wall"], taken["cpu"]) for stage, taken in seconds.items()]
    if rows:
        wall, cpu = np.sum([row[1:] for row in rows], axis=0).tolist()
        rows.append(("all", wall, cpu))
    return [(stage, f"{wall:.2f}", f"{cpu:.2f}") for stage, wall, cpu in rows]
