"""Coarse search: the most similar of a few hundred fingerprints of the table, as nodes of an ONNX
graph.

It starts the polish, so a small part of the compressed space is enough: its first dimensions,
phases aligned. One Gauss-Newton step from each of these atoms is a matrix that is known beforehand,
and comes with them.
"""

import numpy as np

from mrftool.export.atoms import Atoms
from mrftool.export.graph.ops import Tape, Value, concat, maximum, minimum, row_sum
from mrftool.export.graph.polish import LARGEST_STEP, hold_inside
from mrftool.manifold.table import SignalTable

_RANK = 12  # dimensions of the compressed space that are compared
_LEAST_SIZE = 0.1  # of a signal along the best atom: noise may have none


def search_rank(table: SignalTable) -> int:
    """Dimensions of the compressed space that are compared."""
    return min(_RANK, table.rank)


def coarse_search(
    tape: Tape, table: SignalTable, atoms: Atoms, aligned: Value, b1: Value | None
) -> Value:
    """Place `(voxel, 2)` in the table's grid: one Gauss-Newton step from the fingerprint that is
    most similar.

    aligned: `compression.align` of its coefficients, `(voxel, 2 * rank)`, real parts then imaginary
    parts. b1 `(voxel, 1)`: compared are fingerprints of the nearest layer, moved to the voxel's B1
    along their slopes.
    """
    rank = search_rank(table)
    columns = aligned.cut(1, 0, rank)
    if table.form == "complex" and not table.is_real:
        columns = concat([columns, aligned.cut(1, table.rank, table.rank + rank)], 1)
    best = tape.op("ArgMax", _similarity(tape, atoms, columns, b1), axis=1, keepdims=0)
    inverses = tape.op("Gather", tape.constant(atoms.inverses), best, axis=0)
    n_columns = atoms.rows.shape[1]
    distances = row_sum(inverses * columns.reshape(0, 1, n_columns)).reshape(0, 3)
    size, move = distances.split(1, [1, 2])
    move = move / maximum(size, _LEAST_SIZE)
    if b1 is not None:
        drift = tape.op("Gather", tape.constant(np.c_[atoms.drifts, atoms.b1]), best, axis=0)
        by_b1, b1_there = drift.split(1, [2, 1])
        move = move - by_b1 * (b1 - b1_there)
    move = minimum(maximum(move, -LARGEST_STEP), LARGEST_STEP)
    starts, steps = np.array([[(axis.start, axis.step) for axis in table.axes[:2]]]).transpose(
        2, 0, 1
    )
    place = tape.op("Gather", tape.constant((atoms.places - starts) / steps), best, axis=0)
    return hold_inside(table, place + move * tape.constant(1 / steps))


def _similarity(tape: Tape, atoms: Atoms, columns: Value, b1: Value | None) -> Value:
    """Inner products `(voxel, atom)` with each atom, moved to the voxel's B1; those of other layers
    are lost.
    """
    if b1 is None:
        return columns @ tape.constant(atoms.rows.T)
    one = b1 * 0.0 + 1.0
    return concat([columns, columns * b1, b1 * b1, b1, one], 1) @ tape.constant(
        atoms.similarity_matrix()
    )
