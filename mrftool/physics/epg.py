"""The readable extended-phase-graph (EPG) engine: the oracle of the native kernel, and the engine
of CUDA and autograd.

The loop is the protocol: read `play` and `play_pulses` beside a sequence diagram. It takes its
array namespace from its inputs (array API): numpy for simulation, torch for gradients and CUDA.

Convention
    Right-handed rotations: a 90 degree pulse about x takes Z0 = 1 to F+0 = -i. Precession at a
    positive off-resonance f turns transverse magnetisation by exp(+2 pi i f t). Row `f_plus` holds
    F(k), row `f_minus` holds conj(F(-k)), row `z` holds Z(k), orders k = 0 .. n_states-1. TE counts
    from the pulse centre; the spoiler comes after the echoes of a pulse, one cycle unless the
    sequence says otherwise; the receiver follows the RF phase unless the sequence says otherwise.
    R2', of a Lorentzian spread of off-resonances in the voxel, decays from a pulse to its echoes:
    where each repetition has one TR and one spoiler, the phases of earlier ones are refocused.

Sources
    M. Weigel, J Magn Reson Imaging 41:266 (2015), doi 10.1002/jmri.24619: rotation (eq. 15 and 18),
    relaxation (eq. 23 and 24), shift, and diffusion under a constant gradient; here for any
    waveform, as in M. Weigel et al., J Magn Reson 205:276 (2010), doi 10.1016/j.jmr.2010.05.011.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj

from mrftool.errors import ArgumentError, MismatchError
from mrftool.physics.dephasing import Dephasing, at_rest, spoiled
from mrftool.physics.rf.excitation import Position, States, positions, rotate
from mrftool.sequence import HardPulse, Invert, Pulses, PulseSequence, Saturate, T2Prep, Wait

Array = Any


def epg_signal(
    sequence: PulseSequence,
    t1: Array,
    t2: Array,
    *,
    b1: Array | float = 1.0,
    m0: Array | float = 1.0,
    adc: Array | float = 0.0,
    off_resonance: Array | float = 0.0,
    r2_prime: Array | float = 0.0,
    flip_angle: Array | None = None,
    n_states: int | None = None,
) -> Array:
    """Fingerprints of `sequence`: complex signal `(voxel, time)` [m0].

    Parameters
    ----------
    sequence
        What is played.
    t1, t2
        `(voxel,)` [s], float32 or float64, numpy or torch; the result has their precision and
        device.
    b1
        Actual over nominal flip angle, `(voxel,)` or a number [1].
    m0
        Magnetisation in equilibrium, `(voxel,)` or a number [1]; may be complex.
    adc
        Apparent diffusion coefficient, `(voxel,)` or a number [m2/s].
    off_resonance
        `(voxel,)` or a number [Hz].
    r2_prime
        R2' = R2* - R2, `(voxel,)` or a number [1/s].
    flip_angle
        `(pulse,)` [rad], in place of the sequence's own: to differentiate with respect to it.
    n_states
        Orders 0 .. n_states-1 are kept; by default all that can reach an echo, so that nothing is
        cut off.

    Raises
    ------
    MismatchError
        If adc is not 0 and the sequence gives no spoiler waveform, so that diffusion is unknown,
        or if flip_angle has another length than that of the sequence; or if r2_prime is not 0 and
        the spoiler is not the same after all pulses.
    ArgumentError
        If n_states is less than 1.
    """
    xp = array_namespace(t1, t2)
    nominal = _nominal_flips(sequence, flip_angle, t1)
    omega = 2 * np.pi * _column(off_resonance, t1)
    voxels = _Voxels(xp, t1, t2, _column(adc, t1), omega, _column(r2_prime, t1))
    if bool(xp.any(voxels.adc != 0)) and sequence.spoiler is None:
        raise MismatchError(
            f"sequence {sequence.name} gives no spoiler waveform, "
            "expected one to simulate diffusion (adc > 0)"
        )
    if bool(xp.any(voxels.r2_prime != 0)):
        require_refocused(sequence)
    orders = _kept_orders(sequence, n_states, t1)
    signal = sum(
        position.weight * play(sequence, voxels, position, orders)
        for position in positions(sequence, nominal, _column(b1, t1))
    )
    return _column(m0, signal[:, 0])[:, None] * signal


def _nominal_flips(sequence: PulseSequence, flip_angle: Array | None, like: Array) -> Array:
    """Nominal flip angles `(pulse,)` [rad]: those given, or those of the sequence."""
    if flip_angle is None:
        flip_angle = sequence.flip_angle
    flip_angle = _like(flip_angle, like)
    if flip_angle.shape != sequence.flip_angle.shape:
        raise MismatchError(
            f"{flip_angle.shape[0]} flip angles, expected {len(sequence.flip_angle)}"
            f" as in {sequence.name}"
        )
    return flip_angle


def _kept_orders(sequence: PulseSequence, n_states: int | None, like: Array) -> Array:
    """The orders 0, 1, ... that are kept, as numbers like those of `like`."""
    if n_states is None:
        n_states = exact_n_states(sequence)
    if n_states < 1:
        raise ArgumentError(f"{n_states} states, expected at least 1")
    return array_namespace(like).arange(n_states, dtype=like.dtype, device=device(like))


def require_refocused(sequence: PulseSequence) -> None:
    """Raises MismatchError for sequences in which R2' is no plain decay from pulse to echo."""
    if len(np.unique(sequence.cycles[sequence.played])) == 1 and sequence.spoiling == "gradient":
        return
    raise MismatchError(
        f"sequence {sequence.name} does not spoil alike after all pulses, where R2' is no decay "
        "from pulse to echo, expected R2' = 0"
    )


