"""Frames that are not independent images: expanded from coefficients, or undersampled.

A series that was expanded from K coefficients holds K independent time courses, and so does its
noise. Frames of one arm of k-space each hold aliasing, which comes back whenever an arm does.
"""

import numpy as np

from mrftool.arrays import Array
from mrftool.inference.assessment.noise import lagged_sums
from mrftool.inference.assessment.sample import SampledResiduals

_MOST_COURSES = 40  # of coefficients, and at most a quarter of the frames
_LEAST_COURSES = 3  # M0, T1 and T2 take two of them
_MOST_DECOMPOSED = 200  # voxels
_FEW = 64  # voxels that are decomposed first
_CLIFF = 20.0  # between the last singular value of coefficients and the first one of rounding
_ROUNDING = 1e-3  # of the largest singular value, below which there is nothing but rounding
_LEAST_NOISE = 2e-3  # of the signal: noise-free scans of few tissues hold few courses, too
_LEAST_CYCLE = 4  # repetitions
_LEAST_RETURN = 0.2  # correlation of the residual, after one and after two cycles
_NEIGHBOURS = 0.8  # of the correlation, beyond which neighbouring lags count as the same peak


def number_of_courses(sample: SampledResiduals) -> int | None:
    """Number of coefficients that a complex series was expanded from; None where it was not."""
    if not np.iscomplexobj(sample.signal):
        return None
    level = np.linalg.norm(sample.signal, axis=1)
    left = np.linalg.norm(sample.signal - sample.model, axis=1)
    if np.median(left / level) < _LEAST_NOISE:
        return None
    n_voxels, n_time = sample.signal.shape
    chosen = np.unique(np.linspace(0, n_voxels - 1, min(n_voxels, _MOST_DECOMPOSED)).astype(int))
    rows = sample.signal[chosen] / level[chosen, None]
    most = min(_MOST_COURSES, n_time // 4, len(rows) - 1)
    if most < _LEAST_COURSES or _holds_more_than(most, rows):
        return None
    sizes = np.linalg.svd(rows, compute_uv=False)
    falls = sizes[:most] / np.maximum(sizes[1 : most + 1], 1e-30)
    count = int(np.argmax(falls)) + 1
    if count < _LEAST_COURSES or falls[count - 1] < _CLIFF or sizes[count] > _ROUNDING * sizes[0]:
        return None
    return count


def _holds_more_than(count: int, rows: Array) -> bool:
    """Whether some of the rows show that all of them hold more than `count` time courses.

    A singular value of some rows is at most that of all rows, whose first one is at most their norm
    (R. A. Horn and C. R. Johnson, Matrix Analysis, 2013, 7.3).
    """
    sizes = np.linalg.svd(rows[:: max(len(rows) // _FEW, 1)], compute_uv=False)
    return len(sizes) > count and bool(sizes[count] > _ROUNDING * np.linalg.norm(rows))


def arm_cycle(sample: SampledResiduals) -> int | None:
    """Number of repetitions after which the residual of a complex series comes back, as that of
    frames with one arm of k-space each does; None where it does not.
    """
    if not np.iscomplexobj(sample.signal):
        return None
    n_time = sample.noise.shape[1]
    sums = lagged_sums(sample.noise, 2 * (n_time // 4) + 1)
    correlation = sums / sums[0]
    once = correlation[_LEAST_CYCLE : n_time // 4 + 1]
    twice = correlation[2 * _LEAST_CYCLE : 2 * (n_time // 4) + 1 : 2]
    least = np.minimum(once, twice)
    if not least.size or least.max() < _LEAST_RETURN:
        return None
    peaks = np.flatnonzero(least >= _NEIGHBOURS * least.max())
    first = peaks[peaks < peaks[0] + _LEAST_CYCLE]
    cycle = int(first[np.argmax(least[first])]) + _LEAST_CYCLE
    if correlation[cycle] < 2 * correlation[cycle // 2]:  # it falls slowly, and has no cycle
        return None
    return cycle


def courses_sentence(count: int) -> str:
    """What a series of few independent time courses is, and what to do."""
    return (
        f"the frames hold only {count} independent time courses: a series that was expanded from "
        f"{count} coefficients. The standard deviations take its noise to be white in them; for "
        "exact ones, quantify the coefficient images with their basis and covariance"
    )


def cycle_sentence(cycle: int) -> str:
    """What a residual that repeats means, and what to do."""
    return (
        f"the residual repeats every {cycle} repetitions, as the aliasing of undersampled frames "
        "does: the standard deviations are those of a sandwich covariance over two "
        "cycles. Raw data, reconstructed to coefficient images, give smaller errors and exact ones"
    )
