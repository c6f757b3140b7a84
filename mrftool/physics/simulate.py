"""The front door of the engine: fingerprints of tissues, and their derivatives. Opens no files,
imports no torch.

The native kernel serves where it is at hand, else the readable engine (also when the environment
says MRFTOOL_ENGINE=reference). Both keep, by default, as many orders as `truncation` proves that
each tissue needs; the kernel, where there are many voxels, as many as a `trial` finds.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from mrftool.arrays import Array, ComplexArray, Float32Array, FloatArray, IndexArray, Progress
from mrftool.errors import ArgumentError, MismatchError
from mrftool.fingerprints import Fingerprints
from mrftool.physics import fallback, readout
from mrftool.physics import kernel as native
from mrftool.physics.epg import exact_n_states, require_refocused
from mrftool.physics.orders import trial, truncation
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

Parameter = Literal["t1", "t2", "b1", "off_resonance", "r2_prime"]
Orders = int | IndexArray

PARAMETERS: tuple[Parameter, ...] = ("t1", "t2", "b1", "off_resonance", "r2_prime")
DEFAULT_TOLERANCE = 1e-5
BLOCK = 4096  # voxels that `simulate_blocks` yields at a time


def simulate(
    sequence: PulseSequence,
    tissue: Tissue,
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    n_states: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Fingerprints:
    """Fingerprints `(voxel, time)` [m0] of every voxel of `tissue` under `sequence`.

    tolerance: what cutting off high orders may change, relative to the norm of each fingerprint
    [1].
    n_states: keep this many orders for every voxel instead.
    threads: number of threads, by default one per processor that this process may use.
    progress: called with the number of voxels done since the last call, from the calling thread.

    Raises ArgumentError if an option is out of range, MismatchError if `tissue` diffuses and the
    sequence gives no spoiler waveform.
    """
    signal, _ = signal_and_derivatives(
        sequence,
        tissue,
        with_respect_to=(),
        tolerance=tolerance,
        n_states=n_states,
        threads=threads,
        progress=progress,
    )
    return Fingerprints(signal, sequence.sequence_id)


def simulate_blocks(
    sequence: PulseSequence,
    tissue: Tissue,
    *,
    block: int = BLOCK,
    tolerance: float = DEFAULT_TOLERANCE,
    n_states: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Iterator[ComplexArray]:
    """Like `simulate`, in blocks of `block` voxels `(voxel, time)` [m0], in order: memory stays
    that of one block.
    """
    for part in tissue.chunks(block):
        yield simulate(
            sequence,
            part,
            tolerance=tolerance,
            n_states=n_states,
            threads=threads,
            progress=progress,
        ).signal


def signal_and_derivatives(
    sequence: PulseSequence,
    tissue: Tissue,
    *,
    with_respect_to: Sequence[Parameter] = ("t1", "t2"),
    tolerance: float = DEFAULT_TOLERANCE,
    n_states: Orders | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[ComplexArray, ComplexArray]:
    """Signal `(voxel, time)` [m0] and its derivatives `(parameter, voxel, time)`, in one pass.

    with_respect_to: any of "t1" [m0/s], "t2" [m0/s], "b1" [m0], "off_resonance" [m0/Hz], "r2_prime"
    [m0 s], in the order of the result's first axis.
    n_states: keep this many orders for every voxel, or at least as many for each `(voxel,)`.
    The other options, and the errors, are those of `simulate`.
    """
    signal = _aligned((len(tissue), len(sequence)))
    derivatives = np.empty((len(with_respect_to), *signal.shape), np.complex64)
    wanted: dict[str, ComplexArray] = dict(zip(with_respect_to, derivatives, strict=True))
    _fill(sequence, tissue, signal, wanted, tolerance, n_states, threads, progress)
    return signal, derivatives


def _aligned(shape: tuple[int, int]) -> ComplexArray:
    """An empty array that begins at a line of the processor's cache: rows are written faster."""
    n_bytes, line = 8 * shape[0] * shape[1], 64
    memory = np.empty(n_bytes + line, np.uint8)
    start = -memory.ctypes.data % line
    return memory[start : start + n_bytes].view(np.complex64).reshape(shape)


