"""Pulseq files (.seq) as blocks of RF, gradients and readout, in the units of the file: Hz, Hz/m, s. Home of pypulseq.

Format: K. J. Layton et al., Magn Reson Med 77:1544 (2017), doi 10.1002/mrm.26235, and its specification up to 1.5.
"""

import tempfile
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.pulseq_text import check_and_tidy
from mrftool.physics.epg import GAMMA
from mrftool.physics.pulse import Pulse

Column = NDArray[np.float64]
FINE = 5e-6  # longest step of a waveform that is given by few points [s]


@dataclass(frozen=True, eq=False)
class Ramp:
    """A gradient of one block and one axis: straight lines through points, nothing outside them.

    time: `(point,)`, from the start of the block [s]. value [Hz/m], moment [1/m]: there.
    """

    time: Column
    value: Column
    moment: Column

    def moment_at(self, time: Column) -> Column:
        """Integral of the gradient from the start of the block to `time` `(n,)` [1/m]."""
        inside = np.clip(time, self.time[0], self.time[-1])
        i = np.clip(np.searchsorted(self.time, inside, "right") - 1, 0, len(self.time) - 2)
        step, length = inside - self.time[i], self.time[i + 1] - self.time[i]
        slope = (self.value[i + 1] - self.value[i]) / np.where(length > 0, length, 1.0)
        return np.asarray(self.moment[i] + self.value[i] * step + slope * step**2 / 2)


@dataclass(frozen=True, eq=False)
class Rf:
    """An RF event. pulse: its waveform without offsets. start, centre: from the start of the block [s]."""

    pulse: Pulse
    start: float
    centre: float
    frequency: float  # [Hz]
    phase: float  # at `start` [rad]
    use: str
    shape: tuple[float, ...]  # equal for pulses that differ in their phase only


@dataclass(frozen=True, eq=False)
class Adc:
    """A readout. time: of each sample, from the start of the block `(sample,)` [s]. phase: of the receiver [rad]."""

    time: Column
    phase: Column


@dataclass(frozen=True, eq=False)
class Block:
    """What a block of the file plays; gradients: of x, y and z."""

    rf: Rf | None
    adc: Adc | None
    gradients: tuple[Ramp | None, Ramp | None, Ramp | None]

    def moment_at(self, time: Column) -> Column:
        """Gradient moments from the start of the block to `time` `(n,)`: `(n, 3)` [1/m]."""
        zero = np.zeros(len(time))
        return np.stack([zero if ramp is None else ramp.moment_at(time) for ramp in self.gradients], axis=-1)


@dataclass(frozen=True, eq=False)
class PulseqFile:
    """A file as it plays: blocks one after the other.

    start: of each block, and the end of the last `(block + 1,)` [s].
    moment: of the gradients from the start of the file to there `(block + 1, 3)` [1/m].
    """

    version: str
    definitions: dict[str, Any]
    blocks: list[Block]
    start: Column
    moment: Column
    notes: tuple[str, ...]

    def moment_at(self, block: int, time: Column) -> Column:
        """Gradient moments from the start of the file to `time` `(n,)` [s] after the start of `block`: `(n, 3)`."""
        return np.asarray(self.moment[block] + self.blocks[block].moment_at(time))


def read_pulseq(path: Path, field: float | None = None) -> PulseqFile:
    """The blocks of a Pulseq file. field: of the magnet [T], needed where the file gives offsets in ppm.

    Raises InputError if the file is damaged or of another version, MissingExtraError without pypulseq.
    """
    text, version, notes = check_and_tidy(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        played = _load(text, path)
        known: dict[tuple[int, ...], Block] = {}
        blocks = []
        for number, events in played.block_events.items():
            key = tuple(int(event) for event in events[1:6])
            if key not in known:
                known[key] = _block(played, number, field, path)
            blocks.append(known[key])
        notes += _extensions(played, path)
    start = np.concatenate([[0.0], np.cumsum([float(t) for t in played.block_durations.values()])])
    ends = np.array([block.moment_at(np.array([np.inf]))[0] for block in blocks]).reshape(-1, 3)
    moment = np.concatenate([np.zeros((1, 3)), np.cumsum(ends, axis=0)])
    if not (blocks and np.isfinite(start).all() and np.isfinite(moment).all()):
        raise InputError(f"{path}: blocks with finite times and gradients are missing, expected a playable sequence")
    return PulseqFile(version, dict(played.definitions), blocks, start, moment, notes)


def _load(text: str, path: Path) -> Any:
    """The file as pypulseq reads it. The text is written anew: its parser hangs on some ends of files."""
    try:
        import pypulseq
    except ModuleNotFoundError as error:
        raise MissingExtraError("Pulseq files need pypulseq", hint="pip install 'mrftool[import]'") from error
    played = pypulseq.Sequence(use_block_cache=False)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "tidy.seq")
        copy.write_text(text, encoding="ascii", errors="replace")
        try:
            played.read(str(copy), detect_rf_use=False, remove_duplicates=False)
        except Exception as error:  # its parser checks little: any exception means a damaged file
            _close(error)
            raise InputError(f"{path}: cannot be read: {_said(error)}, expected a complete Pulseq file") from error
    return played


