"""One block of a Pulseq file: RF, gradients and readout, in the units of the file: Hz, Hz/m, s."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.gradient import Ramp, decode_gradient
from mrftool.formats.sequence.pulseq.parsing.events import (
    AdcEvent,
    Events,
    RfEvent,
    find,
)
from mrftool.formats.sequence.pulseq.parsing.extensions import Extension
from mrftool.physics.dephasing import GAMMA
from mrftool.physics.rf.pulse import Pulse

MAX_READOUT = 10_000_000  # samples
_LONGEST_PULSE = 30.0  # continuous saturation is the longest there is [s]
LONGEST_STEP = 5e-6  # of a waveform that is given by few points [s]


@dataclass(frozen=True, eq=False)
class Rf:
    """An RF event.

    Attributes
    ----------
    pulse : Pulse
        Waveform without offsets.
    start, centre : float
        From the start of the block [s].
    frequency : float
        Offset [Hz].
    phase : float
        Offset at `start` [rad].
    use : str
        As the file flags it.
    shape : tuple of float
        Equal for pulses that differ in their phase only.
    """

    pulse: Pulse
    start: float
    centre: float
    frequency: float
    phase: float
    use: str
    shape: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Adc:
    """A readout.

    Attributes
    ----------
    time : array
        Of each sample, from the start of the block `(sample,)` [s].
    phase : array
        Of the receiver `(sample,)` [rad].
    end : float
        From the start of the block [s].
    """

    time: FloatArray
    phase: FloatArray
    end: float


@dataclass(frozen=True, eq=False)
class Block:
    """What a block of the file plays.

    Attributes
    ----------
    rf : Rf or None
    adc : Adc or None
    gradients : tuple of Ramp
        Of x, y and z, before the rotation.
    rotation : array or None
        Matrix that turns the gradients `(3, 3)`.
    """

    rf: Rf | None
    adc: Adc | None
    gradients: tuple[Ramp | None, Ramp | None, Ramp | None]
    rotation: FloatArray | None = None

    def moment_at(self, time: FloatArray) -> FloatArray:
        """Gradient moments from the start of the block to `time` `(n,)`: `(n, 3)` [1/m]."""
        moments = np.zeros((len(time), 3))
        for axis, ramp in enumerate(self.gradients):
            if ramp is not None:
                moments[:, axis] = ramp.moment_at(time)
        if self.rotation is None:
            return moments
        return np.asarray(moments @ self.rotation.T)


def decode_block(
    events: Events,
    numbers: tuple[int, ...],
    extension: Extension,
    before: tuple[float, ...],
    field: float | None,
) -> Block:
    """Decode a block.

    Parameters
    ----------
    events : Events
        All tables of the file.
    numbers : tuple of int
        Of the block's RF event, gradients of x, y and z, and readout; 0 for none.
    extension : Extension
        What the block's extensions say.
    before : tuple of float
        Gradients of x, y and z at the end of the block before [Hz/m].
    field : float or None
        Of the magnet, for offsets in ppm [T].

    Raises
    ------
    InputError
        If the block cannot be played.
    """
    rf = adc = None
    if numbers[0]:
        rf = _rf(events, find(events.rf, numbers[0]), field)
    if numbers[4]:
        adc = _adc(events, find(events.adc, numbers[4]), field)
    x, y, z = (
        decode_gradient(events, number, value)
        for number, value in zip(numbers[1:4], before, strict=True)
    )
    return Block(rf, adc, (x, y, z), extension.rotation)


def _rf(events: Events, event: RfEvent, field: float | None) -> Rf:
    frequency, phase = _offsets(event, field)
    signal = event.amplitude * events.shape(event.magnitude_shape).astype(np.complex128)
    if event.phase_shape:
        turns = events.shape(event.phase_shape)
        if len(turns) != len(signal):
            raise InputError(f"{len(turns)} phases for {len(signal)} samples of an RF pulse")
        signal = signal * np.exp(2j * np.pi * turns)
    time = _rf_times(events, event, len(signal))
    pulse = _pulse(signal, time)
    centre = event.centre
    if centre is None:
        centre = _peak(signal, time)
    numbers = np.array([frequency, phase, centre, event.delay])
    if not (np.isfinite(pulse.waveform).all() and np.isfinite(numbers).all()):
        raise InputError("an RF pulse is not finite")
    shape = (hash(pulse.waveform.tobytes()), hash(pulse.duration.tobytes()), frequency, centre)
    return Rf(pulse, event.delay, event.delay + centre, frequency, phase, event.use, shape)


def _rf_times(events: Events, event: RfEvent, n: int) -> FloatArray:
    """Times of the `n` samples of an RF pulse from its start `(n,)` [s]."""
    raster = events.rasters["RadiofrequencyRasterTime"]
    if event.time_shape == 0:
        return np.asarray((np.arange(n) + 0.5) * raster)
    if event.time_shape < 0:
        return np.asarray(np.arange(1, n + 1) * raster / 2)
    times = events.shape(event.time_shape) * raster
    if len(times) != n:
        raise InputError(f"{len(times)} times for {n} samples of an RF pulse")
    return times


def _peak(signal: NDArray[np.complex128], time: FloatArray) -> float:
    """The centre of a pulse before version 1.5: of its highest samples, from its start [s]."""
    size = abs(signal)
    highest = time[size >= 0.99999 * size.max()]
    if not len(highest):  # a sample is not a number
        raise InputError("an RF pulse is not finite")
    return float((highest[0] + highest[-1]) / 2)


def _pulse(signal: NDArray[np.complex128], time: FloatArray) -> Pulse:
    """The waveform in constant steps.

    Its samples are at the centres of equal steps, or are points with straight lines between them.
    """
    if len(time) < 2:
        raise InputError("an RF pulse has fewer than two samples")
    spacing = np.diff(time)
    if (spacing <= 0).any():
        raise InputError("times of an RF pulse run backwards")
    if not time[-1] <= _LONGEST_PULSE:
        raise InputError(f"an RF pulse of {time[-1]:.3g} s, expected at most {_LONGEST_PULSE:g} s")
    if abs(time[0] - spacing[0] / 2) < 1e-9 and np.ptp(spacing) < 1e-9:
        return Pulse(signal, np.full(len(time), spacing.mean()))
    pieces = np.ceil(spacing / LONGEST_STEP).astype(int)
    duration = np.repeat(spacing / pieces, pieces)
    middle = time[0] + np.cumsum(duration) - duration / 2
    real, imag = np.interp(middle, time, signal.real), np.interp(middle, time, signal.imag)
    return Pulse(real + 1j * imag, duration)


def _adc(events: Events, event: AdcEvent, field: float | None) -> Adc:
    frequency, phase = _offsets(event, field)
    if not 1 <= event.n_samples <= MAX_READOUT or not event.dwell > 0:
        raise InputError(f"a readout of {event.n_samples} samples every {event.dwell} s")
    since = np.asarray((np.arange(event.n_samples) + 0.5) * event.dwell)
    turned = phase + 2 * np.pi * frequency * since
    if event.phase_shape:
        modulation = events.shape(event.phase_shape)
        if len(modulation) != event.n_samples:
            raise InputError(f"{len(modulation)} phases for {event.n_samples} samples of a readout")
        turned = turned + modulation
    return Adc(event.delay + since, np.asarray(turned), event.delay + event.n_samples * event.dwell)


def _offsets(event: RfEvent | AdcEvent, field: float | None) -> tuple[float, float]:
    """Frequency [Hz] and phase [rad]; offsets in ppm count from the proton's frequency in `field`
    [T].
    """
    if not (event.frequency_ppm or event.phase_ppm):
        return event.frequency, event.phase
    if field is None:
        raise InputError(
            "an offset is given in ppm, expected the field of the magnet [T]", arguments=["field"]
        )
    megahertz = 1e-6 * GAMMA / (2 * np.pi) * field
    frequency = event.frequency + event.frequency_ppm * megahertz
    return frequency, event.phase + event.phase_ppm * megahertz
