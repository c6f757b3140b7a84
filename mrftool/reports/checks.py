"""Checks of a run: numbers compared with limits, and sentences where a limit is exceeded.

Shares are of the voxels with signal, so that the noise around a head without a mask does not count.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mrftool.arrays import BoolArray, Float32Array, Range
from mrftool.evaluation.residuals import FitResiduals
from mrftool.inference.assessment.frames import Fault, FrameFault
from mrftool.quantities import Flag
from mrftool.reports.parts.tables import frames_text
from mrftool.reports.run import Method, Run
from mrftool.reports.scores import finite_number, scores_at_snr

_MOST_FLAGGED = {
    Flag.MISFIT: 0.05,
    Flag.OUT_OF_RANGE: 0.10,
    Flag.T1_UNDETERMINED: 0.10,
    Flag.T2_UNDETERMINED: 0.10,
}
_CAUSES = {
    Flag.MISFIT: (
        "are fitted worse than noise explains: another sequence, another order of the time points, "
        "real and imaginary part exchanged, or artefacts?"
    ),
    Flag.OUT_OF_RANGE: (
        "lie outside the range of the {kind}: another sequence, or tissue that it was not made for?"
    ),
    Flag.T1_UNDETERMINED: (
        "have a T1 that this scan does not determine: too much noise, or another sequence?"
    ),
    Flag.T2_UNDETERMINED: (
        "have a T2 that this scan does not determine: too much noise, or another sequence?"
    ),
}
_MOST_AT_EDGE = 0.05  # share of the voxels whose estimate lies at an end of the range
_EDGE = 0.02  # width of such an end, as a share of the logarithm of the range
_FRAME_FAULTS: dict[Fault, str] = {
    "empty": "of the scan hold no signal in any voxel",
    "lost": "hold next to none of the signal that the fit expects",
    "scaled": "have another gain than their neighbours",
    "swapped": "hold each other's signal",
}
_LEAST_SNR = 3.0  # that the median residual may imply
_MOST_SNR_FACTOR = 2.0  # between what the residual implies and what the file says
_MOST_AVERAGE_RESIDUAL = 0.03  # of the signal, averaged over voxels
_LEAST_TABLE_ERROR = 1e-3  # below which the error of a table is no concern
_TABLE_SHARE = 0.3  # of the residual, up to which estimates follow the bound (measured, see below)
_LEAST_COVERAGE = 0.85  # of 95 % intervals, where a method was verified
_MOST_RMSE = 1.3  # RMSE / bound, where a method was verified
_LEAST_SCORED_SNR = 10.0  # from which scores count
_VERIFIED_FROM = 0.8  # SNR of a score / SNR of the scan, from which it speaks for the method
_SCORED_BEYOND = 1.5  # SNR of a score / SNR of the scan, up to which the score counts
_VOXEL_EDGES = (0.05, 30.0)  # that are plausible [mm]

Level = Literal["warning", "note"]


@dataclass(frozen=True)
class Remark:
    """One thing to know of a run.

    Parameters
    ----------
    code
        Its name in `report.json`.
    level
        A "warning" turns the status of the run; a "note" does not.
    text
        A sentence.
    value, limit
        The number that decided, and what it was compared with.
    """

    code: str
    level: Level
    text: str
    value: float | None = None
    limit: float | None = None


def check_run(run: Run, signal: BoolArray) -> list[Remark]:
    """All that is to be said of a run, warnings first. signal: `with_signal` of its maps."""
    found = [
        *_check_voxels(run, signal),
        *_check_noise(run, signal),
        *_check_frames(run.residuals),
        *_check_input(run),
        *_check_method(run, signal),
    ]
    return sorted(found, key=lambda remark: remark.level != "warning")


def median_residual(run: Run, signal: BoolArray) -> float | None:
    """Of the voxels with signal, relative to their signal [1]; None where it is not known."""
    if "residual" not in run.maps.extra or not signal.any():
        return None
    return float(np.nanmedian(run.maps.extra["residual"][signal]))


def implied_snr(run: Run, signal: BoolArray) -> float | None:
    """SNR that the median residual r of the voxels with signal implies, if it is all noise.

    Noise of standard deviation sd per channel leaves r^2 / (1 - r^2) = (channels) sd^2 / (mean
    squared magnitude). None where r is not known.
    """
    r = median_residual(run, signal)
    if r is None or not 0 < r < 1:
        return None
    channels = {"complex": 2, "magnitude": 1}[run.series.form]
    return float(np.sqrt(channels * (1 - r * r)) / r)


def _check_voxels(run: Run, signal: BoolArray) -> Iterator[Remark]:
    maps, n = run.maps, int(signal.sum())
    if n == 0:
        yield Remark("no_signal", "warning", "No voxel holds any signal.")
        return
    if not np.count_nonzero(maps.flags[signal] == 0):
        yield Remark("no_good_voxel", "warning", "Every voxel with signal is flagged.")
    for flag, most in _MOST_FLAGGED.items():
        share = np.count_nonzero(maps.flags[signal] & flag) / n
        if share > most:
            cause = _CAUSES[flag].format(kind=run.method.kind)
            text = f"{_percent(share)} of the voxels with signal {cause}"
            yield Remark(f"{flag.name}".lower(), "warning", text, share, most)
    bad = int(np.count_nonzero(maps.flags & Flag.NON_FINITE))
    if bad:
        text = f"{bad} voxels are not finite numbers in the input."
        yield Remark("non_finite", "warning", text, bad / maps.flags.size, 0.0)
    yield from _check_range("T1", maps.t1[signal], run.method.t1_range)
    yield from _check_range("T2", maps.t2[signal], run.method.t2_range)


def _check_range(name: str, values: Float32Array, limits: Range) -> Iterator[Remark]:
    """Estimates that gather at an end of the range, on either side of it."""
    low, high = np.log(limits)
    with np.errstate(invalid="ignore", divide="ignore"):
        place = (np.log(values) - low) / (high - low)
    for end, at in (("lower", 0), ("upper", 1)):
        share = float(np.mean(abs(place - at) < _EDGE))
        if share > _MOST_AT_EDGE:
            text = f"{_percent(share)} of the voxels with signal have a {name} "
            text += f"at the {end} end of the range."
            yield Remark(f"{name.lower()}_at_edge", "warning", text, share, _MOST_AT_EDGE)


def _check_noise(run: Run, signal: BoolArray) -> Iterator[Remark]:
    snr = implied_snr(run, signal)
    if snr is None:
        return
    if snr < _LEAST_SNR:
        text = f"The median residual would mean an SNR of {snr:.2g}: "
        text += "very noisy, or no scan of this sequence."
        yield Remark("residual", "warning", text, snr, _LEAST_SNR)
    stated = finite_number((run.series.sidecar or {}).get("snr"))
    if stated is None or stated <= 0:
        return
    factor = max(snr / stated, stated / snr)
    if factor > _MOST_SNR_FACTOR:
        text = f"The residual implies an SNR of {snr:.3g}, the file says {stated:.3g}."
        yield Remark("snr_differs", "warning", text, factor, _MOST_SNR_FACTOR)


def _check_frames(residuals: FitResiduals | None) -> Iterator[Remark]:
    """Frames that do not follow the model, which the noise of single voxels hides."""
    if residuals is None:
        return
    average, faults = residuals.average, residuals.faults
    frames = average.conspicuous()
    if faults and _explain(faults, frames.tolist()):
        for fault in faults:
            text = f"{_named(fault.frames).capitalize()} {_FRAME_FAULTS[fault.kind]}."
            yield Remark(f"{fault.kind}_frames", "warning", text, float(len(fault.frames)), 0.0)
    elif frames.size:
        largest = float(average.size[frames].max())
        text = f"On average over the voxels the fit leaves up to {_percent(largest)} of the signal "
        text += f"in {_named(frames.tolist())}: another sequence, a first frame that is missing, "
        text += "or a wrong value among those that are taken for granted, such as B1?"
        yield Remark("frames", "warning", text, largest)
    elif average.level > _MOST_AVERAGE_RESIDUAL:
        text = f"On average over the voxels the fit leaves {_percent(average.level)} of the signal "
        text += (
            f"where noise would leave {_percent(average.noise)}: a gain that changes from frame "
        )
        text += "to frame, or another sequence?"
        limit = _MOST_AVERAGE_RESIDUAL
        yield Remark("average_residual", "warning", text, average.level, limit)


def _explain(faults: Sequence[FrameFault], frames: Sequence[int]) -> bool:
    """Whether frames that stand out are those with a fault; empty ones make others stand out too.

    Faults among many other frames that stand out are no faults of single frames.
    """
    if any(fault.kind == "empty" for fault in faults):
        return True
    return {*frames} <= {frame for fault in faults for frame in fault.frames}


def _named(frames: Sequence[int]) -> str:
    if len(frames) == 1:
        return f"frame {frames_text(frames)}"
    return f"frames {frames_text(frames)}"


def _check_input(run: Run) -> Iterator[Remark]:
    edges = np.linalg.norm(run.series.affine[:3, :3], axis=0)
    if edges.min() < _VOXEL_EDGES[0] or edges.max() > _VOXEL_EDGES[1]:
        size = " x ".join(f"{edge:.3g}" for edge in edges)
        text = f"Voxels of {size} mm: is the file in another unit than millimetres?"
        yield Remark("voxel_size", "warning", text)
    if run.series.sequence_id is None:
        expected = run.method.sequence_name or "the expected one"
        text = f"The scan does not name its sequence: only the fit tells whether it was {expected}."
        yield Remark("sequence_not_named", "note", text)


def _check_method(run: Run, signal: BoolArray) -> Iterator[Remark]:
    """Whether the method is accurate enough for the noise of this scan.

    The error of a table adds to that of the noise, and lies mostly across the directions of T1 and
    T2: at 0.3 of the residual, a table with a B1 axis had RMSE / bound of 1.02 to 1.04 and 94 % in
    its 95 % intervals (1500 random tissues). A method that was verified at the SNR of the scan, or
    above, is accurate enough whatever its table.
    """
    method, snr = run.method, implied_snr(run, signal)
    residual = median_residual(run, signal) or 0.0
    limit = max(_LEAST_TABLE_ERROR, _TABLE_SHARE * residual)
    if method.table_error > limit and not _is_verified(method, snr):
        text = f"The table of the {method.kind} is off by up to {method.table_error:.1e} of a "
        text += "signal, which is not small beside the noise of this scan."
        yield Remark("table_error", "warning", text, method.table_error, limit)
    yield from _check_scores(method, snr)


def _check_scores(method: Method, snr: float | None) -> Iterator[Remark]:
    """Poor scores at SNRs that matter to a scan of this SNR; at all where it is not known."""
    most = np.inf
    if snr is not None:
        most = _SCORED_BEYOND * snr
    for score_snr, parameter, score in scores_at_snr(method.scores):
        if not _LEAST_SCORED_SNR <= score_snr <= most or _is_good(score):
            continue
        text = f"When the {method.kind} was verified at SNR {score_snr:g}, its {parameter.upper()} "
        text += f"had {score.get('rmse_over_bound', 0.0):.2f} times the smallest possible error, "
        text += f"and its 95 % intervals held {_percent(score.get('coverage_95', 1.0))}."
        yield Remark("scores", "warning", text)


def _is_good(score: Mapping[str, float]) -> bool:
    coverage, rmse = score.get("coverage_95", 1.0), score.get("rmse_over_bound", 0.0)
    return coverage >= _LEAST_COVERAGE and rmse <= _MOST_RMSE


def _is_verified(method: Method, snr: float | None) -> bool:
    """Whether all scores at some SNR, that of the scan or above, are good."""
    if snr is None:
        return False
    found = scores_at_snr(method.scores)
    verified = {
        at for at, _, score in found if at >= _VERIFIED_FROM * snr and "rmse_over_bound" in score
    }
    return any(all(_is_good(score) for at, _, score in found if at == each) for each in verified)


def _percent(share: float) -> str:
    if share < 0.995:
        return f"{100 * share:.2g} %"
    return f"{100 * share:.0f} %"
