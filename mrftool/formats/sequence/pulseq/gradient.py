"""Gradients of a Pulseq block, in the units of the file: Hz/m, s."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.parsing.events import Events, GradientEvent, TrapEvent, find


@dataclass(frozen=True, eq=False)
class Ramp:
    """A gradient of one block and one axis: straight lines through points, zero outside them.

    Attributes
    ----------
    time : array
        From the start of the block `(point,)` [s].
    value, moment : array
        Gradient [Hz/m] and its integral [1/m] there `(point,)`.
    """

    time: FloatArray
    value: FloatArray
    moment: FloatArray

    def moment_at(self, time: FloatArray) -> FloatArray:
        """Integral of the gradient from the start of the block to `time` `(n,)` [1/m]."""
        inside = np.clip(time, self.time[0], self.time[-1])
        i = np.clip(np.searchsorted(self.time, inside, "right") - 1, 0, len(self.time) - 2)
        step, length = inside - self.time[i], self.time[i + 1] - self.time[i]
        slope = (self.value[i + 1] - self.value[i]) / np.where(length > 0, length, 1.0)
        return np.asarray(self.moment[i] + self.value[i] * step + slope * step**2 / 2)


def decode_gradient(events: Events, number: int, before: float) -> Ramp | None:
    """The gradient of one axis.

    Parameters
    ----------
    events : Events
        All tables of the file.
    number : int
        Of the gradient's event; 0 for none.
    before : float
        Gradient at the end of the block before, where one of an old version starts [Hz/m].
    """
    if not number:
        return None
    event = find(events.gradients, number)
    if isinstance(event, TrapEvent):
        time = np.cumsum([0.0, event.rise, event.flat, event.fall])
        value = np.array([0.0, event.amplitude, event.amplitude, 0.0])
    else:
        time, value = _waveform(events, event, before)
    time = time + event.delay
    if not (np.diff(time) >= 0).all():
        raise InputError("times of a gradient run backwards")
    steps = np.diff(time) * (value[1:] + value[:-1]) / 2
    return Ramp(time, value, np.concatenate([[0.0], np.cumsum(steps)]))


def _waveform(events: Events, event: GradientEvent, before: float) -> tuple[FloatArray, FloatArray]:
    """Times [s] and values [Hz/m] of an arbitrary gradient, edges included.

    Versions before 1.5 do not give the values at the edges: the first continues the block before,
    the last is extrapolated, as the format's reference implementation does it.
    """
    raster = events.rasters["GradientRasterTime"]
    value = event.amplitude * events.shape(event.shape)
    if event.time_shape > 0:
        time = events.shape(event.time_shape) * raster
        if len(time) != len(value) or len(time) < 2:
            raise InputError(f"{len(time)} times for {len(value)} values of a gradient")
        return time, value
    steps = np.arange(1, len(value) + 1)
    time, end = np.asarray((steps - 0.5) * raster), len(value) * raster
    if event.time_shape < 0:
        time, end = np.asarray(steps * raster / 2), (len(value) + 1) * raster / 2
    first, last = event.first, event.last
    if first is None:
        first = before * (event.delay == 0)
    if last is None:
        last = 1.5 * value[-1] - 0.5 * value[-2:][0]
    return np.concatenate([[0.0], time, [end]]), np.concatenate([[first], value, [last]])
