"""Signals with their derivatives by log T1 and log T2, and the gradient of any loss by every pulse.

The readable twin of native/epg_adjoint.c, in NumPy. With RF phases of 0 and 180 degrees,
F(k) = -i p(k), conj(F(-k)) = i m(k) and Z(k) = z(k) with real p, m and z, and the recurrence of
`mrftool/physics/epg.py` becomes, for a pulse of flip angle a and the interval TR after it:

    p <- cos2 p - sin2 m + sin a z        cos2 = (1 + cos a) / 2, sin2 = (1 - cos a) / 2
    m <- cos2 m - sin2 p + sin a z
    z <- cos a z - sin a (p + m) / 2      signal = p(0) exp(-TE / T2)
    p, m <- exp(-TR / T2) (p, m),  z <- exp(-TR / T1) z,  z(0) <- z(0) + 1 - exp(-TR / T1)
    p(k + 1) <- p(k),  m(k - 1) <- m(k),  p(0) = m(0)

Three sets of states are carried: the states, their derivatives by log T1, and by log T2. The states
before every pulse are kept, and the adjoint recurrence runs back through them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.design.pulse_train import DesignTissue, PulseTrain

STATES, BY_T1, BY_T2 = 0, 1, 2
P, M, Z = 0, 1, 2


def forward(
    train: PulseTrain, tissue: DesignTissue, orders: int
) -> tuple[FloatArray, list[FloatArray]]:
    """Signals `(set, tissue, pulse)`, and the states before each pulse `(set, 3, tissue,
    order)`.
    """
    states = np.zeros((3, 3, len(tissue), orders))
    states[STATES, Z, :, 0] = 1
    if train.inversion_time is not None:
        rest = Decay(train.inversion_time, tissue)
        states[STATES, Z, :, 0] = 1 - (1 + tissue.efficiency) * rest.e1
        states[BY_T1, Z, :, 0] = -(1 + tissue.efficiency) * rest.e1 * rest.x1
    signal = np.empty((3, len(tissue), len(train)))
    history = []
    for n in range(len(train)):
        history.append(states)
        states = rotate(states, train.flip_angle[n] * tissue.b1)
        echo = Decay(train.te[n], tissue)
        signal[:, :, n] = states[:, P, :, 0] * echo.e2
        signal[BY_T2, :, n] += states[STATES, P, :, 0] * echo.e2 * echo.x2
        states = shift(relax(states, Decay(train.tr[n], tissue)))
    return signal, history


def backward(
    train: PulseTrain, tissue: DesignTissue, history: list[FloatArray], weight: FloatArray
) -> dict[str, FloatArray]:
    """Derivatives of a loss by the flip angles, TR, TE `(tissue, pulse)`, and inversion time.

    weight: its derivatives by the signals `(set, tissue, pulse)`.
    """
    shape = (len(tissue), len(train))
    gradient: dict[str, FloatArray] = {key: np.zeros(shape) for key in ("flip_angle", "tr", "te")}
    adjoint = np.zeros_like(history[0])
    for n in reversed(range(len(train))):
        flip = train.flip_angle[n] * tissue.b1
        interval, echo = Decay(train.tr[n], tissue), Decay(train.te[n], tissue)
        played = rotate(history[n], flip)
        adjoint = shift_back(adjoint)
        gradient["tr"][:, n] = (adjoint * relax_by_time(played, interval)).sum(axis=(0, 1, 3))
        adjoint = relax_back(adjoint, interval)
        seen, by_echo = played[:, P, :, 0], weight[:, :, n]
        gradient["te"][:, n] = (seen * by_echo).sum(axis=0) * echo.e2_by_time
        gradient["te"][:, n] += seen[STATES] * by_echo[BY_T2] * echo.tangent2_by_time
        adjoint[:, P, :, 0] += by_echo * echo.e2
        adjoint[STATES, P, :, 0] += by_echo[BY_T2] * echo.e2 * echo.x2
        slope = (adjoint * rotate_by_flip(history[n], flip)).sum(axis=(0, 1, 3))
        gradient["flip_angle"][:, n] = tissue.b1 * slope
        adjoint = rotate_back(adjoint, flip)
    gradient["inversion_time"] = np.zeros(len(tissue))
    if train.inversion_time is not None:
        rest = Decay(train.inversion_time, tissue)
        slope = adjoint[STATES, Z, :, 0] * rest.e1_by_time
        slope += adjoint[BY_T1, Z, :, 0] * rest.tangent1_by_time
        gradient["inversion_time"] = -(1 + tissue.efficiency) * slope
    return gradient


@dataclass(frozen=True, eq=False)
class Decay:
    """What an interval of `time` [s] leaves of each tissue, and how that changes.

    The derivative of exp(-time / T) by log T is exp(-time / T) x with x = time / T: the tangent.
    """

    time: float
    tissue: DesignTissue

    @property
    def x1(self) -> FloatArray:
        """Time / T1."""
        return np.asarray(self.time / self.tissue.t1)

    @property
    def x2(self) -> FloatArray:
        """Time / T2."""
        return np.asarray(self.time / self.tissue.t2)

    @property
    def e1(self) -> FloatArray:
        """exp(-time / T1)."""
        return np.asarray(np.exp(-self.x1))

    @property
    def e2(self) -> FloatArray:
        """exp(-time / T2)."""
        return np.asarray(np.exp(-self.x2))

    @property
    def e1_by_time(self) -> FloatArray:
        """Derivative of e1 by the time [1/s]."""
        return -self.e1 / self.tissue.t1

    @property
    def e2_by_time(self) -> FloatArray:
        """Derivative of e2 by the time [1/s]."""
        return -self.e2 / self.tissue.t2

    @property
    def tangent1_by_time(self) -> FloatArray:
        """Derivative of e1 x1 by the time [1/s]."""
        return np.asarray(self.e1 / self.tissue.t1 * (1 - self.x1))

    @property
    def tangent2_by_time(self) -> FloatArray:
        """Derivative of e2 x2 by the time [1/s]."""
        return np.asarray(self.e2 / self.tissue.t2 * (1 - self.x2))


def rotate(states: FloatArray, flip: FloatArray) -> FloatArray:
    """RF pulse of `flip` `(tissue,)` [rad]."""
    cos, sin = np.cos(flip)[:, None], np.sin(flip)[:, None]
    return _turned(states, (1 + cos) / 2, (1 - cos) / 2, sin, cos)


def rotate_by_flip(states: FloatArray, flip: FloatArray) -> FloatArray:
    """Derivative of `rotate` by the flip angle."""
    cos, sin = np.cos(flip)[:, None], np.sin(flip)[:, None]
    return _turned(states, -sin / 2, sin / 2, cos, -sin)


def _turned(states: FloatArray, cos2: Any, sin2: Any, sin: Any, cos: Any) -> FloatArray:
    p, m, z = states[:, P], states[:, M], states[:, Z]
    rows = (
        cos2 * p - sin2 * m + sin * z,
        cos2 * m - sin2 * p + sin * z,
        cos * z - sin / 2 * (p + m),
    )
    return np.stack(rows, axis=1)


def rotate_back(adjoint: FloatArray, flip: FloatArray) -> FloatArray:
    """Transpose of `rotate`."""
    cos, sin = np.cos(flip)[:, None], np.sin(flip)[:, None]
    p, m, z = adjoint[:, P], adjoint[:, M], adjoint[:, Z]
    cos2, sin2 = (1 + cos) / 2, (1 - cos) / 2
    rows = (
        cos2 * p - sin2 * m - sin / 2 * z,
        cos2 * m - sin2 * p - sin / 2 * z,
        cos * z + sin * (p + m),
    )
    return np.stack(rows, axis=1)


def relax(states: FloatArray, decay: Decay) -> FloatArray:
    """Relaxation, with the tangents of decay and recovery."""
    e1, e2 = decay.e1[:, None], decay.e2[:, None]
    tangent1, tangent2 = (decay.e1 * decay.x1)[:, None], (decay.e2 * decay.x2)[:, None]
    relaxed = np.stack([e2 * states[:, P], e2 * states[:, M], e1 * states[:, Z]], axis=1)
    relaxed[BY_T2, P] += tangent2 * states[STATES, P]
    relaxed[BY_T2, M] += tangent2 * states[STATES, M]
    relaxed[BY_T1, Z] += tangent1 * states[STATES, Z]
    relaxed[STATES, Z, :, 0] += 1 - decay.e1
    relaxed[BY_T1, Z, :, 0] -= decay.e1 * decay.x1
    return relaxed


def relax_back(adjoint: FloatArray, decay: Decay) -> FloatArray:
    """Transpose of `relax`."""
    e1, e2 = decay.e1[:, None], decay.e2[:, None]
    tangent1, tangent2 = (decay.e1 * decay.x1)[:, None], (decay.e2 * decay.x2)[:, None]
    result = np.stack([e2 * adjoint[:, P], e2 * adjoint[:, M], e1 * adjoint[:, Z]], axis=1)
    result[STATES, P] += tangent2 * adjoint[BY_T2, P]
    result[STATES, M] += tangent2 * adjoint[BY_T2, M]
    result[STATES, Z] += tangent1 * adjoint[BY_T1, Z]
    return result


def relax_by_time(states: FloatArray, decay: Decay) -> FloatArray:
    """Derivative of `relax` by its time [1/s]."""
    by1, by2 = decay.e1_by_time[:, None], decay.e2_by_time[:, None]
    result = np.stack([by2 * states[:, P], by2 * states[:, M], by1 * states[:, Z]], axis=1)
    result[BY_T2, P] += decay.tangent2_by_time[:, None] * states[STATES, P]
    result[BY_T2, M] += decay.tangent2_by_time[:, None] * states[STATES, M]
    result[BY_T1, Z] += decay.tangent1_by_time[:, None] * states[STATES, Z]
    result[STATES, Z, :, 0] -= decay.e1_by_time
    result[BY_T1, Z, :, 0] -= decay.tangent1_by_time
    return result


def shift(states: FloatArray) -> FloatArray:
    """One cycle of spoiling: p moves up and m down; p(0) is m(0). The highest p is left out."""
    result = states.copy()
    result[:, P, :, 1:] = states[:, P, :, :-1]
    result[:, M, :, :-1] = states[:, M, :, 1:]
    result[:, M, :, -1] = 0
    result[:, P, :, 0] = result[:, M, :, 0]
    return result


def shift_back(adjoint: FloatArray) -> FloatArray:
    """Transpose of `shift`."""
    result = adjoint.copy()
    result[:, P, :, :-1] = adjoint[:, P, :, 1:]
    result[:, P, :, -1] = 0
    result[:, M, :, 1:] = adjoint[:, M, :, :-1]
    result[:, M, :, 0] = 0
    if adjoint.shape[-1] > 1:
        result[:, M, :, 1] += adjoint[:, P, :, 0]
    return result
