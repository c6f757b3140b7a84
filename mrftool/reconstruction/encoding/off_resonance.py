"""Off-resonance during the readout, by time segments.

exp(2 pi i f t) is approximated by a sum over a few times t_l of exp(2 pi i f t_l) times weights
h_l(t), fitted by least squares over the frequencies that occur.
Source: B. P. Sutton, D. C. Noll, J. A. Fessler, IEEE Trans Med Imaging 22:178 (2003), doi
10.1109/TMI.2002.808360.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, ComplexArray, FloatArray
from mrftool.errors import ArgumentError

_FREQUENCIES = 200  # at which the weights are fitted


@dataclass(frozen=True, eq=False)
class TimeSegments:
    """Phase maps and weights of each segment.

    phases: exp(2 pi i f(r) t_l) `(segment, x, y)`. weights: h_l at each sample
    `(segment, sample)`.
    error: largest error of the approximation [1].
    """

    phases: ComplexArray
    weights: ComplexArray
    error: float


def time_segments(field: FloatArray, sample_time: FloatArray, count: int) -> TimeSegments:
    """Segments for a field map.

    Parameters
    ----------
    field
        Off-resonance `(x, y)` [Hz].
    sample_time
        Of each sample, from the echo `(sample,)` [s].
    count
        Number of segments.

    Raises
    ------
    ArgumentError
        If the field is not finite, or `count` below 1.
    """
    if not np.isfinite(field).all() or count < 1:
        raise ArgumentError("expected a field of finite frequencies, and at least 1 time segment")
    centres = np.linspace(sample_time[0], sample_time[-1], count)
    if count == 1:
        centres = np.array([sample_time.mean()])
    frequencies = np.linspace(field.min(), field.max(), _FREQUENCIES)
    known, wanted = _turns(frequencies, centres), _turns(frequencies, sample_time)
    weights = np.linalg.lstsq(known, wanted, rcond=1e-8)[0]
    error = float(abs(known @ weights - wanted).max())
    phases = np.exp(2j * np.pi * field * centres[:, None, None])
    return TimeSegments(phases.astype(np.complex64), weights.astype(np.complex64), error)


def segments_needed(field: FloatArray, sample_time: FloatArray, tolerance: float = 1e-3) -> int:
    """The smallest number of segments whose error is below a tolerance.

    Parameters
    ----------
    field
        Off-resonance of each pixel [Hz].
    sample_time
        Of each sample after the excitation [s].
    tolerance
        Of the error, see `TimeSegments` [1].
    """
    count = 1
    while time_segments(field, sample_time, count).error > tolerance:
        count += 1
    return count


def _turns(frequencies: FloatArray, times: FloatArray) -> Array:
    return np.asarray(np.exp(2j * np.pi * np.outer(frequencies, times)))
