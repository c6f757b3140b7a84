"""Brute force with diffusion: the Bloch-Torrey equation on a fine periodic grid along the
gradient's axes.

H. C. Torrey, Phys Rev 104:563 (1956). Magnetisation is a function of position. The spoiler acts in
small kicks, each a rotation by an angle that is linear in position; between kicks it diffuses
exactly (by FFT). The only error, of the finite kicks, is a series in even powers of their size:
three runs give the limit (Romberg). It shares the sequence with the engines, and the rotations with
`bloch_oracle`.
"""

import numpy as np
from bloch_oracle import Vectors, play, precess, relax, slice_positions
from numpy.typing import NDArray

from mrftool.sequence import PulseSequence

GAMMA = 2.675_221_870_8e8  # [rad/s/T], proton, CODATA 2022


def torrey_signal(
    sequence: PulseSequence,
    t1: float,
    t2: float,
    adc: float,
    *,
    b1: float = 1.0,
    off_resonance: float = 0.0,
    kicks: int = 4,
) -> NDArray[np.complex128]:
    """Fingerprint `(time,)` [1] of one tissue under a sequence with a spoiler. adc [m2/s],
    off_resonance [Hz].

    kicks: that together make one spoiler cycle on each axis, in the coarsest of the three runs. A
    whole number of them must make the moment of every piece of the waveform.
    """
    coarse, medium, fine = (
        _with_kicks(sequence, t1, t2, adc, b1, off_resonance, kicks * n) for n in (1, 2, 4)
    )
    better, best = medium + (medium - coarse) / 3, fine + (fine - medium) / 3
    return best + (best - better) / 15


def _with_kicks(
    sequence: PulseSequence,
    t1: float,
    t2: float,
    adc: float,
    b1: float,
    off_resonance: float,
    kicks: int,
) -> NDArray[np.complex128]:
    waveform = _kicked_waveform(sequence, kicks)
    # The grid spans `kicks` spoiler cycles on each axis: one kick turns it by one full circle from
    # end to end.
    points = kicks * (2 * len(sequence.played) + 2)
    moments = GAMMA * np.atleast_2d(sequence.spoiler.gradient) @ sequence.spoiler.duration
    shape, axes = (points,) * len(moments), tuple(range(1, len(moments) + 1))
    ramps = np.array([ramp.ravel() for ramp in np.indices(shape)]) * 2 * np.pi / points
    waves = np.meshgrid(
        *(np.fft.fftfreq(points, 1 / points) * moments[:, None] / kicks), indexing="ij"
    )  # [rad/m]
    waves_squared = sum(wave**2 for wave in waves)

    def free(m: Vectors, time: float) -> Vectors:
        spectrum = np.fft.fftn(m.reshape(3, *shape), axes=axes) * np.exp(
            -adc * waves_squared * time
        )
        m = np.fft.ifftn(spectrum, axes=axes).real.reshape(3, -1)
        return precess(relax(m, time, t1, t2), 2 * np.pi * off_resonance * time)

    def tail(m: Vectors, time: float, _: int) -> Vectors:
        for turns, duration in waveform:
            n = max(np.gcd.reduce(turns), 1)
            kick, step = (turns / n) @ ramps, duration / n
            m = free(m, step / 2)
            for _ in range(n - 1):
                m = free(precess(m, kick), step)
            m = free(precess(m, kick), step / 2)
        return free(m, time - sum(duration for _, duration in waveform))

    signal = np.zeros(len(sequence), complex)
    for flip_factor, weight in slice_positions(sequence):
        echoes = play(sequence, b1 * flip_factor, ramps.shape[1], free, tail)
        signal += weight * np.array(list(echoes))[-len(sequence) :]
    return signal


def _kicked_waveform(sequence: PulseSequence, kicks: int) -> list[tuple[NDArray[np.int64], float]]:
    """Each piece of the spoiler as (signed number of kicks on each axis, duration [s])."""
    axes, duration = np.atleast_2d(sequence.spoiler.gradient), sequence.spoiler.duration
    turns = kicks * axes * duration / (axes @ duration)[:, None]
    if not np.allclose(turns, np.rint(turns), rtol=0, atol=1e-9):
        raise ValueError(f"pieces of {turns} kicks, expected whole numbers")
    return list(zip(np.rint(turns.T).astype(int), duration.tolist(), strict=True))
