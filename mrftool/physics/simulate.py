"""The front door of the engine: fingerprints of tissues, and their derivatives. Opens no files, imports no torch.

Which engine serves is an implementation detail: all callers come through here and get the same numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrftool.errors import UsageError
from mrftool.fingerprints import Fingerprints
from mrftool.physics import readable
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

Parameter = Literal["t1", "t2", "b1"]
Progress = Callable[[int], None]
Signal = NDArray[np.complex64]

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

    tolerance: what cutting off high orders may change, relative to the norm of each fingerprint [1].
    n_states: keep this many orders for every voxel instead.
    threads: number of threads, by default one per processor that this process may use.
    progress: called with the number of voxels done since the last call, from the calling thread.

    Raises UsageError if an option is out of range, MismatchError if `tissue` diffuses and the sequence gives no
    spoiler waveform.
    """
    signal = np.empty((len(tissue), len(sequence)), np.complex64)
    start = 0
    for block in simulate_blocks(
        sequence, tissue, tolerance=tolerance, n_states=n_states, threads=threads, progress=progress
    ):
        signal[start : start + len(block)] = block
        start += len(block)
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
) -> Iterator[Signal]:
    """Like `simulate`, in blocks of `block` voxels `(voxel, time)` [m0], in order: memory stays that of one block."""
    for part in tissue.chunks(block):
        signal, _ = signal_and_derivatives(
            sequence,
            part,
            with_respect_to=(),
            tolerance=tolerance,
            n_states=n_states,
            threads=threads,
            progress=progress,
        )
        yield signal


def signal_and_derivatives(
    sequence: PulseSequence,
    tissue: Tissue,
    *,
    with_respect_to: Sequence[Parameter] = ("t1", "t2"),
    tolerance: float = DEFAULT_TOLERANCE,
    n_states: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[Signal, Signal]:
    """Signal `(voxel, time)` [m0] and its derivatives `(parameter, voxel, time)`, in one pass.

    with_respect_to: any of "t1" [m0/s], "t2" [m0/s], "b1" [m0], in the order of the result's first axis.
    The other options, and the errors, are those of `simulate`.
    """
    _check_options(with_respect_to, tolerance, n_states, threads)
    return readable.signal_and_derivatives(sequence, tissue, tuple(with_respect_to), n_states, progress)


def _check_options(
    with_respect_to: Sequence[Parameter], tolerance: float, n_states: int | None, threads: int | None
) -> None:
    unknown = [name for name in with_respect_to if name not in ("t1", "t2", "b1")]
    if unknown:
        raise UsageError(f"no derivative with respect to {unknown[0]}, expected t1, t2 or b1")
    if not 0 < tolerance < 1:
        raise UsageError(f"tolerance {tolerance:g}, expected more than 0 and less than 1")
    if n_states is not None and n_states < 1:
        raise UsageError(f"{n_states} states, expected at least 1")
    if threads is not None and threads < 1:
        raise UsageError(f"{threads} threads, expected at least 1")
