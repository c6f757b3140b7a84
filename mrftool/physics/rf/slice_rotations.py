"""How each position of a slice turns under a selective pulse: its Bloch equations without
relaxation, for all flip angles at once.

With the amplitude a of the waveform as the nominal flip angle (times B1), the spinor (alpha, beta)
of a position (see `pulse`) is an entire function of a: alpha is even, beta is odd. So alpha and
beta / a are interpolated in a^2 by Chebyshev polynomials, whose error is below `_TOLERANCE`.

The waveform is integrated in short steps of constant B1 (hard pulses with the precession of the
gradient between them merged into one exact rotation each), which is of second order in the step;
Richardson's extrapolation from two numbers of steps makes it of fourth order.

Gradient moments before and after the pulse turn each position about z. Before it stands the moment
that balances the first half of the pulse: under a spoiler any constant one has the same effect,
none, since isochromats of all phases are summed. After it stands the rephasing gradient, so what
is left is the deviation of the rotation from that of a pulse which acts at its centre.

Sources: J. Pauly et al., IEEE Trans Med Imaging 10:53 (1991), doi 10.1109/42.75611 (spinors, hard
pulses); M. Bernstein, K. King, X. Zhou, Handbook of MRI Pulse Sequences (2004), chapter 2 (sinc
pulses under windows, rephasing); profiles that depend on the flip angle in fingerprinting: D. Ma et
al., Magn Reson Med 78:1781 (2017), doi 10.1002/mrm.26580.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from mrftool.arrays import FloatArray
from mrftool.errors import ArgumentError
from mrftool.sequence.selective_pulse import WINDOW_DEPTHS, SelectivePulse

ComplexNumbers = NDArray[np.complex128]

_TOLERANCE = 1e-9  # of alpha, and of beta over the largest amplitude
LARGEST = 100.0  # flip angle times B1 [rad]
_LADDER = np.pi / 4  # largest amplitudes are multiples of it, so that few tables are made [rad]
_ENVELOPES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "sinc": np.sinc,
    "gauss": lambda x: np.asarray(np.exp(-np.pi * x**2)),
}


@dataclass(frozen=True, eq=False)
class SliceRotations:
    """Spinors of all positions as Chebyshev series.

    weight: share of each position in the signal `(position,)` [1].
    alpha, beta: coefficients of alpha and of beta / amplitude `(position, degree)` [1], [1/rad].
    largest: amplitude up to which they hold [rad].
    is_mirrored: whether each position stands for itself and its mirror image.
    """

    weight: FloatArray
    alpha: ComplexNumbers
    beta: ComplexNumbers
    largest: float
    is_mirrored: bool

    def spinor(self, position: int, amplitude: Any, series: "Series") -> tuple[Any, Any]:
        """Alpha and beta of a position for amplitudes `(...)` [rad]; `series` sums a series."""
        y = 2 * (amplitude / self.largest) ** 2 - 1
        alpha = series(self.alpha[position], y)
        return alpha, amplitude * series(self.beta[position], y)


Series = Callable[[ComplexNumbers, Any], Any]


def clenshaw(coefficients: ComplexNumbers, y: Any) -> Any:
    """The Chebyshev series at y, whose namespace is kept. C. Clenshaw, Math Comp 9:118 (1955)."""
    last, before = 0 * y, 0 * y
    for coefficient in coefficients[:0:-1]:
        last, before = complex(coefficient) + 2 * y * last - before, last
    return complex(coefficients[0]) + y * last - before


def waveform(pulse: SelectivePulse, steps: int) -> FloatArray:
    """B1 in the middle of each of `steps` equal steps, whose sum is 1 `(step,)` [1]."""
    time = (np.arange(steps) + 0.5) / steps - 0.5
    depth = WINDOW_DEPTHS[pulse.apodisation]
    window = 1 - depth + depth * np.cos(2 * np.pi * time)
    shape = window * _ENVELOPES[pulse.shape](pulse.time_bandwidth * time)
    return np.asarray(shape / shape.sum())


def positions_of(pulse: SelectivePulse) -> FloatArray:
    """Middle of each simulated part of the slice `(position,)` [slice thicknesses]."""
    return ((np.arange(pulse.positions) + 0.5) / pulse.positions - 0.5) * pulse.width


def slice_rotations(
    pulse: SelectivePulse, largest: float, *, is_mirrored: bool = False
) -> SliceRotations:
    """The rotations of `pulse` at all its positions.

    Parameters
    ----------
    pulse
        What is played.
    largest
        Flip angle times B1 that occurs at most [rad].
    is_mirrored
        Leave out one of each two positions that lie opposite each other: where all pulses have the
        axis x or -x and no position is off resonance, their signals are mirror images.

    Raises
    ------
    ArgumentError
        If the pulse would turn by more than `LARGEST`.
    """
    if not largest <= LARGEST:
        raise ArgumentError(
            f"a selective pulse of {np.rad2deg(largest):.4g} degrees with its B1, expected at most "
            f"{np.rad2deg(LARGEST):.4g}"
        )
    steps = max(math.ceil(abs(largest) / _LADDER - 1e-9), 1)
    return _tabulated(pulse, steps * _LADDER, is_mirrored)


@lru_cache(maxsize=16)
def _tabulated(pulse: SelectivePulse, largest: float, is_mirrored: bool) -> SliceRotations:
    places = positions_of(pulse)
    weight = np.full(len(places), pulse.width / pulse.positions)
    if is_mirrored:
        kept = slice(pulse.positions // 2, None)
        weight[places != 0] *= 2
        places, weight = places[kept], weight[kept]
    degree = 8
    while True:
        alpha, beta = _series(pulse, places, largest, degree)
        left = max(abs(alpha[:, -2:]).max(), largest * abs(beta[:, -2:]).max())
        if left < _TOLERANCE:
            return SliceRotations(weight, alpha, beta, largest, is_mirrored)
        degree *= 2


def _series(
    pulse: SelectivePulse, places: FloatArray, largest: float, degree: int
) -> tuple[ComplexNumbers, ComplexNumbers]:
    """Chebyshev coefficients of alpha and beta / amplitude `(position, degree)`."""
    nodes = np.cos(np.pi * (np.arange(degree) + 0.5) / degree)
    amplitudes = largest * np.sqrt((nodes + 1) / 2)
    alpha, beta = spinors(pulse, amplitudes, places)
    basis = chebyshev.chebvander(nodes, degree - 1) * 2 / degree
    basis[:, 0] /= 2
    return alpha.T @ basis, (beta / amplitudes[:, None]).T @ basis


def spinors(
    pulse: SelectivePulse, amplitudes: FloatArray, places: FloatArray, steps: int | None = None
) -> tuple[ComplexNumbers, ComplexNumbers]:
    """Alpha and beta `(amplitude, position)` of the pulse with its gradient moments.

    Parameters
    ----------
    pulse
        What is played.
    amplitudes
        Flip angle times B1 `(amplitude,)` [rad].
    places
        `(position,)` [slice thicknesses].
    steps
        Of the coarser integration; by default as many as the fastest rotation asks for.
    """
    if steps is None:
        turns = pulse.time_bandwidth * abs(places).max() + abs(amplitudes).max() / np.pi
        steps = 96 + 24 * math.ceil(turns + pulse.time_bandwidth)
    coarse, fine = (_integrate(pulse, amplitudes, places, n) for n in (steps, 2 * steps))
    alpha, beta = ((4 * each - rough) / 3 for rough, each in zip(coarse, fine, strict=True))
    size = np.sqrt(abs(alpha) ** 2 + abs(beta) ** 2)
    half = np.pi * pulse.time_bandwidth * places  # precession during half of the pulse [rad]
    missing = (1 - pulse.rephasing) * half  # that the rephasing gradient leaves
    alpha = alpha * np.exp(1j * (half - missing / 2)) / size
    return alpha, beta * np.exp(1j * missing / 2) / size


def _integrate(
    pulse: SelectivePulse, amplitudes: FloatArray, places: FloatArray, steps: int
) -> tuple[ComplexNumbers, ComplexNumbers]:
    """Alpha and beta `(amplitude, position)` at the end of the waveform, without other moments."""
    precession = np.pi * pulse.time_bandwidth * places / steps  # half of the angle of a step
    alpha = np.ones((len(amplitudes), len(places)), complex)
    beta = np.zeros_like(alpha)
    for share in waveform(pulse, steps):
        tip = (amplitudes * share / 2)[:, None]
        half = np.hypot(tip, precession)
        factor = np.sinc(half / np.pi)
        turn, by = np.cos(half) - 1j * precession * factor, -1j * tip * factor
        alpha, beta = turn * alpha - np.conj(by) * beta, by * alpha + np.conj(turn) * beta
    return alpha, beta
