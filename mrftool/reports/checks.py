"""Checks of a run: numbers compared with limits, and sentences where a limit is exceeded.

Shares are of the voxels with signal, so that the noise around a head without a mask does not count.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from mrftool.arrays import BoolArray, Float32Array, Range
from mrftool.formats.sequence.doubts import sequence_doubts
from mrftool.manifold.table import TABLE_SHARE
from mrftool.quantities import Flag
from mrftool.reports.fit_checks import (
    check_background,
    check_frames,
    check_given_values,
    check_noise,
    implied_snr,
    median_residual,
)
from mrftool.reports.remarks import Remark, percent_text
from mrftool.reports.run import Method, Run
from mrftool.reports.scores import scores_at_snr
from mrftool.sequence import PulseSequence

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
_LEAST_TABLE_ERROR = 1e-3  # below which the error of a table is no concern
_LEAST_COVERAGE = 0.85  # of 95 % intervals, where a method was verified
_MOST_RMSE = 1.3  # RMSE / bound, where a method was verified
_LEAST_SCORED_SNR = 10.0  # from which scores count
_VERIFIED_FROM = 0.8  # SNR of a score / SNR of the scan, from which it speaks for the method
_SCORED_BEYOND = 1.5  # SNR of a score / SNR of the scan, up to which the score counts
_VOXEL_EDGES = (0.05, 30.0)  # that are plausible [mm]


def check_run(run: Run, signal: BoolArray) -> list[Remark]:
    """All that is to be said of a run, warnings first. signal: `with_signal` of its maps."""
    found = [
        *check_background(run),
        *check_given_values(run.residuals),
        *check_frames(run.residuals),
        *_check_voxels(run, signal),
        *check_noise(run, signal),
        *_check_input(run),
        *_check_budget(run),
        *_check_method(run, signal),
    ]
    return sorted(found, key=lambda remark: remark.level != "warning")


def check_sequence(method: Method, sequence: PulseSequence | None) -> Iterator[Remark]:
    """Whether the sequence of the method, where it could be read, is one that a scanner plays."""
    if sequence is None:
        if method.sequence is not None:
            text = f"The {method.kind} does not describe its sequence in a way that can be read."
            yield Remark("sequence_unreadable", "warning", text)
        return
    for doubt in sequence_doubts(sequence):
        text = f"Of the {method.kind}'s sequence, {doubt}"
        yield Remark("sequence_implausible", "warning", text)


def _check_voxels(run: Run, signal: BoolArray) -> Iterator[Remark]:
    maps, n = run.maps, int(signal.sum())
    unexplained = maps.n_unexplained / max(n + maps.n_unexplained, 1)
    if unexplained > _MOST_FLAGGED[Flag.MISFIT]:
        text = f"In {maps.n_unexplained} voxels the fit explains no more than it would of noise, "
        text += "though they hold more than the noise of voxels that fit: another sequence?"
        yield Remark("unexplained", "warning", text, unexplained, _MOST_FLAGGED[Flag.MISFIT])
        if n == 0:
            return
    if n == 0:
        yield Remark("no_signal", "warning", "No voxel holds any signal.")
        return
    if not np.count_nonzero(maps.flags[signal] == 0):
        yield Remark("no_good_voxel", "warning", "Every voxel with signal is flagged.")
    for flag, most in _MOST_FLAGGED.items():
        share = np.count_nonzero(maps.flags[signal] & flag) / n
        if share > most:
            cause = _CAUSES[flag].format(kind=run.method.kind)
            text = f"{percent_text(share)} of the voxels with signal {cause}"
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
            text = f"{percent_text(share)} of the voxels with signal have a {name} "
            text += f"at the {end} end of the range."
            yield Remark(f"{name.lower()}_at_edge", "warning", text, share, _MOST_AT_EDGE)


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


def _check_budget(run: Run) -> Iterator[Remark]:
    """Whether anybody said for this scan how well the values are known that the fit takes."""
    if run.budget is None or not run.budget.is_typical:
        return
    sizes = ", ".join(f"{label} {size}" for label, size in run.budget.assumed.items())
    text = f"Error bars take it that these are known as well as they usually are: {sizes}. "
    text += "Where one may be off by more, such as B1 without a map, they are too small: "
    text += "measure it, fit it, or state its uncertainty."
    yield Remark("typical_uncertainty", "note", text)


def _check_method(run: Run, signal: BoolArray) -> Iterator[Remark]:
    """Whether the method is accurate enough for the noise of this scan.

    The error of a table adds to that of the noise (see TABLE_SHARE), and counts less where T1 and
    T2 are uncertain by more than the noise: it then moves them by as small a part of their combined
    uncertainty. A method that was verified at the SNR of the scan, or above, is accurate enough
    whatever its table.
    """
    method, snr = run.method, implied_snr(run, signal)
    residual = median_residual(run, signal) or 0.0
    share = TABLE_SHARE * _combined_over_random(run, signal)
    limit = max(_LEAST_TABLE_ERROR, share * residual)
    if method.table_error > limit and not _is_verified(method, snr):
        text = f"The table of the {method.kind} is off by up to {method.table_error:.1e} of a "
        text += "signal, which is not small beside the noise of this scan and what is uncertain."
        yield Remark("table_error", "warning", text, method.table_error, limit)
    yield from _check_scores(method, snr)


def _combined_over_random(run: Run, signal: BoolArray) -> float:
    """Median ratio of the combined and the random uncertainty, the smaller of T1 and T2 [1]; 1
    where they are not known.
    """
    ratios = []
    for name in ("t1", "t2"):
        random, combined = (run.maps.extra.get(f"{kind}_{name}") for kind in ("sd", "combined"))
        if random is None or combined is None or not signal.any():
            return 1.0
        ratios.append(float(np.nanmedian(combined[signal] / np.maximum(random[signal], 1e-30))))
    return max(1.0, min(ratios))


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
        text += f"and its 95 % intervals held {percent_text(score.get('coverage_95', 1.0))}."
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
