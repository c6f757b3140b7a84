"""Checks of what a fit leaves of a scan: of its noise, and of the average over its voxels."""

from collections.abc import Iterator, Sequence

import numpy as np

from mrftool.arrays import BoolArray
from mrftool.evaluation.residuals import FitResiduals
from mrftool.fingerprints import CHANNELS
from mrftool.inference.assessment.frames import Fault, FrameFault, shift_text
from mrftool.manifold.influences import uncertainty_text
from mrftool.reports.parts.tables import frames_text
from mrftool.reports.remarks import Remark, percent_text
from mrftool.reports.run import Run
from mrftool.reports.scores import finite_number

_FRAME_FAULTS: dict[Fault, str] = {
    "empty": "of the scan hold no signal in any voxel",
    "lost": "hold next to none of the signal that the fit expects",
    "scaled": "have another gain than their neighbours",
    "swapped": "hold each other's signal",
    "shifted": "and all later ones hold the signal of another place",
}
_LEAST_SNR = 3.0  # that the median residual may imply where the average tells nothing
_MOST_SNR_FACTOR = 2.0  # between what the residual implies and what the file says
_MOST_NOISE_FACTOR = 1.5  # between the noise that was given and that of the residual
_MOST_AVERAGE_RESIDUAL = 0.03  # of the signal, averaged over voxels, beyond that of noise


def median_residual(run: Run, signal: BoolArray) -> float | None:
    """Of the voxels with signal, relative to their signal [1]; None where it is not known."""
    if "residual" not in run.maps.extra or not signal.any():
        return None
    return float(np.nanmedian(run.maps.extra["residual"][signal]))


def implied_snr(run: Run, signal: BoolArray) -> float | None:
    """SNR that the median residual r of the voxels with signal implies, if it is all noise.

    Noise of standard deviation sd in each of n channels leaves r^2 / (1 - r^2) = n sd^2 / (mean
    squared magnitude). None where r is not known.
    """
    r = median_residual(run, signal)
    if r is None or not 0 < r < 1:
        return None
    return float(np.sqrt(CHANNELS[run.series.form] * (1 - r * r)) / r)


def check_noise(run: Run, signal: BoolArray) -> Iterator[Remark]:
    """Whether the residual is that of noise. signal: `with_signal` of its maps."""
    snr = implied_snr(run, signal)
    if snr is None:
        return
    if snr < _LEAST_SNR and not _is_noise(run.residuals):
        text = f"The median residual would mean an SNR of {snr:.2g}: "
        text += "very noisy, or no scan of this sequence."
        yield Remark("residual", "warning", text, snr, _LEAST_SNR)
    yield from _check_noise_sd(run)
    stated = finite_number((run.series.sidecar or {}).get("snr"))
    if stated is None or stated <= 0:
        return
    factor = max(snr / stated, stated / snr)
    if factor > _MOST_SNR_FACTOR:
        text = f"The residual implies an SNR of {snr:.3g}, the file says {stated:.3g}."
        yield Remark("snr_differs", "warning", text, factor, _MOST_SNR_FACTOR)


def _check_noise_sd(run: Run) -> Iterator[Remark]:
    """Whether the noise that was given is that of the residual: what is too large hides misfits."""
    given, residuals = run.noise_sd, run.residuals
    if not given or residuals is None or not residuals.noise_sd:
        return
    factor = given / residuals.noise_sd
    if not 1 / _MOST_NOISE_FACTOR <= factor <= _MOST_NOISE_FACTOR:
        text = f"The noise that was given has a standard deviation of {given:.3g}, the residual "
        text += f"shows {residuals.noise_sd:.3g}: the error bars, and the flags of misfit, are of "
        text += "no use unless the one that was given is right."
        yield Remark("noise_sd_differs", "warning", text, factor, _MOST_NOISE_FACTOR)


