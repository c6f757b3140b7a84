"""Trains that a search starts from."""

import numpy as np

from mrftool.arrays import FloatArray, Range
from mrftool.design.limits import Limits
from mrftool.design.pulse_train import PulseTrain
from mrftool.errors import ArgumentError

_SMALLEST_FLIP = np.deg2rad(2)  # of a start: a flip angle of 0 is a poor place to start from
_VARIATION = np.deg2rad(3)  # standard deviation of the random change of a start
_WAVELENGTH = 50  # repetitions between the knots of that change


def adjusted(
    train: PulseTrain,
    limits: Limits,
    *,
    length: int | None = None,
    tr: float | None = None,
    te: float | None = None,
    inversion_time: float | None = None,
) -> PulseTrain:
    """A train with another length, other times, and flip angles within the limits.

    Steps, energy and time may exceed their limits: the search brings them down.

    Parameters
    ----------
    train
        What to start from. A longer one is cut off; the last repetition of a shorter one is
        repeated.
    limits
        Of flip angles, TR, TE and inversion time.
    length
        Number of pulses; None: that of the train.
    tr, te, inversion_time
        Of all repetitions [s]; None: those of the train.

    Raises
    ------
    ArgumentError
        If the length is less than 4.
    """
    length = length or len(train)
    if length < 4:
        raise ArgumentError(f"{length} repetitions, expected at least 4")
    flip = np.clip(np.abs(_resized(train.flip_angle, length)), _SMALLEST_FLIP, limits.max_flip)
    if inversion_time is None:
        inversion_time = train.inversion_time
    if inversion_time is not None:
        inversion_time = float(_within(inversion_time, limits.inversion_time_range))
    return PulseTrain(
        flip,
        _within(_times(train.tr, tr, length), limits.tr_range),
        _within(_times(train.te, te, length), limits.te_range),
        inversion_time,
    )


def varied(train: PulseTrain, limits: Limits, seed: int) -> PulseTrain:
    """A train with a smooth random change of its flip angles."""
    n = len(train)
    knots = np.random.default_rng(seed).normal(0, _VARIATION, n // _WAVELENGTH + 2)
    change = np.interp(np.arange(n) / _WAVELENGTH, np.arange(len(knots)), knots)
    flip = np.clip(train.flip_angle + change, _SMALLEST_FLIP, limits.max_flip)
    return PulseTrain(flip, train.tr, train.te, train.inversion_time)


def _times(column: FloatArray, time: float | None, length: int) -> FloatArray:
    """`time` for all repetitions where one is given, else the column at this length, in s."""
    if time is None:
        return _resized(column, length)
    return np.full(length, time)


def _within(times: FloatArray | float, limits: Range | None) -> FloatArray:
    if limits is None:
        return np.asarray(times)
    return np.asarray(np.clip(times, *limits))


def _resized(column: FloatArray, length: int) -> FloatArray:
    column = column[:length]
    return np.asarray(np.pad(column, (0, length - len(column)), mode="edge"), np.float64)