def exact_n_states(sequence: PulseSequence) -> int:
    """Number of orders that can reach an echo.

    The spoilers before the last pulse that is played move states by C orders in all, one for each
    cycle. A pulse after c of them finds orders k <= c, and an order k is back at 0 by the last echo
    only if k <= C - c: no order above C / 2 is ever seen.
    """
    return int(sequence.cycles[sequence.played][:-1].sum()) // 2 + 1


@dataclass(frozen=True)
class _Voxels:
    """Tissue columns `(voxel,)` in the namespace `xp`; omega is the off-resonance [rad/s], and
    r2_prime in 1/s.
    """

    xp: Any
    t1: Array
    t2: Array
    adc: Array
    omega: Array
    r2_prime: Array


def play(sequence: PulseSequence, voxels: _Voxels, position: Position, orders: Array) -> Array:
    """Signal `(voxel, time)` [1] of all events at one position, per unit of m0, from equilibrium.

    Parameters
    ----------
    sequence, voxels
        What is played, and the tissue.
    position
        Where in the slice.
    orders
        That are kept `(order,)`: 0, 1, ...
    """
    field, rest = position.field, at_rest(sequence)
    states = equilibrium(voxels, orders)
    echoes: list[Array] = []
    for event in sequence.program:
        match event:
            case Pulses():
                states, seen = play_pulses(sequence, event, states, voxels, position, orders)
                echoes += seen
            case Invert():
                states = crush(states, -event.efficiency)
            case Wait():
                states = relax(states, voxels, orders, event.time, rest)
            case Saturate():
                states = crush(states, 1 - event.efficiency)
            case HardPulse():
                states = rotate(voxels.xp, states, field * event.flip_angle, event.rf_phase)
            case T2Prep():
                states = prepare_t2(event, states, voxels, field, orders, rest)
            case _:
                raise TypeError(f"no operator for {event}")
    return voxels.xp.stack(echoes, axis=-1)


def play_pulses(
    sequence: PulseSequence,
    block: Pulses,
    states: States,
    voxels: _Voxels,
    position: Position,
    orders: Array,
) -> tuple[States, list[Array]]:
    """Play the pulses of `block`; the states after them, and the frames that are acquired.

    1. Pulse.
    2. Relax until each echo and observe order 0.
    3. Relax for the rest of TR, and shift by one order for each cycle of the spoiler.
    4. In the end, average the echoes of each `bin` pulses.

    Parameters
    ----------
    sequence, block
        The sequence, and the event that plays some of its pulses.
    states
        Before the first pulse `(voxel, order)`.
    voxels
        The tissue.
    position
        Where in the slice.
    orders
        That are kept `(order,)`: 0, 1, ...
    """
    xp, rest = voxels.xp, at_rest(sequence)
    cycles, starts = sequence.cycles, sequence.spoiler_start
    echoes: list[list[Array]] = []
    for n in range(len(cycles))[block.slice]:
        states = position.excite(n, states)
        seen = []
        for between in np.diff(sequence.te[n] + sequence.echoes, prepend=0.0):
            states = relax(states, voxels, orders, float(between), rest)
            seen.append(states[0][:, 0])
        echoes.append(received(sequence, n, seen, voxels))
        tail = float(sequence.tr[n] - starts[n])
        states = relax(states, voxels, orders, tail, spoiled(sequence, tail, int(cycles[n])))
        for _ in range(int(cycles[n])):
            states = shift(xp, states)
    if not block.acquire:
        return states, []
    return states, means_of_bins(echoes, block.bin)


def received(
    sequence: PulseSequence, pulse: int, seen: list[Array], voxels: _Voxels
) -> list[Array]:
    """The echoes of a pulse `(voxel,)` each, with R2' and in the frame of the receiver."""
    receiver = complex(np.exp(-1j * sequence.receiver[pulse]))
    times = float(sequence.te[pulse]) + sequence.echoes
    decays = [voxels.xp.exp(-float(time) * voxels.r2_prime) for time in times]
    return [receiver * decay * echo for decay, echo in zip(decays, seen, strict=True)]


