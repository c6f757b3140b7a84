"""Brute force: many isochromats, each a 3-vector that is rotated and relaxed. The oracle of every
engine.

It shares nothing with the engines but the sequence: no configuration states, no complex
magnetisation, no import from mrftool.physics. The Bloch equations are solved exactly between
pulses: F. Bloch, Phys Rev 70:460 (1946). Magnetisation is an array `(3, isochromat)`; rotations are
right-handed.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mrftool.sequence import HardPulse, Invert, Pulses, PulseSequence, Saturate, T2Prep, Wait

Vectors = NDArray[np.float64]
Interval = Callable[[Vectors, float], Vectors]


def bloch_signal(
    sequence: PulseSequence,
    t1: float,
    t2: float,
    *,
    b1: float = 1.0,
    m0: complex = 1.0,
    off_resonance: float = 0.0,
    isochromats: int | None = None,
) -> NDArray[np.complex128]:
    """Fingerprint `(time,)` [m0] of one tissue. t1, t2 [s], b1 [1], off_resonance [Hz].

    isochromats: spread evenly over one spoiler cycle; by default more than twice the number of
    pulses, so that dephased magnetisation sums to 0 exactly. One is enough where nothing spoils.
    """
    if isochromats is None:
        isochromats = 2 * len(sequence.played) + 1 if sequence.spoiling == "gradient" else 1
    cycle = 2 * np.pi * np.arange(isochromats) / isochromats

    def free(m: Vectors, time: float) -> Vectors:
        return precess(relax(m, time, t1, t2), 2 * np.pi * off_resonance * time)

    def tail(m: Vectors, time: float) -> Vectors:
        m = free(m, time)
        return precess(m, cycle) if sequence.spoiling == "gradient" else m

    signal = np.zeros(len(sequence), complex)
    for flip_factor, weight in slice_positions(sequence):
        echoes = play(sequence, b1 * flip_factor, isochromats, free, tail, t2)
        signal += weight * np.array(list(echoes))
    return m0 * signal


def play(
    sequence: PulseSequence,
    flip_factor: float,
    n: int,
    free: Interval,
    tail: Interval,
    t2: float = np.nan,
) -> Iterator[complex]:
    """Play all events on `n` isochromats from equilibrium and yield each acquired frame, as the
    receiver sees it.

    free: what an interval without gradients does. tail: what the rest of TR does, spoiler included.
    t2: for perfect T2 preparations, whose diffusion is left out [s].
    """
    m = np.zeros((3, n))
    m[2] = 1.0
    pulses = list(
        zip(sequence.flip_angle, sequence.rf_phase, sequence.tr, sequence.te, strict=True)
    )
    for event in sequence.events:
        match event:
            case Invert(efficiency=efficiency):
                m = np.array([0 * m[0], 0 * m[1], -efficiency * m[2]])
            case HardPulse(flip_angle=flip, rf_phase=phase):
                m = nutate(m, flip_factor * flip, phase)
            case Wait(time=time):
                m = free(m, time)
            case Saturate(efficiency=efficiency):
                m = np.array([0 * m[0], 0 * m[1], (1 - efficiency) * m[2]])
            case T2Prep():
                m = prepare_t2(m, event, flip_factor, free, t2)
            case Pulses(first=first, stop=stop, acquire=acquire, bin=bin_size):
                seen: list[complex] = []
                for flip, phase, tr, te in pulses[first:stop]:
                    m = free(nutate(m, flip_factor * flip, phase), te)
                    x, y, _ = m.mean(axis=1)
                    seen.append(complex(x, y) * np.exp(-1j * phase))
                    if acquire and len(seen) == bin_size:
                        yield np.mean(seen)
                        seen = []
                    m = tail(m, tr - te)


def prepare_t2(m: Vectors, event: T2Prep, flip_factor: float, free: Interval, t2: float) -> Vectors:
    """T2 preparation, and a crusher that leaves only z."""
    if event.refocusing:
        half = event.te / event.refocusing / 2
        m = nutate(m, flip_factor * np.pi / 2, 0.0)
        for _ in range(event.refocusing):
            m = free(nutate(free(m, half), flip_factor * np.pi, np.pi / 2), half)
        z = nutate(m, -flip_factor * np.pi / 2, 0.0)[2]
    else:
        z = m[2] * np.exp(-event.te / t2)
    return np.array([0 * z, 0 * z, event.efficiency * z])


def nutate(m: Vectors, flip: float, phase: float) -> Vectors:
    """Turn by `flip` [rad] about the axis (cos phase, sin phase, 0), by Rodrigues' formula."""
    axis = np.array([np.cos(phase), np.sin(phase), 0.0])
    across = np.array(
        [[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]]
    )
    turn = np.eye(3) + np.sin(flip) * across + (1 - np.cos(flip)) * across @ across
    return turn @ m


def precess(m: Vectors, angle: float | Vectors) -> Vectors:
    """Turn by `angle` [rad] about z, one angle for all or one for each isochromat."""
    x, y, z = m
    return np.array(
        [np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y, z]
    )


def relax(m: Vectors, time: float, t1: float, t2: float) -> Vectors:
    """Transverse magnetisation decays, longitudinal returns to 1."""
    x, y, z = m
    decay = np.exp(-time / t2)
    return np.array([x * decay, y * decay, 1 + (z - 1) * np.exp(-time / t1)])


def slice_positions(sequence: PulseSequence) -> list[tuple[float, float]]:
    """Flip factor and weight of each position in the slice."""
    profile = sequence.slice_profile
    return (
        [(1.0, 1.0)]
        if profile is None
        else list(zip(profile.flip_factor, profile.weight, strict=True))
    )
