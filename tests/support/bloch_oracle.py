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

from mrftool.sequence import (
    HardPulse,
    Invert,
    Pulses,
    PulseSequence,
    Saturate,
    SelectivePulse,
    T2Prep,
    Wait,
)

Vectors = NDArray[np.float64]
Interval = Callable[[Vectors, float], Vectors]
Tail = Callable[[Vectors, float, int], Vectors]
Excite = Callable[[Vectors, float, float], Vectors]  # by a flip angle and about a phase [rad]


def bloch_signal(
    sequence: PulseSequence,
    t1: float,
    t2: float,
    *,
    b1: float = 1.0,
    m0: complex = 1.0,
    off_resonance: float = 0.0,
    r2_prime: float = 0.0,
    isochromats: int | None = None,
) -> NDArray[np.complex128]:
    """Fingerprint `(time,)` [m0] of one tissue. t1, t2 [s], b1 [1], off_resonance [Hz], r2_prime
    [1/s].

    isochromats: spread evenly over one spoiler cycle; by default more than twice the number of
    cycles, so that dephased magnetisation sums to 0 exactly. One is enough where nothing spoils.
    """
    cycles = cycles_of(sequence)
    if isochromats is None:
        isochromats = 2 * int(cycles[sequence.played].sum()) + 1
    cycle = 2 * np.pi * np.arange(isochromats) / isochromats

    def free(m: Vectors, time: float) -> Vectors:
        return precess(relax(m, time, t1, t2), 2 * np.pi * off_resonance * time)

    def tail(m: Vectors, time: float, cycles: int) -> Vectors:
        return precess(free(m, time), cycles * cycle)

    signal = np.zeros(len(sequence), complex)
    if isinstance(sequence.slice_profile, SelectivePulse):
        for excite, weight in selective_positions(sequence.slice_profile, b1):
            echoes = play(sequence, b1, isochromats, free, tail, t2, r2_prime, excite)
            signal += weight * np.array(list(echoes))
        return m0 * signal
    for flip_factor, weight in slice_positions(sequence):
        echoes = play(sequence, b1 * flip_factor, isochromats, free, tail, t2, r2_prime)
        signal += weight * np.array(list(echoes))
    return m0 * signal


def cycles_of(sequence: PulseSequence) -> NDArray[np.int64]:
    """Cycles of dephasing after each pulse `(pulse,)`."""
    if sequence.spoiler_cycles is not None:
        return sequence.spoiler_cycles.astype(int)
    return np.full(len(sequence.tr), int(sequence.spoiling == "gradient"))


def play(
    sequence: PulseSequence,
    flip_factor: float,
    n: int,
    free: Interval,
    tail: Tail,
    t2: float = np.nan,
    r2_prime: float = 0.0,
    excite: Excite | None = None,
) -> Iterator[complex]:
    """Play all events on `n` isochromats from equilibrium and yield each acquired frame, as the
    receiver sees it.

    free: what an interval without gradients does. tail: what the rest of TR does, spoiler included.
    t2: for perfect T2 preparations, whose diffusion is left out [s]. r2_prime: decay of each echo
    from its pulse on [1/s].
    excite: what pulses of the train do; by default they are hard pulses.
    """
    excite = excite or _hard_pulse(flip_factor)
    m = np.zeros((3, n))
    m[2] = 1.0
    receiver = sequence.rf_phase if sequence.receiver_phase is None else sequence.receiver_phase
    columns = (sequence.flip_angle, sequence.rf_phase, sequence.tr, sequence.te)
    pulses = list(zip(*columns, receiver, cycles_of(sequence), strict=True))
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
                seen: list[NDArray[np.complex128]] = []
                for flip, phase, tr, te, receiver_phase, cycles in pulses[first:stop]:
                    m = excite(m, flip, phase)
                    times = [te, *(te + sequence.later_echoes)]
                    m, echoes = observe(m, times, free)
                    decay = np.exp(-r2_prime * np.array(times) - 1j * receiver_phase)
                    seen.append(echoes * decay)
                    if acquire and len(seen) == bin_size:
                        yield from np.mean(seen, axis=0)
                        seen = []
                    m = tail(m, tr - times[-1], cycles)


def observe(
    m: Vectors, times: list[float], free: Interval
) -> tuple[Vectors, NDArray[np.complex128]]:
    """The isochromats at the last of the echoes, and the echoes; times: of each, from the pulse."""
    echoes, now = [], 0.0
    for time in times:
        m, now = free(m, time - now), time
        x, y, _ = m.mean(axis=1)
        echoes.append(complex(x, y))
    return m, np.array(echoes)


def _hard_pulse(flip_factor: float) -> Excite:
    def excite(m: Vectors, flip: float, phase: float) -> Vectors:
        return nutate(m, flip_factor * flip, phase)

    return excite


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


def selective_positions(
    pulse: SelectivePulse, b1: float, steps: int = 3200
) -> Iterator[tuple[Excite, float]]:
    """What a selective pulse does at each position of the slice, and the position's weight.

    The waveform plays as hard pulses, with half of a step's precession before and after each. The
    error falls with the square of the number of steps.
    """
    time = (np.arange(steps) + 0.5) / steps - 0.5  # in units of the duration
    depth = {"none": 0.0, "hann": 0.5, "hamming": 0.46}[pulse.apodisation]
    scaled = pulse.time_bandwidth * time
    shape = np.sinc(scaled) if pulse.shape == "sinc" else np.exp(-np.pi * scaled**2)
    shape = shape * (1 - depth + depth * np.cos(2 * np.pi * time))
    shape = shape / shape.sum()
    width = pulse.extent or 2 + 4 / pulse.time_bandwidth
    for n in range(pulse.positions):
        place = ((n + 0.5) / pulse.positions - 0.5) * width  # in slice thicknesses
        during = 2 * np.pi * pulse.time_bandwidth * place  # precession under the gradient [rad]

        def excite(m: Vectors, flip: float, phase: float, during: float = during) -> Vectors:
            turn = _about_z(-during / 2)
            for share in b1 * flip * shape:
                step = nutate(_about_z(during / steps / 2), share, phase)
                turn = _about_z(during / steps / 2) @ step @ turn
            return _about_z(-pulse.rephasing * during / 2) @ turn @ m

        yield excite, width / pulse.positions


def _about_z(angle: float) -> Vectors:
    """The matrix of a rotation about z [rad]."""
    return precess(np.eye(3), angle)


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
