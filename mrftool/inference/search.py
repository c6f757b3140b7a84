"""Coarse search: the best of a few hundred fingerprints of the table, as nodes of an ONNX graph."""

import numpy as np
from numpy.typing import NDArray

from mrftool.inference.ops import Tape, Value
from mrftool.physics.table import SignalTable, evaluate

ATOM_STEP = 0.2  # of log T1 and log T2 between fingerprints of the search


def coarse_search(tape: Tape, table: SignalTable, data: Value, b1: Value | None) -> Value:
    """(log T1, log T2) `(voxel, 2)` of the fingerprint that explains most of `data` `(voxel, 2, columns)`.

    With a B1 axis, only the fingerprints of the node nearest to each voxel's `b1` `(voxel, 1)` count.
    """
    places = atom_places(table)
    b1_nodes = table.axes[2].nodes if table.takes_b1 else np.array([np.nan])
    atoms = np.concatenate([_atoms(table, places, node) for node in b1_nodes])
    energy = (data @ tape.constant(atoms.T)).sum_square(1, keepdims=False)
    if b1 is not None:
        energy = _only_nearest(tape, table, energy, b1, len(places))
    best = tape.op("ArgMax", energy, axis=1, keepdims=0)
    return tape.op("Gather", tape.constant(np.tile(places, (len(b1_nodes), 1))), best, axis=0)


def atom_places(table: SignalTable) -> NDArray[np.float64]:
    """Places `(atom, 2)` of (log T1, log T2) over the table, T2 <= T1."""
    axes = [np.linspace(a.start, a.stop, int(np.ceil((a.stop - a.start) / ATOM_STEP)) + 1) for a in table.axes[:2]]
    places = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)
    return places[places[:, 1] <= places[:, 0] + ATOM_STEP / 2]


def _atoms(table: SignalTable, places: NDArray[np.float64], b1: float) -> NDArray[np.float64]:
    """Fingerprints of norm 1 `(atom, columns of the table)`."""
    b1_column = np.full(len(places), b1) if table.takes_b1 else None
    found = evaluate(table, np.exp(places[:, 0]), np.exp(places[:, 1]), b1_column)
    flat = found if table.basis.is_real else np.concatenate([found.real, found.imag], axis=1)
    return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True))


def _only_nearest(tape: Tape, table: SignalTable, energy: Value, b1: Value, n_places: int) -> Value:
    """`energy` `(voxel, node * place)`, -1 for the nodes that are not nearest to `b1`."""
    axis = table.axes[2]
    distance = tape.op("Abs", (b1 - axis.start) * (1 / axis.step) - tape.constant(np.arange(axis.size)[None]))
    nearest = tape.op("ArgMin", distance, axis=1, keepdims=1)
    of_atom = tape.constant(np.repeat(np.arange(axis.size), n_places)[None], np.int64)
    return tape.op("Where", tape.op("Equal", of_atom, nearest), energy, -1.0)
