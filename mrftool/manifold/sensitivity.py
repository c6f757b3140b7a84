"""How far T1 and T2 move when something that is given, and not fitted, is wrong.

B1, the efficiency of the inversion, TE and so on are taken for granted by a fit. An error of one of
them is an error of T1 and T2 that no residual shows, and its standard uncertainty a systematic part
of theirs (GUM, JCGM 100:2008, 4.3: type B).

With J the derivatives of the signal m by log T1 and log T2, from which M0 is projected out, and H =
Re J^H J, the estimates of least squares move by d = -H^-1 Re J^H dm/dp when the value of p that is
taken for granted rises: the first-order term of the implicit function theorem, at a small residual.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.manifold.influences import B1, TOLERANCE, Influence, influences_on, signal_derivative
from mrftool.physics.cramer_rao import Form
from mrftool.physics.simulate import signal_and_derivatives
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

NEGLIGIBLE = 5e-4  # relative change of T1 and T2 that need not be shown [1]
_LEAST_DETERMINANT = 1e-10  # of H, relative to the product of its diagonal


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How estimates follow the values that are taken for granted.

    Parameters
    ----------
    tissue
        The voxels.
    influences
        The values.
    slopes
        Derivatives of log T1 and log T2 by these values `(influence, voxel, 2)` [1 / unit]; NaN
        where the sequence does not determine T1 and T2.
    """

    tissue: Tissue
    influences: tuple[Influence, ...]
    slopes: FloatArray

    def shifts(self) -> FloatArray:
        """Relative change of T1 and T2 by one typical uncertainty of each value.

        Returns
        -------
        FloatArray
            `(influence, voxel, 2)` [1], with its sign.
        """
        sizes = np.array([influence.uncertainty for influence in self.influences])
        return np.asarray(self.slopes * sizes[:, None, None])

    def matters(self) -> BoolArray:
        """Which of the values move T1 or T2 of any voxel visibly `(influence,)`."""
        sizes = np.nan_to_num(np.abs(self.shifts()))
        return np.asarray((sizes >= NEGLIGIBLE).any(axis=(1, 2)))


def sensitivity(sequence: PulseSequence, tissue: Tissue, *, form: Form = "complex") -> Sensitivity:
    """Sensitivity of T1 and T2 to everything that a fit of this sequence takes for granted.

    Parameters
    ----------
    sequence
        What was played.
    tissue
        The voxels; their B1, ADC and off-resonance are the values that are taken for granted.
    form
        Of the signals that are fitted.
    """
    signal, slopes = signal_and_derivatives(
        sequence, tissue, with_respect_to=("t1", "t2", "b1"), tolerance=TOLERANCE
    )
    by_log_time = slopes[:2] * np.stack([tissue.t1, tissue.t2])[:, :, None]
    influences = influences_on(sequence)
    rows = []
    for influence in influences:
        change = slopes[2]
        if influence != B1:
            change = signal_derivative(influence, sequence, tissue)
        rows.append(estimate_slope(signal, by_log_time, change, form=form))
    return Sensitivity(tissue, influences, np.stack(rows))


def estimate_slope(
    signal: Array, slopes: Array, change: Array, *, form: Form = "complex"
) -> FloatArray:
    """Derivatives `(voxel, 2)` of two fitted parameters by a value that is taken for granted.

    Parameters
    ----------
    signal
        `(voxel, time)`, complex.
    slopes
        Derivatives of the signal by the fitted parameters `(2, voxel, time)`.
    change
        Derivative of the signal by the given value `(voxel, time)`.
    form
        "complex" fits the signal with a complex M0, "magnitude" its modulus with a real one.

    Returns
    -------
    FloatArray
        Change of each fitted parameter per change of the value; NaN where the signal does not
        determine them.
    """
    rows: Array = np.stack([*slopes, change]).astype(np.complex128)
    signal = np.asarray(signal, np.complex128)
    if form == "magnitude":
        size = np.abs(signal)
        rows = (np.conj(signal) * rows).real / np.maximum(size, 1e-300)
        signal = size
    unit = signal / np.maximum(np.linalg.norm(signal, axis=1, keepdims=True), 1e-300)
    rows = rows - unit * (np.conj(unit) * rows).sum(axis=2, keepdims=True)
    first, second, given = rows
    return -_solved(
        _inner(first, first),
        _inner(first, second),
        _inner(second, second),
        np.stack([_inner(first, given), _inner(second, given)], axis=1),
    )


def _solved(aa: FloatArray, ab: FloatArray, bb: FloatArray, right: FloatArray) -> FloatArray:
    """Solutions `(voxel, 2)` of ((aa, ab), (ab, bb)) x = right; NaN where there is none."""
    determinant = aa * bb - ab**2
    determinant[determinant <= _LEAST_DETERMINANT * aa * bb] = np.nan
    first = bb * right[:, 0] - ab * right[:, 1]
    second = aa * right[:, 1] - ab * right[:, 0]
    return np.asarray(np.stack([first, second], axis=1) / determinant[:, None])


def _inner(a: Array, b: Array) -> FloatArray:
    """Real part of the inner product of each row."""
    return np.asarray((np.conj(a) * b).real.sum(axis=1))


def combined(shifts: Sequence[FloatArray] | FloatArray) -> FloatArray:
    """Root sum of squares over the first axis: independent contributions together."""
    return np.asarray(np.sqrt(np.sum(np.square(np.asarray(shifts)), axis=0)))
