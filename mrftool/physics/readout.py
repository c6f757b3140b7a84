"""From the echoes that the native kernel simulates to the frames that a sequence acquires.

The kernel knows echoes only. Frames are linear in them: each is the mean of the echoes of `bin`
pulses. The readable engine has a loop of its own for this, and is the oracle.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mrftool.arrays import Array, FloatArray, Progress
from mrftool.physics import kernel
from mrftool.sequence import PulseSequence

_ECHOES_IN_CHUNK = 1 << 22  # voxels x echoes that are held at a time


def run(
    task: kernel.Run,
    signal: Array,
    derivatives: Mapping[str, Array],
    progress: Progress | None = None,
) -> FloatArray:
    """Like `kernel.run`, for sequences whose frames are means of echoes.

    Parameters
    ----------
    task
        What the kernel computes; nothing may be cut off on the way, since what that changes is
        limited relative to the echoes and not to the frames.
    signal, derivatives
        Results `(voxel, time)`, as those of the kernel.
    progress
        Called with the number of voxels done since the last call.

    Returns
    -------
    FloatArray
        Sum over time of |signal|^2 / |m0|^2 `(voxel,)` [1].
    """
    sequence = task.sequence
    size = max(_ECHOES_IN_CHUNK // len(sequence.unbinned), 1)
    power = np.empty(len(task.tissue))
    for start in range(0, len(power), size):
        part = slice(start, min(start + size, len(power)))
        chosen = np.arange(part.start, part.stop)
        echoes = replace(
            task,
            sequence=sequence.unbinned,
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
    echoes = np.empty((len(task.tissue), len(task.sequence)), signal.dtype)
    slopes = {key: np.empty_like(echoes) for key in derivatives}
    kernel.run(task, echoes, slopes)
    signal[:] = _frames(echoes, sequence)
    for key, slope in slopes.items():
        derivatives[key][:] = _frames(slope, sequence)
    return kernel.power_of(task, signal)


def _frames(echoes: Array, sequence: PulseSequence) -> Array:
    """The mean of the echoes of each frame `(voxel, time)`."""
    starts = sequence.bin_starts
    sizes = np.diff(starts, append=echoes.shape[1]).astype(np.float32)
    return np.add.reduceat(echoes, starts, axis=1) / sizes
