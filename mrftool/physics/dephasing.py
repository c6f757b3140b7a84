"""Dephasing of configuration states by gradients, and the b-values of diffusion that follow.

Source: M. Weigel et al., J Magn Reson 205:276 (2010), doi 10.1016/j.jmr.2010.05.011.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.sequence import PulseSequence, Spoiler

Array = Any
GAMMA = 2.675_221_870_8e8  # proton gyromagnetic ratio [rad/s/T], CODATA 2022


@dataclass(frozen=True)
class Dephasing:
    """What the gradients do to the wave vector in one interval.

    A state with wave vector q(t) decays by exp(-b x adc), b = integral of |q|^2 over the interval
    (Weigel 2010).
    step: length of order 1's wave vector [rad/m]. For a wave vector kappa(t) that starts at 0 in
    this interval,
    first: integral of its part along the step [rad s/m], second: integral of |kappa|^2 [rad2 s/m2].
    """

    step: float
    first: float = 0.0
    second: float = 0.0

    def transverse(self, order: Array, time: float) -> Array:
        """b-value of F(order) over `time` [s]: integral of (order x step + kappa)^2 [s/m2]."""
        return (order * self.step) ** 2 * time + 2 * order * self.step * self.first + self.second

    def longitudinal(self, order: Array, time: float) -> Array:
        """b-value of Z(order) over `time` [s]: its wave vector stays [s/m2]."""
        return (order * self.step) ** 2 * time


def at_rest(sequence: PulseSequence) -> Dephasing | None:
    """An interval without gradients; None where the sequence gives no spoiler waveform."""
    if sequence.spoiler is None:
        return None
    return Dephasing(step=float(GAMMA * np.linalg.norm(sequence.spoiler.moment)))


def spoiled(sequence: PulseSequence, time: float, cycles: int = 1) -> Dephasing | None:
    """An interval of `time` [s] that the spoiler waveform begins, as strong as for so many cycles;
    None where the sequence gives none.
    """
    if sequence.spoiler is None:
        return None
    step, first, second = spoiled_integrals(sequence.spoiler, np.array([time]))
    return Dephasing(step, cycles * float(first[0]), cycles**2 * float(second[0]))


def spoiled_integrals(spoiler: Spoiler, times: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """`step`, `first` and `second` of `Dephasing`, of intervals `(interval,)` [s] that the waveform
    begins, at rest once it is over.
    """
    slopes, duration = GAMMA * spoiler.axes.T, spoiler.duration
    kappa, first, second = np.zeros((3, slopes.shape[1]))  # on each axis
    for slope, dt in zip(slopes, duration, strict=True):
        first = first + kappa * dt + slope * dt**2 / 2
        second = second + kappa**2 * dt + kappa * slope * dt**2 + slope**2 * dt**3 / 3
        kappa = kappa + slope * dt
    step = float(np.linalg.norm(kappa))
    idle = np.maximum(times - float(duration.sum()), 0.0)
    energy = float(kappa @ kappa)
    along = (float(kappa @ first) + energy * idle) / step
    return step, along, float(second.sum()) + energy * idle