def has_real_signal(sequence: PulseSequence, tissue: Tissue) -> bool:
    """Whether `fill_real_signal` can serve: the signal is -i m0 times real numbers, and the native
    kernel is there.
    """
    return native.is_available() and native.is_real(sequence, tissue)


def fill_real_signal(
    sequence: PulseSequence,
    tissue: Tissue,
    signal: Float32Array,
    derivatives: Mapping[str, Float32Array],
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    n_states: Orders | None = None,
    threads: int | None = None,
) -> None:
    """Like `signal_and_derivatives`, but real numbers into arrays at hand; the signal is -i m0
    times `signal`.

    signal, and each array of `derivatives`: `(voxel, time)`, contiguous. They take half the memory
    of complex ones, and less time.

    Raises MismatchError if the signal has no constant phase (see `has_real_signal`).
    """
    if not has_real_signal(sequence, tissue) or "off_resonance" in derivatives:
        raise MismatchError(
            f"the signal of sequence {sequence.name} has no constant phase: its real part is not "
            "all of it"
        )
    shape = (len(tissue), len(sequence))
    for array in (signal, *derivatives.values()):
        if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
            raise MismatchError(f"expected contiguous float32 result arrays of shape {shape}")
    _fill(sequence, tissue, signal, derivatives, tolerance, n_states, threads, None)


def _fill(
    sequence: PulseSequence,
    tissue: Tissue,
    signal: Array,
    derivatives: Mapping[str, Array],
    tolerance: float,
    n_states: Orders | None,
    threads: int | None,
    progress: Progress | None,
) -> None:
    """Choose the numbers of orders, run an engine, and run again what turns out to need more."""
    _check(sequence, tissue, derivatives, tolerance, n_states, threads)
    if not len(tissue):
        return
    if n_states is None and sequence.spoiling == "none":
        n_states = 1
    if n_states is not None:
        asked = np.full(len(tissue), n_states, np.int64)
        orders = np.minimum(asked, exact_n_states(sequence))
        _run(sequence, tissue, orders, signal, derivatives, threads, progress, None)
        return
    expected = np.full(len(tissue), truncation.TYPICAL_LEVEL)
    orders, cut = _plan(sequence, tissue, expected, tolerance, derivatives)
    level = _run(sequence, tissue, orders, signal, derivatives, threads, progress, cut)
    weak = np.flatnonzero(level < truncation.TYPICAL_LEVEL)
    if not weak.size:
        return
    # What was cut off may be missing from the level.
    at_least = np.maximum(level[weak] - tolerance * truncation.TYPICAL_LEVEL, 0.0)
    needed, cut = _plan(sequence, tissue[weak], at_least, tolerance, derivatives)
    if cut is None:
        more = needed > orders[weak]
        weak, needed = weak[more], needed[more]
    if weak.size:
        _fill_again(sequence, tissue, weak, needed, signal, derivatives, threads, cut)


def _fill_again(
    sequence: PulseSequence,
    tissue: Tissue,
    voxels: IndexArray,
    orders: IndexArray,
    signal: Array,
    derivatives: Mapping[str, Array],
    threads: int | None,
    cut: native.Cut | None,
) -> None:
    """Run an engine again on some voxels, with as many `orders` as each needs."""
    again = np.empty_like(signal[voxels])
    slopes = {key: np.empty_like(column[voxels]) for key, column in derivatives.items()}
    _run(sequence, tissue[voxels], orders, again, slopes, threads, None, cut)
    signal[voxels] = again
    for key, slope in slopes.items():
        derivatives[key][voxels] = slope


