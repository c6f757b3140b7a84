"""Starting from squared magnitudes, whose noise adds the same to all of them, as nodes of an ONNX
graph.

The root of the sum of squares of several coils holds so much noise that weak samples lose their
shape; the nearest fingerprint is another one. The mean of its square is m0^2 |s|^2 + 2 coils sd^2
for noise of standard deviation sd: the shape over time, less its mean, is that of |s|^2.
"""

from dataclasses import replace

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.exporting.atoms import Atoms
from mrftool.exporting.graph.ops import Value, maximum, row_sum, sqrt
from mrftool.exporting.graph.search import search_rank
from mrftool.manifold.table import SignalTable, evaluate

EXTRA_STEPS = 10  # Gauss-Newton steps: the search ends at an atom, and does not step from it
_TINY = 1e-20
_BATCH = 256  # atoms at a time


def squared_search(table: SignalTable, atoms: Atoms, units: Value) -> tuple[Atoms, Value]:
    """Atoms that `coarse_search` compares with squares, and their columns of `units`
    `(voxel, time)`, magnitudes of norm 1.
    """
    squares = _squares(table, atoms)
    squares -= squares.mean(axis=1, keepdims=True)
    rank = search_rank(table)
    vectors = np.linalg.svd(squares, full_matrices=False)[2][:rank].T
    vectors -= vectors.mean(axis=0)
    rows = squares @ vectors
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
    columns = (units * units) @ units.tape.constant(vectors)
    columns = columns / maximum(sqrt(row_sum(columns * columns)), _TINY)
    return _without_steps(atoms, rows), columns


def _squares(table: SignalTable, atoms: Atoms) -> FloatArray:
    """|s|^2 of each atom over time `(atom, time)`."""
    points = np.concatenate([atoms.places, atoms.given], axis=1)
    parts = []
    for start in range(0, len(points), _BATCH):
        signal = evaluate(table, points[start : start + _BATCH]) @ table.basis.vectors.T
        parts.append(np.square(np.abs(signal)))
    return np.concatenate(parts)


def _without_steps(atoms: Atoms, rows: FloatArray) -> Atoms:
    """Atoms at the same places that are compared by `rows` `(atom, columns)`."""
    n_columns = rows.shape[1]
    return replace(
        atoms,
        rows=rows,
        inverses=np.zeros((*atoms.inverses.shape[:2], n_columns)),
        given_slopes=np.zeros((*atoms.given_slopes.shape[:2], n_columns)),
        drifts=np.zeros_like(atoms.drifts),
    )
