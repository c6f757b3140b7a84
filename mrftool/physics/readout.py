"""From the echoes that the native kernel simulates to the frames that a sequence acquires.

The kernel knows one echo of each pulse, received at the RF phase, without R2'. Frames are linear in
these: until a further echo the magnetisation decays and precesses, the receiver turns all of it,
R2' decays from the pulse to each echo, and a frame is the mean over `bin` pulses. The readable
engine has a loop of its own for this, and is the oracle.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mrftool.arrays import Array, FloatArray, Progress
from mrftool.physics import kernel
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_ECHOES_IN_CHUNK = 1 << 22  # voxels x echoes that are held at a time


def is_needed(sequence: PulseSequence, tissue: Tissue, derivatives: Mapping[str, Array]) -> bool:
    """Whether the frames are more than the kernel's echoes."""
    has_r2_prime = bool(tissue.r2_prime.any()) or "r2_prime" in derivatives
    return has_r2_prime or not sequence.is_plain


def run(
    task: kernel.Run,
    signal: Array,
    derivatives: Mapping[str, Array],
    progress: Progress | None = None,
) -> FloatArray:
    """Like `kernel.run`, for sequences and tissues whose frames are made of the kernel's echoes.

    Parameters
    ----------
    task
        What the kernel computes; nothing may be cut off on the way, since what that changes is
        limited relative to the echoes and not to the frames.
    signal, derivatives
        Results `(voxel, time)`, as those of the kernel; also r2_prime [m0 s].
    progress
        Called with the number of voxels done since the last call.

    Returns
    -------
    FloatArray
        Sum over time of |signal|^2 / |m0|^2 `(voxel,)` [1].
    """
    sequence = task.sequence
    size = max(_ECHOES_IN_CHUNK // (len(sequence.plain) * len(sequence.echoes)), 1)
    power = np.empty(len(task.tissue))
    for start in range(0, len(power), size):
        part = slice(start, min(start + size, len(power)))
        chosen = np.arange(part.start, part.stop)
        echoes = replace(
            task,
            sequence=sequence.plain,
            tissue=task.tissue[chosen],
            n_states=task.n_states[part],
        )
        power[part] = _run_part(
            echoes, sequence, signal[part], {key: each[part] for key, each in derivatives.items()}
        )
        if progress is not None:
            progress(len(chosen))
    return power


def _run_part(
    task: kernel.Run, sequence: PulseSequence, signal: Array, derivatives: Mapping[str, Array]
) -> FloatArray:
    """Fill the results of the voxels of `task`; return sum |signal|^2 / |m0|^2 `(voxel,)`."""
    first = np.empty((len(task.tissue), len(task.sequence)), signal.dtype)
    slopes = {key: np.empty_like(first) for key in derivatives if key != "r2_prime"}
    kernel.run(task, first, slopes)
    factors = _factors(sequence, task.tissue, signal.dtype)
    echoes = first[:, :, None] * factors
    signal[:] = _frames(echoes, sequence)
    later = sequence.echoes.astype(np.float32)
    for key, result in derivatives.items():
        if key == "r2_prime":
            change = -_echo_times(sequence).astype(np.float32) * echoes
        else:
            change = slopes[key][:, :, None] * factors
        if key == "t2" and later.any():
            rate = (task.tissue.t2**-2).astype(np.float32)
            change += rate[:, None, None] * later * echoes
        if key == "off_resonance":
            change += np.complex64(2j * np.pi) * later * echoes
        result[:] = _frames(change, sequence)
    return kernel.power_of(task, signal)


def _echo_times(sequence: PulseSequence) -> FloatArray:
    """From each acquired pulse to its echoes `(pulse, echo)` [s]."""
    return np.asarray(sequence.te[sequence.plain.observed][:, None] + sequence.echoes)


def _factors(sequence: PulseSequence, tissue: Tissue, dtype: np.dtype[np.generic]) -> Array:
    """From the kernel's echo of a pulse to all its echoes `(voxel, pulse, echo)`; an axis along
    which nothing changes may have one entry.
    """
    rate = -1 / tissue.t2
    if dtype.kind == "c":
        rate = rate + 2j * np.pi * tissue.off_resonance
    factors: Array = np.exp(rate[:, None, None] * sequence.echoes)
    if tissue.r2_prime.any():
        factors = factors * np.exp(-tissue.r2_prime[:, None, None] * _echo_times(sequence))
    if sequence.receiver_phase is not None:
        turn = (sequence.receiver - sequence.rf_phase)[sequence.plain.observed]
        factors = factors * np.exp(-1j * turn)[:, None]
    return factors.astype(dtype)


def _frames(echoes: Array, sequence: PulseSequence) -> Array:
    """Mean over the pulses of each frame, of echoes `(voxel, pulse, echo)`: `(voxel, time)`."""
    if sequence.is_binned:
        starts = sequence.bin_starts
        sizes = np.diff(starts, append=echoes.shape[1]).astype(np.float32)
        echoes = np.add.reduceat(echoes, starts, axis=1) / sizes[:, None]
    return echoes.reshape(len(echoes), -1)