def _close(error: Exception) -> None:
    """Close the file that pypulseq leaves open where it fails."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        handle = frame.f_locals.get("input_file")
        if handle is not None:
            handle.close()


def _extensions(played: Any, path: Path) -> tuple[str, ...]:
    """What is to be said about the file's extensions."""
    kinds = {int(data[0]) for data in played.trigger_library.data.values()}
    if 2 in kinds:
        raise InputError(f"{path}: waits for a physiological trigger, expected a timing that the file fixes")
    return ("soft delays have the length that the file gives them",) if played.soft_delay_library.data else ()


def _block(played: Any, number: int, field: float | None, path: Path) -> Block:
    try:
        raw = played.get_block(number)
        gradients = tuple(_ramp(raw_gradient) for raw_gradient in (raw.gx, raw.gy, raw.gz))
        return Block(
            None if raw.rf is None else _rf(raw.rf, field),
            None if raw.adc is None else _adc(raw.adc, field),
            gradients,  # type: ignore[arg-type]
        )
    except InputError as error:
        raise InputError(f"{path}: block {number}: {error}") from error
    except Exception as error:  # see _load
        raise InputError(f"{path}: block {number}: {_said(error)}, expected events that the file defines") from error


def _said(error: Exception) -> str:
    """What a foreign library said, in one line."""
    if isinstance(error, KeyError) and error.args:
        return f"event or shape {error.args[0]!s:.20} is missing"
    words = " ".join(str(error).split())
    return f"{type(error).__name__} {words[:120]}".strip()


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
    if not (np.isfinite(pulse.waveform).all() and np.isfinite([frequency, phase, raw.center, raw.delay]).all()):
        raise InputError("an RF pulse is not finite")
    shape = (hash(pulse.waveform.tobytes()), hash(pulse.duration.tobytes()), frequency, raw.center)
    start = float(raw.delay)
    return Rf(pulse, start, start + float(raw.center), frequency, phase, str(raw.use), shape)


def _pulse(signal: NDArray[np.complex128], time: Column) -> Pulse:
    """Constant steps: of samples at the centres of equal steps, or of straight lines between points."""
    if len(time) < 2:
        raise InputError("an RF pulse has fewer than two samples")
    spacing = np.diff(time)
    if (spacing <= 0).any():
        raise InputError("times of an RF pulse run backwards")
    if abs(time[0] - spacing[0] / 2) < 1e-9 and np.ptp(spacing) < 1e-9:
        return Pulse(signal, np.full(len(time), spacing.mean()))
    pieces = np.ceil(spacing / FINE).astype(int)
    duration = np.repeat(spacing / pieces, pieces)
    middle = time[0] + np.cumsum(duration) - duration / 2
    return Pulse(np.interp(middle, time, signal.real) + 1j * np.interp(middle, time, signal.imag), duration)


def _adc(raw: SimpleNamespace, field: float | None) -> Adc:
    frequency, phase = _offsets(raw, field)
    if not 1 <= raw.num_samples <= 10_000_000 or not raw.dwell > 0:
        raise InputError(f"a readout of {raw.num_samples} samples every {raw.dwell} s")
    since = (np.arange(raw.num_samples) + 0.5) * raw.dwell
    modulation = np.asarray(raw.phase_modulation, float) if len(raw.phase_modulation) else np.zeros(len(since))
    return Adc(raw.delay + since, phase + 2 * np.pi * frequency * since + modulation)


def _offsets(raw: SimpleNamespace, field: float | None) -> tuple[float, float]:
    """Frequency [Hz] and phase [rad]; offsets in ppm count from the proton's frequency in `field` [T]."""
    if not (raw.freq_ppm or raw.phase_ppm):
        return float(raw.freq_offset), float(raw.phase_offset)
    if field is None:
        raise InputError("an offset is given in ppm; expected --field-t, the field of the magnet")
    megahertz = 1e-6 * GAMMA / (2 * np.pi) * field
    return float(raw.freq_offset + raw.freq_ppm * megahertz), float(raw.phase_offset + raw.phase_ppm * megahertz)
