"""One block of a Pulseq file: RF, gradients and readout, in the units of the file: Hz, Hz/m, s."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.physics.epg import GAMMA
from mrftool.physics.pulse import Pulse

LONGEST_STEP = 5e-6  # of a waveform that is given by few points [s]


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
    """

    time: FloatArray
    phase: FloatArray


@dataclass(frozen=True, eq=False)
class Block:
    """What a block of the file plays; gradients: of x, y and z."""

    rf: Rf | None
    adc: Adc | None
    gradients: tuple[Ramp | None, Ramp | None, Ramp | None]

    def moment_at(self, time: FloatArray) -> FloatArray:
        """Gradient moments from the start of the block to `time` `(n,)`: `(n, 3)` [1/m]."""
        moments = np.zeros((len(time), 3))
        for axis, ramp in enumerate(self.gradients):
            if ramp is not None:
                moments[:, axis] = ramp.moment_at(time)
        return moments


def decode_block(raw: SimpleNamespace, field: float | None) -> Block:
    """Decode a block.

    Parameters
    ----------
    raw : SimpleNamespace
        As pypulseq gives it.
    field : float or None
        Of the magnet, for offsets in ppm [T].

    Raises
    ------
    InputError
        If the block cannot be played.
    """
    rf = adc = None
    if raw.rf is not None:
        rf = _rf(raw.rf, field)
    if raw.adc is not None:
        adc = _adc(raw.adc, field)
    return Block(rf, adc, (_ramp(raw.gx), _ramp(raw.gy), _ramp(raw.gz)))


def _ramp(raw: SimpleNamespace | None) -> Ramp | None:
    if raw is None:
        return None
    if raw.type == "trap":
        time = raw.delay + np.cumsum([0.0, raw.rise_time, raw.flat_time, raw.fall_time])
        value = np.array([0.0, raw.amplitude, raw.amplitude, 0.0])
    else:
        time, value = np.asarray(raw.tt, float), np.asarray(raw.waveform, float)
        if raw.time_id <= 0:  # samples at the centres of steps: the file gives the edges, too
            half = time[0]
            time = np.concatenate([[0.0], time, [time[-1] + half]])
            value = np.concatenate([[raw.first or 0.0], value, [raw.last or 0.0]])
        time = time + raw.delay
    if not (np.diff(time) >= 0).all():
        raise InputError("times of a gradient run backwards")
    steps = np.diff(time) * (value[1:] + value[:-1]) / 2
    return Ramp(time, value, np.concatenate([[0.0], np.cumsum(steps)]))


def _rf(raw: SimpleNamespace, field: float | None) -> Rf:
    frequency, phase = _offsets(raw, field)
    pulse = _pulse(np.asarray(raw.signal, complex), np.asarray(raw.t, float))
    numbers = np.array([frequency, phase, raw.center, raw.delay], float)
    if not (np.isfinite(pulse.waveform).all() and np.isfinite(numbers).all()):
        raise InputError("an RF pulse is not finite")
    shape = (hash(pulse.waveform.tobytes()), hash(pulse.duration.tobytes()), frequency, raw.center)
    start = float(raw.delay)
    return Rf(pulse, start, start + float(raw.center), frequency, phase, str(raw.use), shape)


def _pulse(signal: NDArray[np.complex128], time: FloatArray) -> Pulse:
    """The waveform in constant steps.

    Its samples are at the centres of equal steps, or are points with straight lines between them.
    """
    if len(time) < 2:
        raise InputError("an RF pulse has fewer than two samples")
    spacing = np.diff(time)
    if (spacing <= 0).any():
        raise InputError("times of an RF pulse run backwards")
    if abs(time[0] - spacing[0] / 2) < 1e-9 and np.ptp(spacing) < 1e-9:
        return Pulse(signal, np.full(len(time), spacing.mean()))
    pieces = np.ceil(spacing / LONGEST_STEP).astype(int)
    duration = np.repeat(spacing / pieces, pieces)
    middle = time[0] + np.cumsum(duration) - duration / 2
    real, imag = np.interp(middle, time, signal.real), np.interp(middle, time, signal.imag)
    return Pulse(real + 1j * imag, duration)


def _adc(raw: SimpleNamespace, field: float | None) -> Adc:
    frequency, phase = _offsets(raw, field)
    if not 1 <= raw.num_samples <= 10_000_000 or not raw.dwell > 0:
        raise InputError(f"a readout of {raw.num_samples} samples every {raw.dwell} s")
    since = (np.arange(raw.num_samples) + 0.5) * raw.dwell
    turned = phase + 2 * np.pi * frequency * since
    if len(raw.phase_modulation):
        turned = turned + np.asarray(raw.phase_modulation, float)
    return Adc(raw.delay + since, turned)


def _offsets(raw: SimpleNamespace, field: float | None) -> tuple[float, float]:
    """Frequency [Hz] and phase [rad]; offsets in ppm count from the proton's frequency in `field`
    [T].
    """
    if not (raw.freq_ppm or raw.phase_ppm):
        return float(raw.freq_offset), float(raw.phase_offset)
    if field is None:
        raise InputError(
            "an offset is given in ppm, expected the field of the magnet [T]", arguments=["field"]
        )
    megahertz = 1e-6 * GAMMA / (2 * np.pi) * field
    frequency = raw.freq_offset + raw.freq_ppm * megahertz
    phase = raw.phase_offset + raw.phase_ppm * megahertz
    return float(frequency), float(phase)
