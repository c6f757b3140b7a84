"""Trains that a search starts from."""

import numpy as np

from mrftool.arrays import FloatArray
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
    repetition, echo = _resized(train.tr, length), _resized(train.te, length)
    if tr is not None:
        repetition = np.full(length, tr)
    if te is not None:
        echo = np.full(length, te)
    if limits.tr_range is not None:
        repetition = np.clip(repetition, *limits.tr_range)
    if limits.te_range is not None:
        echo = np.clip(echo, *limits.te_range)
    time = train.inversion_time
    if inversion_time is not None:
        time = inversion_time
    if limits.inversion_time_range is not None and time is not None:
        time = float(np.clip(time, *limits.inversion_time_range))
    return PulseTrain(flip, repetition, echo, time)


def varied(train: PulseTrain, limits: Limits, seed: int) -> PulseTrain:
    """A train with a smooth random change of its flip angles."""
    n = len(train)
    knots = np.random.default_rng(seed).normal(0, _VARIATION, n // _WAVELENGTH + 2)
    change = np.interp(np.arange(n) / _WAVELENGTH, np.arange(len(knots)), knots)
    flip = np.clip(train.flip_angle + change, _SMALLEST_FLIP, limits.max_flip)
    return PulseTrain(flip, train.tr, train.te, train.inversion_time)


def _resized(column: FloatArray, length: int) -> FloatArray:
    column = column[:length]
    return np.asarray(np.pad(column, (0, length - len(column)), mode="edge"), np.float64)
