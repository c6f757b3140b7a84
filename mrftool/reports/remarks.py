"""What a run of quantification makes one look twice at: numbers held against limits, and sentences
that say so.

Shares are of the voxels with signal, so that a scan without a mask is not judged by the noise
around the head.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mrftool.arrays import BoolArray, Float32Array
from mrftool.maps import Maps
from mrftool.quantities import Flag
from mrftool.reports.run import Method, Run

# A voxel has signal if its |M0| is at least this share of this percentile of all measured voxels.
_SIGNAL_SHARE, _SIGNAL_PERCENTILE = 0.1, 99.0
_MOST_FLAGGED = {
    Flag.MISFIT: 0.05,
    Flag.OUT_OF_RANGE: 0.10,
    Flag.T1_UNDETERMINED: 0.10,
    Flag.T2_UNDETERMINED: 0.10,
}
_CAUSES = {
    Flag.MISFIT: "are fitted worse than noise explains: another sequence, another order of the time points, real and "
    "imaginary part exchanged, or artefacts?",
    Flag.OUT_OF_RANGE: "lie outside the range of the {kind}: another sequence, or tissue that it was not made for?",
    Flag.T1_UNDETERMINED: "have a T1 that this scan does not determine: too much noise, or another sequence?",
    Flag.T2_UNDETERMINED: "have a T2 that this scan does not determine: too much noise, or another sequence?",
}
_MOST_AT_EDGE, _EDGE = 0.05, 0.02  # share of voxels; of the range's logarithm, at either end
_LEAST_SNR = 3.0  # that the median residual may imply
_SNR_FACTOR = 2.0  # between what the residual implies and what the file says
_MOST_TABLE_ERROR = 1e-3
_LEAST_COVERAGE, _MOST_RMSE = 0.85, 1.3  # of 95 % intervals; RMSE / bound; at SNR of at least:
_SCORED_FROM = 10.0
_EDGES_MM = (0.05, 30.0)

Level = Literal["warning", "note"]


@dataclass(frozen=True)
class Remark:
    """One thing to know of a run. level: a "warning" turns its status; a "note" does not, the page
    has it elsewhere.

    value, limit: the number that decided.
    """

    code: str
    level: Level
    text: str
    value: float | None = None
    limit: float | None = None


def with_signal(maps: Maps) -> BoolArray:
    """Voxels `(x, y, z)` that hold signal: |M0| of at least a tenth of its 99th percentile."""
    size = np.abs(maps.m0)
    measured: BoolArray = np.isfinite(size) & (size > 0) & ((maps.flags & Flag.MASKED) == 0)
    if not measured.any():
        return measured
    return measured & (
        size >= _SIGNAL_SHARE * float(np.percentile(size[measured], _SIGNAL_PERCENTILE))
    )


def implied_snr(run: Run, signal: BoolArray) -> float | None:
    """SNR that the median residual r of the voxels with signal implies, if it is all noise; None
    where r is not known.

    Noise of sd per channel leaves r^2 / (1 - r^2) = (channels) sd^2 / (mean squared magnitude).
    """
    if "residual" not in run.maps.extra or not signal.any():
        return None
    r = float(np.nanmedian(run.maps.extra["residual"][signal]))
    channels = 2 if run.series.form == "complex" else 1
    return float(np.sqrt(channels * (1 - r * r)) / r) if 0 < r < 1 else None


def remarks(run: Run, signal: BoolArray) -> list[Remark]:
    """All that is to be said of a run, warnings first. signal: `with_signal` of its maps."""
    found = [*_voxels(run, signal), *_noise(run, signal), *_input(run), *_method(run.method)]
    return sorted(found, key=lambda remark: remark.level != "warning")


def _voxels(run: Run, signal: BoolArray) -> Iterator[Remark]:
    maps, n = run.maps, int(signal.sum())
    if n == 0:
        yield Remark("no_signal", "warning", "No voxel holds any signal.")
        return
    good = int(np.count_nonzero(maps.flags[signal] == 0))
    if not good:
        yield Remark("no_good_voxel", "warning", "No voxel with signal is without complaint.")
    for flag, most in _MOST_FLAGGED.items():
        share = np.count_nonzero(maps.flags[signal] & flag) / n
        if share > most:
            text = f"{_percent(share)} of the voxels with signal {_CAUSES[flag].format(kind=run.method.kind)}"
            yield Remark(f"{flag.name}".lower(), "warning", text, share, most)
    if bad := int(np.count_nonzero(maps.flags & Flag.NON_FINITE)):
        text = f"{bad} voxels are not finite numbers in the input."
        yield Remark("non_finite", "warning", text, bad / maps.flags.size, 0.0)
    yield from _at_edge("T1", maps.t1[signal], run.method.t1_range)
    yield from _at_edge("T2", maps.t2[signal], run.method.t2_range)


def _at_edge(name: str, values: Float32Array, limits: tuple[float, float]) -> Iterator[Remark]:
    """Estimates that stick to an end of the range, on either side of it."""
    low, high = np.log(limits)
    with np.errstate(invalid="ignore", divide="ignore"):
        place = (np.log(values) - low) / (high - low)
    for end, share in (
        ("lower", np.mean(abs(place) < _EDGE)),
        ("upper", np.mean(abs(place - 1) < _EDGE)),
    ):
        if share > _MOST_AT_EDGE:
            text = f"{_percent(share)} of the voxels with signal have a {name} at the {end} end of the range."
            yield Remark(f"{name.lower()}_at_edge", "warning", text, float(share), _MOST_AT_EDGE)


def _noise(run: Run, signal: BoolArray) -> Iterator[Remark]:
    snr = implied_snr(run, signal)
    if snr is None:
        return
    if snr < _LEAST_SNR:
        text = f"The median residual would mean an SNR of {snr:.2g}: very noisy, or no scan of this sequence."
        yield Remark("residual", "warning", text, snr, _LEAST_SNR)
    said = _number((run.series.sidecar or {}).get("snr"))
    if said is None or said <= 0:
        return
    factor = max(snr / said, said / snr)
    if factor > _SNR_FACTOR:
        text = f"The residual implies an SNR of {snr:.3g}, the file says {said:.3g}."
        yield Remark("snr_differs", "warning", text, factor, _SNR_FACTOR)


def _input(run: Run) -> Iterator[Remark]:
    edges = np.linalg.norm(run.series.affine[:3, :3], axis=0)
    if edges.min() < _EDGES_MM[0] or edges.max() > _EDGES_MM[1]:
        size = " x ".join(f"{edge:.3g}" for edge in edges)
        text = f"Voxels of {size} mm: is the file in another unit than millimetres?"
        yield Remark("voxel_size", "warning", text)
    if run.series.sequence_id is None:
        text = (
            "The scan does not name its sequence: only the fit tells whether it was "
            f"{run.method.sequence_name or 'the expected one'}."
        )
        yield Remark("sequence_not_named", "note", text)


def _method(method: Method) -> Iterator[Remark]:
    if method.table_error > _MOST_TABLE_ERROR:
        text = (
            f"The table of the {method.kind} is off by up to {method.table_error:.1e} of a signal."
        )
        yield Remark("table_error", "warning", text, method.table_error, _MOST_TABLE_ERROR)
    for snr, parameter, score in scores_at_snr(method.scores):
        coverage, rmse = score.get("coverage_95", 1.0), score.get("rmse_over_bound", 0.0)
        if snr >= _SCORED_FROM and (coverage < _LEAST_COVERAGE or rmse > _MOST_RMSE):
            text = (
                f"When the {method.kind} was verified at SNR {snr:g}, its {parameter.upper()} had {rmse:.2f} times the "
                f"smallest possible error, and its 95 % intervals held {_percent(coverage)}."
            )
            yield Remark("scores", "warning", text)


def scores_at_snr(scores: Mapping[str, Any]) -> list[tuple[float, str, dict[str, float]]]:
    """(SNR, parameter, its numbers) of what a model says it scored; whatever does not look like
    that is left out.
    """
    found = []
    for key, entry in scores.items():
        snr = _number_after(str(key), "snr_")
        if snr is None or not isinstance(entry, dict):
            continue
        for parameter in ("t1", "t2"):
            numbers = entry.get(parameter)
            if isinstance(numbers, dict):
                kept = {str(name): _number(value) for name, value in numbers.items()}
                found.append(
                    (
                        snr,
                        parameter,
                        {name: value for name, value in kept.items() if value is not None},
                    )
                )
    return found


def _number_after(text: str, prefix: str) -> float | None:
    try:
        return _number(float(text.removeprefix(prefix))) if text.startswith(prefix) else None
    except ValueError:
        return None


def _number(value: object) -> float | None:
    """A finite number that a file gave, or None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
