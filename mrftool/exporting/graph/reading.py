"""The first pass over the signals, as nodes of an ONNX graph: compression, energies, and what
cannot be used.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, FloatArray
from mrftool.exporting.graph.ops import Tape, Value, concat, maximum, row_sum, sqrt, where
from mrftool.manifold.table import SignalTable

_TINY = 1e-20


@dataclass(frozen=True)
class Reading:
    """What one pass over the signals gives, per voxel; coefficients are relative to the signal's
    norm.

    signal: `(voxel, time, 2)`, magnitudes `(voxel, time)`. energy: |signal|^2 `(voxel, 1)`, 1 where
    the voxel cannot be used. coefficients: compressed, `(voxel, 2 * rank)`, real parts then
    imaginary parts, or `(voxel, rank)` for magnitudes; 0 where it cannot. empty, bad: no signal at
    all; not finite numbers `(voxel, 1)` bool. outside: a given parameter lies outside the table
    `(voxel, 1)` bool, or None without any. probed: share of the energy along the probe vectors
    `(voxel, 1)`.
    """

    signal: Value
    energy: Value
    coefficients: Value
    empty: Value
    bad: Value
    outside: Value | None
    probed: Value

    @cached_property
    def unit_magnitudes(self) -> Value:
        """Magnitudes `(voxel, time)` of norm 1; 0 where they cannot be used."""
        return where(self.empty | self.bad, 0.0, self.signal / sqrt(self.energy))


def read_signals(
    tape: Tape, table: SignalTable, probes: Array, *, signal: Value, given: Value | None
) -> Reading:
    """Compress `signal` `(voxel, time, 2)`, magnitudes `(voxel, time)`; given `(voxel, given)`:
    values of the given parameters, None for tables without any.

    probes `(time, probe)`: see `mrftool.manifold.model_errors`.
    """
    vectors = table.feature_basis.vectors
    if probes.shape[1] == 0:  # ONNX Runtime 1.30 sums no columns to no column, not to 0
        probes = np.zeros((len(vectors), 1), vectors.dtype)
    if table.form == "complex":
        flat, parts = signal.reshape(0, 2 * len(vectors)), 2
        matrix = np.concatenate([_real_matrix(vectors), _real_matrix(probes)], axis=1)
    else:
        flat, parts = signal, 1
        matrix = np.concatenate([vectors, probes], axis=1)
    both = flat @ tape.constant(matrix, name="basis")
    energy = row_sum(flat * flat)
    bad: Value = _not_finite(energy)
    outside: Value | None = None
    empty = ~(energy > 0.0) & ~bad
    for column, axis in zip(_columns(table, given), table.given_axes, strict=True):
        bad = bad | (_not_finite(column) & ~empty)  # B1 maps end where the signal does
        beyond = (column < axis.start) | (column > axis.stop)
        outside = _either(outside, beyond)
    usable = ~(empty | bad)
    energy = where(usable, energy, 1.0)
    both = where(usable, both / sqrt(energy), 0.0)
    coefficients, probed = both.split(1, [parts * table.rank, parts * probes.shape[1]])
    return Reading(signal, energy, coefficients, empty, bad, outside, row_sum(probed * probed))


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


def direction(coefficients: Value, rank: int) -> tuple[Value, Value]:
    """Cosine and sine of the phase of the first of complex coefficients; 0 where it is 0."""
    re, im = coefficients.cut(1, 0, 1), coefficients.cut(1, rank, rank + 1)
    size = maximum(sqrt(re * re + im * im), _TINY)
    return re / size, im / size


def given_inside(table: SignalTable, given: Value) -> Value:
    """`given` `(voxel, given)`, held inside the table; the defaults where it is not a number."""
    tape = given.tape
    defaults = tape.constant([[parameter.default for parameter in table.given]])
    lowest = tape.constant([[axis.start for axis in table.given_axes]])
    highest = tape.constant([[axis.stop for axis in table.given_axes]])
    known = tape.op("Where", tape.op("IsNaN", given), defaults, given)
    return tape.op("Min", tape.op("Max", known, lowest), highest)


def _columns(table: SignalTable, given: Value | None) -> list[Value]:
    if given is None:
        return []
    return given.split(1, [1] * len(table.given))


def _either(one: Value | None, other: Value) -> Value:
    if one is None:
        return other
    return one | other


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
