"""What the average residual says of each frame: whether it is empty, lost, scaled or swapped.

A frame's gain is what the scan has more of than the fit, as a share of the fit, over all sampled
voxels together. Slow changes of it over time are model errors; a frame that stands out from its
neighbours is one that the scanner or a conversion changed.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mrftool.arrays import Array, FloatArray, IndexArray
from mrftool.inference.assessment.sample import SampledResiduals
from mrftool.inference.assessment.shifts import aligned, find_shift, frame_power

Fault = Literal["empty", "lost", "scaled", "swapped", "shifted"]

_SIGNIFICANT = 6.0  # standard deviations
_LEAST_GAIN = 0.04  # deviation from the neighbours that is named [1]
_LEAST_POWER = 0.1  # of the mean frame: smaller differences of weaker frames do not count
_LOST_GAIN = -0.8  # below this, a frame holds next to nothing
_NEIGHBOURS = 11  # frames of the running median
_MOST_CANDIDATES = 40  # frames that are tried in each other's place


@dataclass(frozen=True)
class FrameFault:
    """Frames that do not hold what the sequence says; the first is 0.

    Parameters
    ----------
    kind
        "empty": no signal at all in any voxel. "lost": next to none. "scaled": another gain than
        the neighbours. "swapped": each other's signal. "shifted": from this frame on, all hold what
        is expected some frames later.
    frames
        Their numbers.
    gain
        Mean deviation from the neighbours of scaled frames [1].
    lag
        Frames from the place of shifted ones to the place whose signal they hold [1].
    """

    kind: Fault
    frames: tuple[int, ...]
    gain: float = 0.0
    lag: int = 0

    def numbered(self, frames: IndexArray | None) -> "FrameFault":
        """The same fault where the k-th frame has the number `frames[k]`; None: k."""
        if frames is None:
            return self
        return replace(self, frames=_numbers(frames[list(self.frames)]))


def shift_text(lag: int) -> str:
    """What shifted frames hold: "what is expected 1 frame later (1 lost before it?)"."""
    count = abs(lag)
    noun = "frame"
    if count > 1:
        noun = "frames"
    if lag > 0:
        return f"what is expected {count} {noun} later ({count} lost before?)"
    return f"what is expected {count} {noun} earlier ({count} too many before?)"


@dataclass(frozen=True, eq=False)
class FrameResiduals:
    """The residual over time, of all sampled voxels together.

    Parameters
    ----------
    gain
        Scan over fit, less 1 `(time,)` [1].
    gain_sd
        What noise alone makes of it `(time,)` [1].
    relative
        Root mean square residual over that of a typical frame `(time,)` [1].
    faults
        What stands out.
    """

    gain: FloatArray
    gain_sd: FloatArray
    relative: FloatArray
    faults: tuple[FrameFault, ...]

    def numbered(self, frames: IndexArray | None) -> "FrameResiduals":
        """The same where the k-th frame has the number `frames[k]` in the faults; None: k."""
        return replace(self, faults=tuple(fault.numbered(frames) for fault in self.faults))


def frame_residuals(sample: SampledResiduals) -> FrameResiduals:
    """Gains and residuals of each frame, and the frames that stand out.

    Where frames are shifted, the others are looked for where they belong.
    """
    shift = find_shift(sample)
    shifted: tuple[FrameFault, ...] = ()
    if shift is not None:
        sample = aligned(sample, shift)
        shifted = (FrameFault("shifted", (shift.start,), lag=shift.lag),)
    fit = sample.model / sample.noise_sd[:, None]
    residual = sample.residual
    power = frame_power(fit)
    typical = np.maximum(power, _LEAST_POWER * power.mean())
    gain = (fit.conj() * residual).real.sum(axis=0) / typical
    energy = frame_power(residual) / len(residual)
    middle = max(float(np.median(energy)), 1e-300)
    parts = 1 + np.iscomplexobj(residual)
    gain_sd = np.sqrt(middle / parts / typical)
    faults = (*shifted, *_faults(sample, gain, gain_sd))
    return FrameResiduals(gain, gain_sd, np.sqrt(energy / middle), faults)


def _faults(
    sample: SampledResiduals, gain: FloatArray, gain_sd: FloatArray
) -> tuple[FrameFault, ...]:
    faults = []
    known = (sample.signal == 0).all(axis=0)
    if known.any():
        faults.append(FrameFault("empty", _numbers(np.flatnonzero(known))))
    spread = np.maximum(_SIGNIFICANT * gain_sd, _LEAST_GAIN)
    deviation = gain - _running_median(gain)
    odd = (np.abs(deviation) > spread) & ~known
    swapped = _swapped(sample, np.flatnonzero(odd))
    for pair in swapped:
        faults.append(FrameFault("swapped", pair))
        odd[list(pair)] = False
    lost = odd & (gain < _LOST_GAIN)
    if lost.any():
        faults.append(FrameFault("lost", _numbers(np.flatnonzero(lost))))
    scaled = odd & ~lost
    if scaled.any():
        mean = float(np.abs(deviation[scaled]).mean())
        faults.append(FrameFault("scaled", _numbers(np.flatnonzero(scaled)), mean))
    return tuple(faults)


def _running_median(values: FloatArray) -> FloatArray:
    half = _NEIGHBOURS // 2
    padded = np.pad(values, half, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS)
    return np.asarray(np.median(windows, axis=1))


def _swapped(sample: SampledResiduals, odd: IndexArray) -> list[tuple[int, int]]:
    """Pairs of frames that fit much better in each other's place."""
    if not 2 <= len(odd) <= _MOST_CANDIDATES:
        return []
    signal, fit = sample.signal[:, odd], sample.model[:, odd]
    weights = 1 / sample.noise_sd**2
    pairs = _exchanges(_distances(signal, fit, weights))
    return [(int(odd[i]), int(odd[j])) for i, j in pairs]


def _distances(signal: Array, fit: Array, weights: FloatArray) -> FloatArray:
    """Weighted sum of squares between each frame of the signal and each of the fit."""
    rows = [weights @ np.abs(frame[:, None] - fit) ** 2 for frame in signal.T]
    return np.array(rows)


def _exchanges(distance: FloatArray) -> list[tuple[int, int]]:
    """Pairs (i, j) of frames whose exchange at least halves the distance of signal and fit."""
    own = np.diagonal(distance)
    exchanged = distance + distance.T
    pairs: list[tuple[int, int]] = []
    left = list(range(len(distance)))
    while len(left) > 1:
        i = left.pop(0)
        best = left[int(np.argmin(exchanged[i, left]))]
        if exchanged[i, best] < (own[i] + own[best]) / 2:
            pairs.append((i, best))
            left.remove(best)
    return pairs


def _numbers(frames: IndexArray) -> tuple[int, ...]:
    return tuple(int(frame) for frame in frames)