def check_frames(residuals: FitResiduals | None) -> Iterator[Remark]:
    """Frames that do not follow the model, which the noise of single voxels hides."""
    if residuals is None:
        return
    average, faults = residuals.average, residuals.faults
    frames = residuals.conspicuous()
    if faults and _explain(faults, frames):
        for fault in faults:
            text = f"{_named(fault.frames).capitalize()} {_FRAME_FAULTS[fault.kind]}."
            if fault.kind == "shifted":
                text = (
                    f"All frames from about {fault.frames[0] + 1} on hold {shift_text(fault.lag)}."
                )
            yield Remark(f"{fault.kind}_frames", "warning", text, float(len(fault.frames)), 0.0)
    elif frames:
        largest = float(average.size[average.conspicuous()].max())
        text = f"On average over the voxels the fit leaves up to {percent_text(largest)} of the "
        text += f"signal in {_named(frames)}: another sequence, a first frame that is "
        text += "missing, or a wrong value among those that are taken for granted, such as B1?"
        yield Remark("frames", "warning", text, largest)
    elif not _is_noise(residuals):
        text = f"On average over the voxels the fit leaves {percent_text(average.level)} of the "
        text += f"signal where noise would leave {percent_text(average.noise)}: a gain that "
        text += "changes from frame to frame, or another sequence?"
        limit = _MOST_AVERAGE_RESIDUAL
        yield Remark("average_residual", "warning", text, average.excess, limit)


def check_background(run: Run) -> Iterator[Remark]:
    """Whether the noise around what was scanned is that of the number of coils."""
    coils = int(run.method.numbers.get("coils", 1))
    if run.background is None or not run.background.contradicts(coils):
        return
    found = run.background.coils
    text = f"The noise of {run.background.n_voxels} voxels of air is that of magnitudes of "
    text += f"{_coils(found)} (mean over standard deviation {run.background.ratio:.2g}), "
    text += f"the fit takes {_coils(coils)}: "
    if found > coils:
        text += "a root sum of squares, whose number of coils was not given?"
    else:
        text += "are there fewer coils, or was the noise changed?"
    yield Remark("coils", "warning", text, float(found), float(coils))


def _coils(count: int) -> str:
    if count == 1:
        return "1 coil"
    return f"{count} coils"


def check_given_values(residuals: FitResiduals | None) -> Iterator[Remark]:
    """An error of a value that is taken for granted, which would leave what the fit leaves."""
    if residuals is None or residuals.suspected is None:
        return
    if _explain(residuals.faults, residuals.conspicuous()) and residuals.faults:
        return  # frames with a fault leave more than any value
    error = residuals.suspected
    influence, limit = error.influence, error.uncertainty
    size = uncertainty_text(influence, abs(error.size))
    direction = "larger"
    if error.size < 0:
        direction = "smaller"
    article = "a"
    if influence.label[0] in "aeio":
        article = "an"
    text = f"The average residual is that of {article} {influence.label} about {size} {direction} "
    text += "than the fit takes for granted (standard uncertainty "
    text += f"{uncertainty_text(influence, limit)})"
    if error.others:
        labels = " or ".join(each.label for each in error.others)
        text += f", or of an error of the {labels}"
    text += ": T1 and T2 may be off by more than their uncertainty."
    yield Remark("given_value", "warning", text, abs(error.size), limit)


def _is_noise(residuals: FitResiduals | None) -> bool:
    """Whether noise explains what the fit leaves, however strong it is; False if not looked at."""
    if residuals is None:
        return False
    return residuals.average.excess <= _MOST_AVERAGE_RESIDUAL


def _explain(faults: Sequence[FrameFault], frames: Sequence[int]) -> bool:
    """Whether frames that stand out are those with a fault; empty ones make others stand out too,
    and shifted ones are all.

    Faults among many other frames that stand out are no faults of single frames.
    """
    if any(fault.kind in ("empty", "shifted") for fault in faults):
        return True
    return {*frames} <= {frame for fault in faults for frame in fault.frames}


def _named(frames: Sequence[int]) -> str:
    if len(frames) == 1:
        return f"frame {frames_text(frames)}"
    return f"frames {frames_text(frames)}"
