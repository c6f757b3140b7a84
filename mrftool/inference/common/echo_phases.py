"""Off-resonance and R2' from the echoes of each pulse, for a fit to begin with."""

import numpy as np

from mrftool.arrays import Array, FloatArray

HIGHEST_R2_PRIME = 300.0  # [1/s]
_TINY = 1e-30


def off_resonance_of(amplitudes: Array, times: FloatArray, expected: FloatArray) -> FloatArray:
    """Off-resonance from the phases of the echoes `(voxel,)` [Hz].

    The two echoes that follow each other most closely say it up to whole turns, of which `expected`
    chooses one; pairs of echoes ever further apart make it more precise.

    Parameters
    ----------
    amplitudes
        Of the echoes of each voxel `(voxel, echo)`.
    times
        Of the echoes `(echo,)` [s].
    expected
        Off-resonance within half a turn between the closest two echoes `(voxel,)` [Hz].
    """
    found = expected.astype(np.float64)
    pairs = [(i, j) for j in range(len(times)) for i in range(j)]
    for i, j in sorted(pairs, key=lambda pair: times[pair[1]] - times[pair[0]]):
        turn = 2 * np.pi * (times[j] - times[i])
        product = amplitudes[:, j] * amplitudes[:, i].conj()
        found = found + np.angle(product * np.exp(-1j * turn * found)) / turn
    return np.asarray(found)


def r2_prime_of(amplitudes: Array, times: FloatArray, t2: FloatArray) -> FloatArray:
    """R2' from the decay between the first echo and the last `(voxel,)` [1/s].

    Parameters
    ----------
    amplitudes
        Of the echoes of each voxel `(voxel, echo)`.
    times
        Of the echoes `(echo,)` [s].
    t2
        `(voxel,)` [s].
    """
    size = np.maximum(abs(amplitudes), _TINY)
    decay = np.log(size[:, 0] / size[:, -1]) / (times[-1] - times[0])
    return np.asarray(np.clip(decay - 1 / t2, 0.0, HIGHEST_R2_PRIME))
