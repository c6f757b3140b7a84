"""Trajectories to simulate with: variable-density spirals and radial spokes.

Golden angles: S. Winkelmann et al., IEEE Trans Med Imaging 26:68 (2007), doi
10.1109/TMI.2006.885337.
"""

import math
from typing import Literal, get_args

import numpy as np

from mrftool.arrays import Array, FloatArray, IndexArray
from mrftool.errors import ArgumentError
from mrftool.scan.kspace import Trajectory

Kind = Literal["spiral48", "spiral48-in-order", "golden", "radial"]

N_ARMS = 48
SAMPLES = 800  # of an arm
_READOUT = 5.5e-3  # of a spiral arm, or of a spoke [s]
_DENSITY = 2.0  # the field of view at the centre of k-space, over that at its edge
_SLOW_UNTIL = 0.15  # share of the radius over which the slew rate holds the spiral back
_SLOWEST = 0.25  # speed at the centre over that at the edge
_GOLDEN_STEP = 0.381966  # of a turn: the smaller part of the golden section
_INSIDE = 0.999  # of the Nyquist radius
_STEPS = 20_001  # of the numerical integral along the spiral


def make_trajectory(
    kind: Kind,
    matrix: int,
    repetitions: int,
    *,
    samples: int = SAMPLES,
    coverage: float = 1.0,
) -> tuple[Trajectory, IndexArray]:
    """Arms, and which of them each repetition follows.

    Parameters
    ----------
    kind
        spiral48: 48 spiral arms in golden order; spiral48-in-order: the same, one after the other;
        golden: a spiral arm of its own for each repetition, by the golden angle; radial: golden
        spokes through the centre.
    matrix
        Size of the image along x and y.
    repetitions
        Readouts of the sequence.
    samples
        Of each arm.
    coverage
        Radius of k-space that is covered, in units of the Nyquist radius [1]: 1 for the circle,
        sqrt(2) for the square.

    Returns
    -------
    trajectory, arm
        `arm` is `(repetition,)`.

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """
    if kind not in get_args(Kind):
        raise ArgumentError(f"trajectory {kind!r}, expected one of {', '.join(get_args(Kind))}")
    if matrix < 8 or repetitions < 1 or samples < 16 or not 0.1 <= coverage <= math.sqrt(2):
        raise ArgumentError(
            f"a trajectory for {matrix} pixels, {repetitions} repetitions, {samples} samples and a "
            f"coverage of {coverage:g}, expected at least 8, 1 and 16, and 0.1 to 1.414"
        )
    arm, angle = _order(kind, repetitions)
    if kind == "radial":
        base, sample_time = _spoke(samples)
    else:
        base, sample_time = _spiral(matrix, samples, coverage)
    turned = base * np.exp(1j * angle)[:, None]
    points = np.stack([turned.real, turned.imag], axis=-1)
    return Trajectory(points, sample_time), arm


def _order(kind: Kind, repetitions: int) -> tuple[IndexArray, FloatArray]:
    """Arm of each repetition, and the angle of each arm [rad]."""
    index = np.arange(repetitions, dtype=np.int64)
    if kind == "golden":
        return index, np.asarray(index * 2 * np.pi * _GOLDEN_STEP)
    if kind == "radial":
        return index, np.asarray(index * np.pi * (math.sqrt(5) - 1) / 2)
    angle = np.asarray(2 * np.pi * np.arange(N_ARMS) / N_ARMS, np.float64)
    if kind == "spiral48-in-order":
        return index % N_ARMS, angle
    return index * coprime_step(N_ARMS) % N_ARMS, angle


def coprime_step(count: int) -> int:
    """The step next to the golden section that visits all of `count` arms."""
    step = round(count * _GOLDEN_STEP)
    while math.gcd(step, count) > 1:
        step += 1
    return step


def _spiral(matrix: int, samples: int, coverage: float) -> tuple[Array, FloatArray]:
    """A spiral arm from the centre outwards: complex points [rad/pixel] and sample times [s].

    The field of view that neighbouring turns support falls linearly with the radius. The first
    turns are slower: there the slew rate limits the gradient.
    """
    edge = matrix / 2 * coverage
    radius = np.linspace(0, edge, _STEPS)  # [cycles per field of view]
    twist = 2 * np.pi * (_DENSITY - (_DENSITY - 1) * radius / edge) / N_ARMS
    angle = _integral(twist, radius)
    speed = np.minimum(1, _SLOWEST + (1 - _SLOWEST) * radius / (_SLOW_UNTIL * edge))
    time = _integral(np.sqrt(1 + (radius * twist) ** 2) / speed, radius)
    sampled = np.linspace(0, time[-1], samples)
    at, turned = np.interp(sampled, time, radius), np.interp(sampled, time, angle)
    points = at * np.exp(1j * turned) * 2 * np.pi / matrix * _INSIDE
    return points, np.linspace(0, _READOUT, samples)


def _integral(values: FloatArray, x: FloatArray) -> FloatArray:
    """Cumulative integral by the trapezoidal rule, from 0."""
    steps = (values[1:] + values[:-1]) / 2 * np.diff(x)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _spoke(samples: int) -> tuple[Array, FloatArray]:
    """A spoke through the centre: complex points [rad/pixel] and sample times [s]."""
    place = (np.arange(samples) - samples // 2) / (samples / 2)
    return place * np.pi * _INSIDE + 0j, place * _READOUT / 2
