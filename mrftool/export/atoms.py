"""Atoms: the fingerprints that a coarse search compares, spread evenly over all that a sequence can
give.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, FloatArray
from mrftool.manifold.compression import align
from mrftool.manifold.table import SignalTable, evaluate_features
from mrftool.manifold.tabulate import TOP_SNR

# Atoms of each layer of B1, and Gauss-Newton steps before the polish: what is tried until the
# search is good enough.
_PLANS = ((400, 0), (600, 0), (900, 0), (600, 1), (900, 2), (900, 4))
_PLANS_WITH_B1 = ((300, 0), (300, 1), (300, 2), (300, 3), (400, 4), (600, 6))
_LAYER = 0.07  # of B1, about
_CANDIDATES = 70  # of each axis
_STRETCH = 0.1  # how much a step of 1 in log T1 or log T2 counts, beside the change of a fingerprint of norm 1
_LARGEST_STEP = 0.5  # of log T1 and log T2
_FAR = 5.0  # about the length of an axis
_WRONG_LAYER = 4.0  # what the next layer of B1 costs: more than any similarity can make good
_REHEARSALS = 2000
_MISSED = 1e-3  # share of rehearsals that may end elsewhere


@dataclass(frozen=True)
class Atoms:
    """Fingerprints of norm 1 with the reference's phase.

    places: (log T1, log T2) `(atom, 2)`. rows: the first dimensions of the compressed space `(atom,
    columns)`; where they are complex, real parts, then imaginary parts.
    inverses: `(atom, 3, columns)`: of a signal they give its size, and size times its distance from
    the atom in log T1 and log T2, both to first order.
    b1 `(atom,)`, b1_slopes: derivative of rows by B1 `(atom, columns)`; drifts: what a change of B1
    does to the distances `(atom, 2)`. layer_step: between the values of B1. None of these matters
    for tables without B1.
    settle: Gauss-Newton steps that the search should add before the polish.
    """

    places: FloatArray
    rows: FloatArray
    inverses: FloatArray
    b1: FloatArray
    b1_slopes: FloatArray
    drifts: FloatArray
    layer_step: float = 1.0
    settle: int = 0

    def similarity_matrix(self) -> FloatArray:
        """`(2 * columns + 3, atom)`: of a row c at B1 = b, with (c, b c, b^2, b, 1), gives its
        product with each atom.

        Atoms are moved to b along their slopes, and what their norm gains by that is taken off.
        Atoms of other layers lose so much that they are never the best.
        """
        here = self.rows - self.b1[:, None] * self.b1_slopes
        cost = _WRONG_LAYER / self.layer_step**2 + (self.b1_slopes**2).sum(axis=1) / 2
        return np.asarray(
            np.c_[here, self.b1_slopes, -cost, 2 * cost * self.b1, -cost * self.b1**2].T
        )


def choose_atoms(table: SignalTable, rank: int, steps: int) -> Atoms:
    """As few atoms as bring all but one in a thousand noise-free fingerprints home, with `steps`
    steps of polish.

    rank: dimensions of the compressed space that are compared.
    """
    if not table.takes_b1:
        layers, layer_step, plans = [_layer(table, rank, None, max(_PLANS)[0])], 1.0, _PLANS
    else:
        axis, plans = table.axes[2], _PLANS_WITH_B1
        values = np.linspace(
            axis.start, axis.stop, int(np.ceil((axis.stop - axis.start) / _LAYER)) + 1
        )
        layers = [_layer(table, rank, float(b1), max(plans)[0]) for b1 in values]
        layer_step = float(values[1] - values[0])
    atoms = layers[0]
    for count, settle in plans:
        columns = {
            key: np.concatenate([getattr(x, key)[:count] for x in layers]) for key in _COLUMNS
        }
        atoms = Atoms(**columns, layer_step=layer_step, settle=settle)
        if _missed(table, atoms, rank, settle + steps) <= _MISSED:
            break
    return atoms


_COLUMNS = ("places", "rows", "inverses", "b1", "b1_slopes", "drifts")


def _layer(table: SignalTable, rank: int, b1: float | None, count: int) -> Atoms:
    """`count` atoms, each farthest from those before it."""
    axes = [np.linspace(a.start, a.stop, _CANDIDATES) for a in table.axes[:2]]
    places = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)
    places = places[places[:, 1] <= places[:, 0] + axes[1][1] - axes[1][0]]
    rows = _flat(_aligned_rows(table, places, b1)[:, :, :rank])
    order = spread(np.concatenate([rows[:, 0], _STRETCH * places], axis=1), count)
    places, rows, n = places[order], rows[order], len(order)
    inverses: FloatArray = np.asarray(np.linalg.pinv(rows[:, :3].transpose(0, 2, 1)), np.float64)
    if b1 is None:
        return Atoms(
            places, rows[:, 0], inverses, np.zeros(n), np.zeros_like(rows[:, 0]), np.zeros((n, 2))
        )
    drifts = np.einsum("akc,ac->ak", inverses, rows[:, 3])[:, 1:]
    return Atoms(places, rows[:, 0], inverses, np.full(n, b1), rows[:, 3], drifts)


def _missed(table: SignalTable, atoms: Atoms, rank: int, steps: int) -> float:
    """Share of noise-free fingerprints that the search and `steps` Gauss-Newton steps from it do
    not find.
    """
    low, high = np.array([(axis.start, axis.stop) for axis in table.axes]).T
    points = np.random.default_rng(0).uniform(low, high, (_REHEARSALS, len(low)))
    points = points[points[:, 1] <= points[:, 0]]
    b1 = points[:, 2] if table.takes_b1 else None
    t1, t2 = np.exp(points[:, :2]).T
    signals = evaluate_features(table, t1, t2, b1)[:, 0]
    places = _search(atoms, _flat(align(signals)[:, None, :rank])[:, 0], b1).clip(low[:2], high[:2])
    for _ in range(steps):
        t1, t2 = np.exp(places).T
        rows = evaluate_features(table, t1, t2, b1)
        places = (places + _newton_step(rows, signals)).clip(low[:2], high[:2])
    t1, t2 = np.exp(places).T
    gap = np.linalg.norm(align(evaluate_features(table, t1, t2, b1)[:, 0]) - align(signals), axis=1)
    return float(np.mean(gap > 1 / (TOP_SNR * np.sqrt(len(table.basis.vectors)))))


def _search(atoms: Atoms, columns: FloatArray, b1: FloatArray | None) -> FloatArray:
    """What `search.coarse_search` does, before its `settle` steps: (log T1, log T2) `(voxel, 2)`."""
    if b1 is None:
        best = (columns @ atoms.rows.T).argmax(axis=1)
    else:
        known = np.c_[columns, b1[:, None] * columns, b1**2, b1, np.ones(len(b1))]
        best = (known @ atoms.similarity_matrix()).argmax(axis=1)
    size, *move = np.einsum("vkc,vc->kv", atoms.inverses[best], columns)
    moves = np.stack(move, axis=1) / size[:, None]
    moves = moves if b1 is None else moves - atoms.drifts[best] * (b1 - atoms.b1[best])[:, None]
    return np.asarray(atoms.places[best] + np.clip(moves, -_LARGEST_STEP, _LARGEST_STEP))


def _newton_step(rows: Array, signals: Array) -> FloatArray:
    """Gauss-Newton step of (log T1, log T2) `(voxel, 2)`, m0 projected out; see `polish.held_step`."""
    base = rows[:, :1] / np.linalg.norm(rows[:, :1], axis=2, keepdims=True)
    m0 = (rows[:, 0].conj() * signals).sum(axis=1) / np.linalg.norm(rows[:, 0], axis=1) ** 2
    slopes = rows[:, 1:] - base * (base.conj() * rows[:, 1:]).sum(axis=2, keepdims=True)
    slopes = slopes * m0[:, None, None]
    xx, xy, _, yy = (
        (slopes.conj() @ slopes.transpose(0, 2, 1)).real.reshape(-1, 4) + 1e-12 * np.eye(2).ravel()
    ).T
    by_x, by_y = (slopes.conj() * signals[:, None]).sum(axis=2).real.T
    y = np.clip((by_y - xy / xx * by_x) / np.maximum(yy - xy**2 / xx, 1e-12), -_FAR, _FAR)
    x = np.clip((by_x - xy * y) / xx, -_FAR, _FAR)
    return np.stack([x, (by_y - xy * x) / yy], axis=1).clip(-_LARGEST_STEP, _LARGEST_STEP)


def _flat(rows: Array) -> FloatArray:
    """Real parts, then imaginary parts, where there are any."""
    return np.concatenate([rows.real, rows.imag], axis=-1) if np.iscomplexobj(rows) else rows


def _aligned_rows(table: SignalTable, places: FloatArray, b1: float | None) -> Array:
    """Fingerprints and their derivatives by log T1, log T2 [and B1] `(atom, 3 or 4, rank)`; norm
    and phase are held.
    """
    t1, t2 = np.exp(places).T
    rows = evaluate_features(
        table, t1, t2, None if b1 is None else np.full(len(t1), b1), by_b1=b1 is not None
    )
    first = rows[:, :1, :1]
    rows = rows * (np.conj(first) / abs(first)) / np.linalg.norm(rows[:, :1], axis=2, keepdims=True)
    base = rows[:, :1]
    growth = (base.conj() * rows[:, 1:]).sum(axis=2, keepdims=True).real
    turn = rows[:, 1:, :1].imag / base[:, :, :1].real
    slopes = rows[:, 1:] - base * growth
    slopes = slopes - 1j * base * turn if np.iscomplexobj(rows) else slopes
    return np.concatenate([base, slopes], axis=1)


def spread(points: FloatArray, count: int) -> NDArray[np.intp]:
    """Indices of `count` of `points` `(point, dimension)` that leave none far from all of them.

    Each next one is the point farthest from those chosen: T. F. Gonzalez, Theor Comput Sci 38:293
    (1985).
    """
    chosen = [int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(distance.argmax()))
    return np.array(chosen)
