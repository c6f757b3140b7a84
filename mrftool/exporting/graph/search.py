"""Coarse search: the most similar of a few hundred fingerprints of the table, as nodes of an ONNX
graph.

It starts the polish, so a small part of the compressed space is enough: its first dimensions,
phases aligned. One Gauss-Newton step from each of these atoms is a matrix that is known beforehand,
and comes with them.
"""

from itertools import combinations_with_replacement

import numpy as np

from mrftool.exporting.atoms import Atoms
from mrftool.exporting.graph.ops import Tape, Value, concat, maximum, minimum, row_sum
from mrftool.exporting.graph.polish import hold_inside
from mrftool.manifold.table import SignalTable

_RANK = 12  # dimensions of the compressed space that are compared
_LEAST_SIZE = 0.1  # of a signal along the best atom: noise may have none


def search_rank(table: SignalTable) -> int:
    """Dimensions of the compressed space that are compared."""
    return min(_RANK, table.rank)


def coarse_search(
    tape: Tape, table: SignalTable, atoms: Atoms, aligned: Value, given: Value | None
) -> Value:
    """Place `(voxel, fitted)` in the table's grid: one Gauss-Newton step from the fingerprint that
    is most similar.

    aligned: `compression.align` of its coefficients, `(voxel, 2 * rank)`, real parts then imaginary
    parts. given `(voxel, given)`: compared are fingerprints of the nearest layer, moved to the
    voxel's values along their slopes.
    """
    rank, n = search_rank(table), table.n_fitted
    columns = aligned.cut(1, 0, rank)
    if table.form == "complex" and not table.is_real:
        columns = concat([columns, aligned.cut(1, table.rank, table.rank + rank)], 1)
    similarity = _similarity(tape, atoms, columns, given)
    best = tape.op("ArgMax", similarity, axis=1, keepdims=0)
    inverses = tape.op("Gather", tape.constant(atoms.inverses), best, axis=0)
    n_columns = atoms.rows.shape[1]
    distances = row_sum(inverses * columns.reshape(0, 1, n_columns)).reshape(0, 1 + n)
    size, move = distances.split(1, [1, n])
    move = move / maximum(size, _LEAST_SIZE)
    if given is not None:
        move = move - _drift(tape, atoms, best, given)
    longest = tape.constant([[p.largest_step for p in table.parameters[:n]]])
    move = minimum(maximum(move, -longest), longest)
    starts = np.array([axis.start for axis in table.fitted_axes])
    steps = np.array([axis.step for axis in table.fitted_axes])
    place = tape.op("Gather", tape.constant((atoms.places - starts) / steps), best, axis=0)
    return hold_inside(table, place + move * tape.constant([1 / steps]))


def _similarity(tape: Tape, atoms: Atoms, columns: Value, given: Value | None) -> Value:
    """Inner products `(voxel, atom)` with each atom, moved to the voxel's given values; those of
    other layers are lost.
    """
    if given is None:
        return columns @ tape.constant(atoms.rows.T)
    values = given.split(1, [1] * atoms.given.shape[1])
    terms = [columns]
    terms += [columns * value for value in values]
    terms += [one * other for one, other in combinations_with_replacement(values, 2)]
    terms += [*values, values[0] * 0.0 + 1.0]
    return concat(terms, 1) @ tape.constant(atoms.similarity_matrix())


def _drift(tape: Tape, atoms: Atoms, best: Value, given: Value) -> Value:
    """What the distance of the given values from the best atom's does to the place
    `(voxel, fitted)`.
    """
    n_atoms, n_given, n_fitted = atoms.drifts.shape
    known = np.concatenate([atoms.drifts.reshape(n_atoms, -1), atoms.given], axis=1)
    parts = tape.op("Gather", tape.constant(known), best, axis=0)
    *by_given, there = parts.split(1, [n_fitted] * n_given + [n_given])
    distance = (given - there).split(1, [1] * n_given)
    drift = by_given[0] * distance[0]
    for k in range(1, n_given):
        drift = drift + by_given[k] * distance[k]
    return drift
