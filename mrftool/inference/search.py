"""Coarse search: the most similar of a few hundred fingerprints of the table, as nodes of an ONNX graph.

It starts the polish, so a small part of the compressed space is enough: its first dimensions, phases aligned. One step
from there, linear in the signal, is a matrix that is known beforehand.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrftool.inference.ops import Tape, Value, concat, maximum, minimum
from mrftool.inference.polish import hold_inside
from mrftool.physics.table import SignalTable, evaluate_derivatives

N_ATOMS = 400
_MOST_STRETCHED = 16.0
_SEARCH_RANK = 10
_LEAST_SIZE = 0.1  # of a signal along the best atom: noise may have none

Floats = NDArray[np.float64]


def coarse_search(tape: Tape, table: SignalTable, aligned: Value, b1: Value | None) -> Value:
    """Place `(voxel, 2)` in the table's grid: one Gauss-Newton step from the fingerprint that is most similar.

    aligned: `compression.align` of its coefficients, `(voxel, 2 * rank)`, real parts then imaginary parts.
    With a B1 axis, only the fingerprints of the node nearest to each voxel's `b1` `(voxel, 1)` count.
    """
    rank, grid = min(_SEARCH_RANK, table.rank), atom_grid(table)
    columns = aligned.cut(1, 0, rank)
    if not table.basis.is_real:
        columns = concat([columns, aligned.cut(1, table.rank, table.rank + rank)], 1)
    atoms = [_atoms(table, grid, node, rank) for node in (table.axes[2].nodes if table.takes_b1 else [np.nan])]
    similarity = columns @ tape.constant(np.concatenate([found for found, _ in atoms]).T)
    if b1 is not None:
        similarity = _only_nearest(tape, table, similarity, b1, len(grid.places))
    best = tape.op("ArgMax", similarity, axis=1, keepdims=0)
    place = tape.op("Gather", tape.constant(np.tile(_in_grid(table, grid.places), (len(atoms), 1))), best, axis=0)
    refine = tape.op("Gather", tape.constant(np.concatenate([inverse for _, inverse in atoms])), best, axis=0)
    n_columns = rank if table.basis.is_real else 2 * rank
    size, move = (refine * columns.reshape(0, 1, n_columns)).sum(2, keepdims=False).split(1, [1, 2])
    move = move / maximum(size, _LEAST_SIZE)
    move = minimum(maximum(move, -1.0), 1.0) * tape.constant(grid.steps / _table_steps(table))
    return hold_inside(table, place + move)


@dataclass(frozen=True)
class AtomGrid:
    """The fingerprints that are compared. places: (log T1, log T2) `(atom, 2)`, T2 <= T1. steps: between them `(2,)`."""

    places: Floats
    steps: Floats


def atom_grid(table: SignalTable) -> AtomGrid:
    """About N_ATOMS places all over the table; their fingerprints are as far apart along T1 as along T2."""
    reach = np.array([axis.stop - axis.start for axis in table.axes[:2]])
    area = reach.prod() * _tissue_share(table)
    ratio = np.sqrt(np.clip(_sensitivity_ratio(table), 1 / _MOST_STRETCHED, _MOST_STRETCHED))
    wanted = np.sqrt(area / N_ATOMS) * np.array([1 / ratio, ratio])
    counts = np.maximum(np.ceil(reach / wanted).astype(int), 2) + 1
    axes = [np.linspace(a.start, a.stop, n) for a, n in zip(table.axes[:2], counts, strict=True)]
    places = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)
    steps = reach / (counts - 1)
    return AtomGrid(places[places[:, 1] <= places[:, 0] + steps[1] / 2], steps)


def _tissue_share(table: SignalTable) -> float:
    """Share of the table with T2 <= T1."""
    x, y = np.meshgrid(*(np.linspace(a.start, a.stop, 100) for a in table.axes[:2]), indexing="ij")
    return float(np.mean(y <= x))


def _sensitivity_ratio(table: SignalTable) -> float:
    """How much more a fingerprint of norm 1 changes with log T1 than with log T2, typically."""
    x, y = np.meshgrid(*(np.linspace(a.start, a.stop, 20) for a in table.axes[:2]), indexing="ij")
    t1, t2 = np.exp(x[y <= x]), np.exp(y[y <= x])
    b1 = np.full(len(t1), np.mean(table.axes[2].nodes)) if table.takes_b1 else None
    rows = evaluate_derivatives(table, t1, t2, b1)
    rows = rows / np.linalg.norm(rows[:, :1], axis=2, keepdims=True)
    slopes = rows[:, 1:] - rows[:, :1] * (rows[:, :1].conj() * rows[:, 1:]).sum(axis=2, keepdims=True)
    typical = np.median(np.linalg.norm(slopes, axis=2), axis=0)
    return float(typical[0] / typical[1])


def _atoms(table: SignalTable, grid: AtomGrid, b1: float, rank: int) -> tuple[Floats, Floats]:
    """Aligned fingerprints `(atom, columns)`, and the pseudo-inverses `(atom, 3, columns)` of them and their slopes.

    A pseudo-inverse gives a signal's size, and size times how far it lies from the atom, in steps between atoms.
    """
    b1_column = np.full(len(grid.places), b1) if table.takes_b1 else None
    t1, t2 = np.exp(grid.places).T
    rows = evaluate_derivatives(table, t1, t2, b1_column)
    turn = np.exp(-1j * np.angle(rows[:, :1, :1])) if np.iscomplexobj(rows) else np.sign(rows[:, :1, :1])
    rows = rows * turn / np.linalg.norm(rows[:, :1], axis=2, keepdims=True)
    if np.iscomplexobj(rows):
        phase = rows[:, :1, :1].real
        rows = rows - 1j * rows[:, :1] * (rows[:, :, :1].imag / phase)
        rows = np.concatenate([rows[..., :rank].real, rows[..., :rank].imag], axis=2)
    rows = rows[..., :rank] if table.basis.is_real else rows
    return rows[:, 0], np.linalg.pinv((rows * [[1.0], *grid.steps[:, None]]).transpose(0, 2, 1))


def _in_grid(table: SignalTable, places: Floats) -> Floats:
    return np.asarray((places - [axis.start for axis in table.axes[:2]]) / _table_steps(table))


def _table_steps(table: SignalTable) -> Floats:
    return np.array([[axis.step for axis in table.axes[:2]]])


def _only_nearest(tape: Tape, table: SignalTable, similarity: Value, b1: Value, n_places: int) -> Value:
    """`similarity` `(voxel, node * place)`, -2 for the nodes that are not nearest to `b1`."""
    axis = table.axes[2]
    distance = tape.op("Abs", (b1 - axis.start) * (1 / axis.step) - tape.constant(np.arange(axis.size)[None]))
    nearest = tape.op("ArgMin", distance, axis=1, keepdims=1)
    of_atom = tape.constant(np.repeat(np.arange(axis.size), n_places)[None], np.int64)
    return tape.op("Where", tape.op("Equal", of_atom, nearest), similarity, -2.0)
