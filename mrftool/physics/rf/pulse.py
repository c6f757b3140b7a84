"""What one RF pulse does to magnetisation: rotations without relaxation, on and off resonance.

A pulse turns magnetisation by the spinor (alpha, beta), the Cayley-Klein parameters of J. Pauly, P.
Le Roux, D. Nishimura, A. Macovski, IEEE Trans Med Imaging 10:53 (1991), doi 10.1109/42.75611; here
right-handed, as in the
engine: a turn by `angle` about (nx, ny, nz) has alpha = cos(angle/2) - i nz sin(angle/2) and
beta = (ny - i nx) sin(angle/2). From equilibrium it leaves Mz = |alpha|^2 - |beta|^2, Mx + i My = 2
conj(alpha) beta.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrftool.arrays import FloatArray

Spinor = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Pulse:
    """An RF pulse in constant steps.

    waveform: complex B1 in units of frequency, gamma B1 / 2 pi `(step,)` [Hz]. duration: of each
    step `(step,)` [s].
    """

    waveform: Spinor
    duration: FloatArray


def rotation(pulse: Pulse, off_resonance: ArrayLike = 0.0) -> tuple[Spinor, Spinor]:
    """The spinor alpha, beta `(position,)` of the whole pulse.

    off_resonance: of each position [Hz]: a number, `(position,)`, or `(position, step)` where a
    gradient varies.
    """
    *_, last = played(pulse, off_resonance)
    return last


def played(pulse: Pulse, off_resonance: ArrayLike = 0.0) -> Iterator[tuple[Spinor, Spinor]]:
    """The spinor before the pulse and after each of its steps.

    Parameters
    ----------
    pulse
        What is played.
    off_resonance
        Of each position [Hz]: a number, `(position,)`, or `(position, step)` where a gradient
        varies.
    """
    offsets = np.asarray(off_resonance, np.float64)
    offsets = offsets if offsets.ndim == 2 else np.outer(offsets, np.ones_like(pulse.duration))
    alpha, beta = np.ones(len(offsets), complex), np.zeros(len(offsets), complex)
    yield alpha, beta
    for b1, offset, time in zip(pulse.waveform, offsets.T, pulse.duration, strict=True):
        field = np.sqrt(abs(b1) ** 2 + offset**2)
        half = np.pi * field * time
        share = np.sin(half) / np.where(field > 0, field, 1.0)
        turn, tip = np.cos(half) - 1j * offset * share, -1j * b1 * share
        alpha, beta = turn * alpha - np.conj(tip) * beta, tip * alpha + np.conj(turn) * beta
        yield alpha, beta


def flip_and_phase(pulse: Pulse) -> tuple[float, float]:
    """Flip angle and phase of the axis [rad], on resonance.

    Where the phase of the waveform is constant (up to its sign), all steps turn about one axis and
    the flip angle is 2 pi |integral|, however large. Elsewhere it is the angle between
    magnetisation before and after.
    """
    total = complex(pulse.waveform @ pulse.duration)
    peak = pulse.waveform[np.argmax(abs(pulse.waveform))] if len(pulse.waveform) else 0j
    axis = np.angle(peak)
    if abs((pulse.waveform * np.exp(-1j * axis)).imag).max(initial=0) <= 1e-6 * abs(peak):
        is_empty = abs(total) <= 1e-12
        return 2 * np.pi * abs(total), float(axis if is_empty else np.angle(total))
    alpha, beta = (complex(part[-1]) for part in _course(pulse))
    flip = 2 * np.arcsin(min(abs(beta), 1.0))
    left = 2 * np.conj(alpha) * beta
    return float(flip), float(np.angle(1j * (left if abs(left) > 1e-9 else beta)))


def z_after(pulse: Pulse) -> tuple[float, float]:
    """Mz after the pulse, and the lowest Mz on the way, on resonance and from equilibrium [m0]."""
    _, beta = _course(pulse)
    z = 1 - 2 * abs(beta) ** 2
    return float(z[-1]), float(z.min(initial=1.0))


def _course(pulse: Pulse) -> tuple[Spinor, Spinor]:
    """The spinor after each step `(step,)`, on resonance.

    Steps are multiplied in rows of equal length, all rows at once, and then row by row: a pulse of
    n steps takes 2 sqrt(n) operations on arrays.
    """
    n = len(pulse.waveform)
    width = max(math.isqrt(n), 1)
    height = -(-n // width)
    half = np.zeros(height * width)
    half[:n] = np.pi * abs(pulse.waveform) * pulse.duration
    axis = np.zeros(height * width, complex)
    axis[:n] = np.exp(1j * np.angle(pulse.waveform))
    alpha = np.cos(half).reshape(height, width).astype(complex)
    beta = (-1j * axis * np.sin(half)).reshape(height, width)
    for i in range(1, width):
        alpha[:, i], beta[:, i] = _after(alpha[:, i], beta[:, i], alpha[:, i - 1], beta[:, i - 1])
    for i in range(1, height):
        alpha[i], beta[i] = _after(alpha[i], beta[i], alpha[i - 1, -1], beta[i - 1, -1])
    return alpha.reshape(-1)[:n], beta.reshape(-1)[:n]


def _after(
    alpha: Spinor, beta: Spinor, first_alpha: Spinor, first_beta: Spinor
) -> tuple[Spinor, Spinor]:
    """The spinor of a rotation that follows a first one."""
    both = alpha * first_alpha - np.conj(beta) * first_beta
    return both, beta * first_alpha + np.conj(alpha) * first_beta


def flip_across(pulse: Pulse, gradient: FloatArray, positions: FloatArray) -> FloatArray:
    """Flip angle at each of `positions` `(position,)` [m] across the slice, 0 to pi [rad].

    gradient: during each step of the pulse `(step,)` [Hz/m]. Position 0 is on resonance.
    """
    _, beta = rotation(pulse, np.outer(positions, gradient))
    return np.asarray(2 * np.arcsin(np.clip(abs(beta), 0, 1)))