def _plan(
    sequence: PulseSequence,
    tissue: Tissue,
    level: FloatArray,
    tolerance: float,
    derivatives: Mapping[str, Array],
) -> tuple[IndexArray, native.Cut | None]:
    """Number of orders `(voxel,)`, found by trial, or else proven, and what may be cut off on the
    way; where proof and cut both apply, each gets half of tolerance.

    level: root mean square of each fingerprint at least, for m0 = 1 `(voxel,)`.
    """
    if _may_try(sequence, tissue, derivatives, tolerance):
        tried = trial.n_states(
            sequence, tissue, tolerance=tolerance, level=level, with_derivative=bool(derivatives)
        )
        return tried, None
    cut = None
    if native.is_available() and _may_cut(sequence, tissue, derivatives):
        tolerance = tolerance / 2
        cut = native.Cut(tolerance, level)
    orders = truncation.n_states(
        sequence,
        tissue.t1,
        tissue.t2,
        tolerance=tolerance,
        level=level,
        with_derivative=bool(derivatives),
    )
    return orders, cut


def _may_try(
    sequence: PulseSequence, tissue: Tissue, derivatives: Mapping[str, Array], tolerance: float
) -> bool:
    """Whether the number of orders may be found by trial: see `trial`."""
    if not native.is_available() or readout.is_needed(sequence, tissue, derivatives):
        return False
    return trial.covers(tissue, tolerance) and set(derivatives) <= set(trial.DERIVATIVES)


def _may_cut(sequence: PulseSequence, tissue: Tissue, derivatives: Mapping[str, Array]) -> bool:
    """Whether the kernel may cut off orders on the way: see `kernel.Cut`."""
    is_plain = sequence.spoiler_cycles is None and not derivatives
    return is_plain and not readout.is_needed(sequence, tissue, derivatives)


def _run(
    sequence: PulseSequence,
    tissue: Tissue,
    orders: IndexArray,
    signal: Array,
    derivatives: Mapping[str, Array],
    threads: int | None,
    progress: Progress | None,
    cut: native.Cut | None,
) -> FloatArray:
    """Fill the arrays; return the root mean square of each fingerprint for m0 = 1 `(voxel,)`."""
    if native.is_available():
        task = native.Run(sequence, tissue, orders, signal.dtype == np.complex64, threads, cut=cut)
        run = native.run
        if readout.is_needed(sequence, tissue, derivatives):
            run = readout.run
        power = run(task, signal, derivatives, progress)
    else:
        power = fallback.run(sequence, tissue, orders, signal, derivatives, progress)
    return np.asarray(np.sqrt(power / len(sequence)), np.float64)


def _check(
    sequence: PulseSequence,
    tissue: Tissue,
    derivatives: Mapping[str, Array],
    tolerance: float,
    n_states: Orders | None,
    threads: int | None,
) -> None:
    unknown = [name for name in derivatives if name not in PARAMETERS]
    if unknown:
        expected = ", ".join(PARAMETERS)
        raise ArgumentError(
            f"no derivative with respect to {unknown[0]}, expected any of {expected}"
        )
    if not 0 < tolerance < 1:
        raise ArgumentError(f"tolerance {tolerance:g}, expected more than 0 and less than 1")
    _check_counts(n_states, threads)
    _check_effects(sequence, tissue, derivatives)


def _check_effects(
    sequence: PulseSequence, tissue: Tissue, derivatives: Mapping[str, Array]
) -> None:
    """Raises MismatchError where R2' or diffusion cannot be simulated under this sequence."""
    if tissue.r2_prime.any() or "r2_prime" in derivatives:
        require_refocused(sequence)
    if tissue.adc.any() and sequence.spoiler is None:
        raise MismatchError(
            f"sequence {sequence.name} gives no spoiler waveform, expected one to simulate "
            "diffusion (adc > 0)"
        )


def _check_counts(n_states: Orders | None, threads: int | None) -> None:
    for number, what in ((n_states, "states"), (threads, "threads")):
        if number is not None and np.min(number) < 1:
            raise ArgumentError(f"{np.min(number)} {what}, expected at least 1")
