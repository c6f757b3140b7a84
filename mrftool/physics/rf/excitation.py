"""What the RF pulses of a sequence do to the configuration states at each position of the slice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from mrftool.physics.rf.slice_rotations import clenshaw, slice_rotations
from mrftool.sequence import PulseSequence, SelectivePulse

Array = Any
States = tuple[Array, Array, Array]  # F(k), conj(F(-k)), Z(k), each `(voxel, order)`


@dataclass(frozen=True)
class Position:
    """A position in the slice.

    weight: its share in the signal [1]. excite: what the pulse of some number does to the states.
    field: actual over nominal flip angle of preparations `(voxel,)` [1].
    """

    weight: float
    excite: Callable[[int, States], States]
    field: Array


def positions(sequence: PulseSequence, nominal: Array, b1: Array) -> Iterator[Position]:
    """Each position in the slice.

    nominal: flip angles `(pulse,)` [rad]. b1: `(voxel,)` [1].
    """
    if isinstance(sequence.slice_profile, SelectivePulse):
        yield from _selective(sequence, sequence.slice_profile, nominal, b1)
        return
    for factor, weight in slice_positions(sequence):
        field = b1 * float(factor)
        flips = nominal[:, None] * field
        yield Position(float(weight), partial(_by_flip, sequence, flips), field)


def _selective(
    sequence: PulseSequence, pulse: SelectivePulse, nominal: Array, b1: Array
) -> Iterator[Position]:
    flips = nominal[:, None] * b1
    xp = array_namespace(flips)
    rotations = slice_rotations(pulse, float(xp.max(xp.abs(flips))))
    for place, weight in enumerate(rotations.weight):
        alpha, beta = rotations.spinor(place, flips, clenshaw)
        yield Position(float(weight), partial(_by_spinor, sequence, alpha, beta), b1)


def slice_positions(sequence: PulseSequence) -> list[tuple[float, float]]:
    """Flip factor [1] and weight [1] of each position in the slice; one if no profile is given.

    Under a selective pulse, the factor is that of the preparations, which aren't selective.
    """
    profile = sequence.slice_profile
    if profile is None:
        return [(1.0, 1.0)]
    if isinstance(profile, SelectivePulse):
        return [(1.0, profile.width / profile.positions)] * profile.positions
    return list(zip(profile.flip_factor, profile.weight, strict=True))


def _by_flip(sequence: PulseSequence, flips: Array, n: int, states: States) -> States:
    return rotate(array_namespace(flips), states, flips[n], sequence.rf_phase[n])


def _by_spinor(
    sequence: PulseSequence, alpha: Array, beta: Array, n: int, states: States
) -> States:
    axis = complex(np.exp(1j * sequence.rf_phase[n]))
    return rotate_by_spinor(array_namespace(alpha), states, alpha[n], axis * beta[n])


def rotate(xp: Any, states: States, flip: Array, phase: float) -> States:
    """RF pulse of `flip` `(voxel,)` [rad] about the transverse axis at `phase` [rad]. Weigel 2015,
    eq. 15 and 18.
    """
    f_plus, f_minus, z = states
    cos, sin = xp.cos(flip)[:, None], xp.sin(flip)[:, None]
    cos2, sin2 = (1 + cos) / 2, (1 - cos) / 2
    turn = complex(np.exp(1j * phase))
    back = turn.conjugate()
    return (
        cos2 * f_plus + turn**2 * sin2 * f_minus - 1j * turn * sin * z,
        back**2 * sin2 * f_plus + cos2 * f_minus + 1j * back * sin * z,
        -0.5j * back * sin * f_plus + 0.5j * turn * sin * f_minus + cos * z,
    )


def rotate_by_spinor(xp: Any, states: States, alpha: Array, beta: Array) -> States:
    """Any rotation, by its Cayley-Klein parameters `(voxel,)` [1]; see `physics.rf.pulse`.

    J. Pauly et al., IEEE Trans Med Imaging 10:53 (1991), here for the states that gradients make.
    """
    f_plus, f_minus, z = states
    alpha, beta = alpha[:, None], beta[:, None]
    back, mirrored = xp.conj(alpha), xp.conj(beta)
    return (
        back**2 * f_plus - beta**2 * f_minus + 2 * back * beta * z,
        -(mirrored**2) * f_plus + alpha**2 * f_minus + 2 * alpha * mirrored * z,
        -back * mirrored * f_plus - alpha * beta * f_minus + (alpha * back - beta * mirrored) * z,
    )
