"""The first pass over the signals, as nodes of an ONNX graph: compression, energies, and what
cannot be used.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, FloatArray
from mrftool.export.graph.ops import Tape, Value, clip, concat, maximum, row_sum, sqrt, where
from mrftool.manifold.table import SignalTable

_TINY = 1e-20


@dataclass(frozen=True)
class Reading:
    """What one pass over the signals gives, per voxel; coefficients are relative to the signal's
    norm.

    energy: |signal|^2 `(voxel, 1)`, 1 where the voxel cannot be used. coefficients: compressed,
    `(voxel, 2 * rank)`, real parts then imaginary parts, or `(voxel, rank)` for magnitudes; 0 where
    it cannot. empty, bad: no signal at all; not finite numbers `(voxel, 1)` bool. outside: B1
    outside the table, or None. probed: share of the energy along the probe vectors `(voxel, 1)`.
    """

    energy: Value
    coefficients: Value
    empty: Value
    bad: Value
    outside: Value | None
    probed: Value


def read_signals(
    tape: Tape, table: SignalTable, probes: Array, *, signal: Value, b1: Value | None
) -> Reading:
    """Compress `signal` `(voxel, time, 2)`, magnitudes `(voxel, time)`; `b1` `(voxel, 1)` where the
    table takes it.

    probes `(time, probe)`: see `mrftool.manifold.model_errors`.
    """
    vectors = table.feature_basis.vectors
    if table.form == "complex":
        flat, parts = signal.reshape(0, 2 * len(vectors)), 2
        matrix = np.concatenate([_real_matrix(vectors), _real_matrix(probes)], axis=1)
    else:
        flat, parts = signal, 1
        matrix = np.concatenate([vectors, probes], axis=1)
    both = flat @ tape.constant(matrix, name="basis")
    energy = row_sum(flat * flat)
    bad, outside = _not_finite(energy), None
    empty = ~(energy > 0.0) & ~bad
    if b1 is not None:
        bad = bad | (_not_finite(b1) & ~empty)  # B1 maps end where the signal does
        outside = (b1 < table.axes[2].start) | (b1 > table.axes[2].stop)
    usable = ~(empty | bad)
    energy = where(usable, energy, 1.0)
    both = where(usable, both / sqrt(energy), 0.0)
    coefficients, probed = both.split(1, [parts * table.rank, parts * probes.shape[1]])
    return Reading(energy, coefficients, empty, bad, outside, row_sum(probed * probed))


def aligned(table: SignalTable, coefficients: Value) -> Value:
    """`compression.align` in the graph: like `coefficients`, of norm 1 and with the reference's
    phase.
    """
    norm = maximum(sqrt(row_sum(coefficients * coefficients)), _TINY)
    scaled = coefficients / norm
    if table.form == "magnitude":
        return scaled
    re, im = scaled.split(1, [table.rank, table.rank])
    cos, sin = direction(coefficients, table.rank)
    return concat([re * cos + im * sin, im * cos - re * sin], 1)


def n_coefficients(table: SignalTable) -> int:
    """Columns of `Reading.coefficients`."""
    return table.rank if table.form == "magnitude" else 2 * table.rank


def direction(coefficients: Value, rank: int) -> tuple[Value, Value]:
    """Cosine and sine of the phase of the first of complex coefficients; 0 where it is 0."""
    re, im = coefficients.cut(1, 0, 1), coefficients.cut(1, rank, rank + 1)
    size = maximum(sqrt(re * re + im * im), _TINY)
    return re / size, im / size


def held_b1(table: SignalTable, b1: Value) -> Value:
    """`b1` `(voxel, 1)`, held inside the table; 1 where it is not a number."""
    axis = table.axes[2]
    return clip(where(b1.tape.op("IsNaN", b1), 1.0, b1), axis.start, axis.stop)


def _not_finite(x: Value) -> Value:
    return x.tape.op("IsNaN", x) | x.tape.op("IsInf", x)


def _real_matrix(vectors: NDArray[np.complex128]) -> FloatArray:
    """`(2 * time, 2 * rank)`: interleaved signals to the real parts, then imaginary parts, of their
    coefficients.
    """
    matrix = np.empty((2 * len(vectors), 2 * vectors.shape[1]))
    matrix[0::2] = np.concatenate([vectors.real, -vectors.imag], axis=1)
    matrix[1::2] = np.concatenate([vectors.imag, vectors.real], axis=1)
    return matrix