def means_of_bins(echoes: list[list[Array]], size: int) -> list[Array]:
    """Of each `size` pulses, the mean of each of their echoes; echoes: `(pulse, echo)`."""
    frames = []
    for first in range(0, len(echoes), size):
        together = zip(*echoes[first : first + size], strict=True)
        frames += [sum(echo) / size for echo in together]
    return frames


def equilibrium(voxels: _Voxels, orders: Array) -> States:
    """f_plus, f_minus, z `(voxel, order)`: all magnetisation in Z0."""
    xp = voxels.xp
    z = xp.ones_like(voxels.t1)[:, None] * xp.asarray(orders == 0, dtype=voxels.t1.dtype)
    z = z + 0j * z
    return 0 * z, 0 * z, z


def crush(states: States, factor: Array | float) -> States:
    """Z becomes factor x Z; the crusher leaves no transverse magnetisation."""
    f_plus, f_minus, z = states
    return 0 * f_plus, 0 * f_minus, factor * z


def prepare_t2(
    event: T2Prep,
    states: States,
    voxels: _Voxels,
    field: Array,
    orders: Array,
    rest: Dephasing | None,
) -> States:
    """T2 preparation, see `T2Prep`; field: actual / nominal flip angle `(voxel,)` [1].

    1. Tip down about x.
    2. Refocus about y in the middle of each of equal intervals, relaxing.
    3. Tip up; crush.
    """
    if not event.refocusing:
        return crush(states, event.efficiency * _decay_while_tipped(event, voxels, orders, rest))
    xp, half = voxels.xp, event.te / event.refocusing / 2
    states = rotate(xp, states, field * np.pi / 2, 0.0)
    for _ in range(event.refocusing):
        states = relax(states, voxels, orders, half, rest)
        states = rotate(xp, states, field * np.pi, np.pi / 2)
        states = relax(states, voxels, orders, half, rest)
    states = rotate(xp, states, -field * np.pi / 2, 0.0)
    return crush(states, event.efficiency)


def _decay_while_tipped(
    event: T2Prep, voxels: _Voxels, orders: Array, rest: Dephasing | None
) -> Array:
    """What is left of Z `(voxel, order)` that perfect pulses keep transverse."""
    decay = voxels.xp.exp(-event.te / voxels.t2)[:, None]
    if rest is None:
        return decay
    b_value = rest.longitudinal(orders, event.te)
    return decay * voxels.xp.exp(-voxels.adc[:, None] * b_value)


def relax(
    states: States, voxels: _Voxels, orders: Array, time: float, dephased: Dephasing | None
) -> States:
    """Relaxation (Weigel 2015, eq. 23 and 24), precession and diffusion (see `Dephasing`) for
    `time` [s].
    """
    xp, (f_plus, f_minus, z) = voxels.xp, states
    e1, e2 = xp.exp(-time / voxels.t1)[:, None], xp.exp(-time / voxels.t2)[:, None]
    turn = xp.exp(1j * time * voxels.omega)[:, None]
    recovered = (1 - e1) * xp.asarray(orders == 0, dtype=e1.dtype)
    f_plus, f_minus, z = e2 * turn * f_plus, e2 * xp.conj(turn) * f_minus, e1 * z
    if dephased is not None:
        adc = voxels.adc[:, None]
        f_plus = f_plus * xp.exp(-adc * dephased.transverse(orders, time))
        f_minus = f_minus * xp.exp(-adc * dephased.transverse(-orders, time))
        z = z * xp.exp(-adc * dephased.longitudinal(orders, time))
    return f_plus, f_minus, z + recovered


def shift(xp: Any, states: States) -> States:
    """One cycle of spoiling: F(k) becomes F(k+1), and so F(-k) becomes F(-k+1); Z stays."""
    f_plus, f_minus, z = states
    nothing = xp.zeros_like(f_plus[:, :1])
    f_minus = xp.concat([f_minus[:, 1:], nothing], axis=1)
    f_plus = xp.concat([xp.conj(f_minus[:, :1]), f_plus[:, :-1]], axis=1)
    return f_plus, f_minus, z


def _column(value: Array | float, like: Array) -> Array:
    """A number, or a column, as a column like `like`."""
    return array_namespace(like).zeros_like(like) + _like(value, like)


def _like(value: Array | float, like: Array) -> Array:
    """`value` in the namespace, precision and device of `like`; gradients flow through."""
    xp = array_namespace(like)
    if is_array_api_obj(value) and array_namespace(value) is xp:
        return xp.astype(value, like.dtype, copy=False)
    return xp.asarray(np.array(value), dtype=like.dtype, device=device(like))
