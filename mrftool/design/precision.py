"""What a sequence can reach: the Cramer-Rao bound over the plane of T1 and T2, relative to the
value and to scan time.

Efficiency is the T1- or T2-to-noise ratio per square root of scan time, T / sd(T) / sqrt(duration),
for noise that is the same whatever the sequence; so sequences of different length and signal
compare, if their readouts make equal noise.
Sources: "A statistical framework for optimizing and evaluating MRI of T1 and T2 relaxometry
approaches" (TNR efficiency), arXiv:2001.00094; D. Leitao et al., "Efficiency analysis for
quantitative MRI of T1 and T2 relaxometry methods" (2021), PMC8312556.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray, Progress
from mrftool.errors import ArgumentError
from mrftool.physics.cramer_rao import Form, bound_of_signals, signal_blocks
from mrftool.physics.noise import level_of
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

REFERENCE_NOISE = 0.01  # sd per channel [m0] for which efficiencies are given


@dataclass(frozen=True, eq=False)
class Precision:
    """What a sequence can reach in each voxel of `tissue`.

    level: root mean square over time of the fingerprint `(voxel,)` [m0].
    relative: smallest sd / value of T1 and T2 `(voxel, 2)` at the SNR asked for [1]; inf where not
    determined.
    efficiency: value / smallest sd / sqrt(duration) `(voxel, 2)` for noise of REFERENCE_NOISE
    [1/sqrt(s)].
    """

    tissue: Tissue
    level: FloatArray
    relative: FloatArray
    efficiency: FloatArray

    def __getitem__(self, part: slice) -> "Precision":
        return Precision(
            self.tissue[part], self.level[part], self.relative[part], self.efficiency[part]
        )


def precision(
    sequence: PulseSequence,
    tissue: Tissue,
    snr: float,
    *,
    form: Form = "complex",
    progress: Progress | None = None,
) -> Precision:
    """Precision of every voxel of `tissue` (of m0 = 1) when its own fingerprint has `snr`; see
    `Precision`.

    progress: called with the number of voxels done since the last call.

    Raises ArgumentError if the SNR is no number above 0.
    """
    if not (snr > 0 and np.isfinite(snr)):
        raise ArgumentError(f"SNR {snr:g}, expected a number above 0")
    level, relative, efficiency = (np.empty((len(tissue), *shape)) for shape in ((), (2,), (2,)))
    values = np.stack([tissue.t1, tissue.t2], axis=1)
    for block, signal, slopes in signal_blocks(sequence, tissue, progress=progress):
        level[block] = level_of(signal)
        relative[block] = (
            bound_of_signals(signal, slopes, level[block] / snr, form=form) / values[block]
        )
        if form == "complex":  # the bound is in proportion to the noise
            reference = relative[block] * (REFERENCE_NOISE * snr / level[block])[:, None]
        else:
            noise = np.full(len(signal), REFERENCE_NOISE)
            reference = bound_of_signals(signal, slopes, noise, form=form) / values[block]
        efficiency[block] = 1 / (reference * np.sqrt(sequence.duration))
    return Precision(tissue, level, relative, efficiency)


def plane(t1_range: tuple[float, float], t2_range: tuple[float, float], size: int) -> Tissue:
    """`size` x `size` points that fill the part of the plane with T2 <= T1, evenly on logarithmic
    axes; T1 slowest.

    The last T2 of each T1 lies on the border: T2 = T1, or the end of t2_range. Ranges in [s].

    Raises ArgumentError if the ranges are none, or the lowest T2 is not below the lowest T1.
    """
    if not (0 < t1_range[0] < t1_range[1] and 0 < t2_range[0] < min(t2_range[1], t1_range[0])):
        raise ArgumentError(
            f"T1 {t1_range} s, T2 {t2_range} s, expected ranges of positive times, T2 from below T1"
        )
    t1 = np.geomspace(*t1_range, size)[:, None]
    share = np.linspace(0, 1, size)
    t2 = t2_range[0] * (np.minimum(t1, t2_range[1]) / t2_range[0]) ** share
    return Tissue(np.broadcast_to(t1, t2.shape).ravel(), np.minimum(t2, t1).ravel())
