"""Whether the frames of a scan are those of another place in the train: one was lost, or is extra.

Each frame of the scan is compared with the fit of its own place, and with that of a few places
before and after. Where the frames from some place on fit much better elsewhere, they are shifted.
"""

from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.inference.assessment.sample import SampledResiduals
from mrftool.physics.noise import rician_moments

_LARGEST = 4  # places that are tried; what fits best there is no shift by a few frames
_CHUNKS = 8  # of the shifted frames, with an equal part of the difference each
_MOST_VOXELS = 400
_SIGNIFICANT = 8.0  # standard deviations
_SHARES = (0.3, 1.7)  # of the difference of both places; a shift explains all of it, hence 1
_LEAST_CHUNKS = 0.6  # of the chunks, in which this is so
_LEAST_PART = 0.25  # of the difference between both places, that lies in shifted frames
_IN_DOUBT = 3.0  # standard deviations


@dataclass(frozen=True)
class Shift:
    """Frames from `start` on, counted from 0, hold what is expected `lag` frames later."""

    start: int
    lag: int

    def place_of(self, n_time: int) -> Array:
        """The place in the train whose signal each frame holds `(time,)`."""
        places = np.arange(n_time)
        places[self.start :] += self.lag
        return np.asarray(np.clip(places, 0, n_time - 1))


def find_shift(sample: SampledResiduals) -> Shift | None:
    """The shift that brings scan and fit closest; None where none explains enough."""
    n_voxels, n_time = sample.signal.shape
    chosen = np.unique(np.linspace(0, n_voxels - 1, min(n_voxels, _MOST_VOXELS)).astype(int))
    sd = sample.noise_sd[chosen, None]
    seen, expected = sample.signal[chosen] / sd, sample.model[chosen] / sd
    if not np.iscomplexobj(seen):
        expected = rician_moments(expected)[0]
    own = frame_power(seen - expected)
    used = (sample.signal != 0).any(axis=0)
    best, most = None, 0.0
    for lag in (*range(-_LARGEST, 0), *range(1, _LARGEST + 1)):
        places = np.arange(n_time) + lag
        inside = used & (places >= 0) & (places < n_time)
        there = expected[:, np.clip(places, 0, n_time - 1)]
        better = np.where(inside, own - frame_power(seen - there), 0.0)
        contrast = np.where(inside, frame_power(expected - there), 0.0)
        start, gain = _best_start(better, contrast)
        if gain > most:
            best, most = Shift(start, lag), gain
    if best is None or abs(best.lag) == _LARGEST:
        return None
    return best


def frame_power(rows: Array) -> FloatArray:
    """Sum over voxels of the squared moduli of rows `(voxel, time)`: `(time,)`."""
    power = np.einsum("vt,vt->t", rows.real, rows.real)
    if np.iscomplexobj(rows):
        power += np.einsum("vt,vt->t", rows.imag, rows.imag)
    return np.asarray(power, np.float64)


def _best_start(better: FloatArray, contrast: FloatArray) -> tuple[int, float]:
    """The first frame of a shift, and by how much all frames from there on fit better; 0 where that
    is not significant, or not what a shift would do.

    Frames before it that hardly tell both places apart count to the shift.
    """
    gain, difference = (np.cumsum(values[::-1])[::-1] for values in (better, contrast))
    start = int(np.argmax(gain))
    is_significant = gain[start] > 2 * _SIGNIFICANT * np.sqrt(difference[start])
    if not is_significant or difference[start] < _LEAST_PART * difference[0]:
        return 0, 0.0
    low, high = _SHARES
    if not low < gain[start] / difference[start] < high:
        return 0, 0.0
    if _explained_chunks(better[start:], contrast[start:]) < _LEAST_CHUNKS:
        return 0, 0.0
    lost = gain[start] - gain[: start + 1]
    doubt = 2 * _IN_DOUBT * np.sqrt(difference[: start + 1] - difference[start])
    return int(np.argmax(lost <= doubt)), float(gain[start])


def _explained_chunks(better: FloatArray, contrast: FloatArray) -> float:
    """Share of the chunks of frames whose gain is the difference of both places, as a shift makes
    it; this difference is the same in all chunks.
    """
    passed = np.cumsum(contrast) / contrast.sum()
    chunk = np.minimum((passed * _CHUNKS).astype(int), _CHUNKS - 1)
    gains, differences = (
        np.bincount(chunk, values, minlength=_CHUNKS) for values in (better, contrast)
    )
    filled = differences > 0
    shares = gains[filled] / differences[filled]
    low, high = _SHARES
    return float(np.mean((shares > low) & (shares < high)))


def aligned(sample: SampledResiduals, shift: Shift) -> SampledResiduals:
    """The same voxels, with the fit at the places whose signal the frames hold."""
    return replace(sample, model=sample.model[:, shift.place_of(sample.signal.shape[1])])
