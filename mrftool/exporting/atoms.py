"""Atoms: the fingerprints that a coarse search compares, spread evenly over all that a sequence can
give.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, FloatArray
from mrftool.manifold.compression import align
from mrftool.manifold.parameters import draw_points
from mrftool.manifold.table import SignalTable, evaluate_features
from mrftool.manifold.tabulate import TOP_SNR

# Atoms of each layer of given parameters, and Gauss-Newton steps before the polish: what is tried
# until the search is good enough.
_PLANS = ((400, 0), (600, 0), (900, 0), (600, 1), (900, 2), (900, 4))
_PLANS_WITH_LAYERS = ((300, 0), (300, 1), (300, 2), (300, 3), (400, 4), (600, 6))
_CANDIDATES = 4900  # places that atoms are chosen from
# How much a step of 1 in log T1 or log T2 counts, beside the change of a fingerprint of norm 1.
_STEP_WEIGHT = 0.1
_AXIS_LENGTH = 5.0  # of log T1 and log T2, about
_LAYER_PENALTY = 4.0  # cost of the next layer: more than any similarity can make good
_N_TRIALS = 2000
_LARGEST_MISSED_FRACTION = 1e-3  # of the trials that may end elsewhere


@dataclass(frozen=True)
class Atoms:
    """Fingerprints of norm 1 with the reference's phase.

    places: on the axes of the fitted parameters `(atom, fitted)`. rows: the first dimensions of the
    compressed space `(atom, columns)`; where they are complex, real parts, then imaginary parts.
    inverses: `(atom, 1 + fitted, columns)`: of a signal they give its size, and size times its
    distance from the atom along the fitted axes, both to first order.
    given: values of the given parameters `(atom, given)`. given_slopes: derivatives of rows by them
    `(atom, given, columns)`; drifts: what a change of them does to the distances `(atom, given,
    fitted)`. layer_steps: between the layers of each given parameter `(given,)`.
    settle: Gauss-Newton steps that the search should add before the polish.
    """

    places: FloatArray
    rows: FloatArray
    inverses: FloatArray
    given: FloatArray
    given_slopes: FloatArray
    drifts: FloatArray
    layer_steps: FloatArray
    settle: int = 0

    def similarity_matrix(self) -> FloatArray:
        """`(terms, atom)`: of a row c at given values b, with the terms (c, b_j c, b_j b_k, b_j,
        1), gives its product with each atom.

        Atoms are moved to b along their slopes, and what their norm gains by that is taken off.
        Atoms of other layers lose so much that they are never the best.
        """
        slopes, there = self.given_slopes, self.given
        here = self.rows - np.einsum("ag,agc->ac", there, slopes)
        cost = slopes @ slopes.transpose(0, 2, 1) / 2
        cost = cost + np.diag(_LAYER_PENALTY / self.layer_steps**2)
        linear = 2 * np.einsum("agh,ah->ag", cost, there)
        terms = [here, *slopes.transpose(1, 0, 2)]
        for j, k in combinations_with_replacement(range(there.shape[1]), 2):
            times = 2 - (j == k)
            terms.append(-times * cost[:, j, k, None])
        terms += [linear, -np.einsum("ag,ag->a", linear, there)[:, None] / 2]
        return np.asarray(np.concatenate(terms, axis=1).T)

    def search(self, columns: FloatArray, given: FloatArray, longest: FloatArray) -> FloatArray:
        """What `search.coarse_search` does, before its `settle` steps: places `(voxel, fitted)`."""
        values, ones = list(given.T[:, :, None]), np.ones((len(columns), 1))
        products = [one * other for one, other in combinations_with_replacement(values, 2)]
        terms = [columns, *(columns * value for value in values), *products, given, ones]
        best = (np.concatenate(terms, axis=1) @ self.similarity_matrix()).argmax(axis=1)
        size, *move = np.einsum("vkc,vc->kv", self.inverses[best], columns)
        moves = np.stack(move, axis=1) / size[:, None]
        moves -= np.einsum("vg,vgk->vk", given - self.given[best], self.drifts[best])
        return np.asarray(self.places[best] + np.clip(moves, -longest, longest))


def choose_atoms(table: SignalTable, rank: int, steps: int) -> Atoms:
    """As few atoms as bring all but one in a thousand noise-free fingerprints home, with `steps`
    steps of polish.

    rank: dimensions of the compressed space that are compared.
    """
    plans = _PLANS
    if table.given:
        plans = _PLANS_WITH_LAYERS
    values, layer_steps = _layer_values(table)
    largest = max(count for count, _ in plans)
    layers = [_layer(table, rank, given, largest) for given in values]
    for count, settle in plans:
        columns = {}
        for key in layers[0]:
            columns[key] = np.concatenate([layer[key][:count] for layer in layers])
        atoms = Atoms(**columns, layer_steps=layer_steps, settle=settle)
        if _missed(table, atoms, rank, settle + steps) <= _LARGEST_MISSED_FRACTION:
            break
    return atoms


def _layer_values(table: SignalTable) -> tuple[FloatArray, FloatArray]:
    """Given values of each layer `(layer, given)`, and the steps between them `(given,)`."""
    axes, steps = [], []
    for parameter, axis in zip(table.given, table.given_axes, strict=True):
        count = int(np.ceil((axis.stop - axis.start) / parameter.layer_spacing)) + 1
        nodes = np.linspace(axis.start, axis.stop, max(count, 2))
        axes.append(nodes)
        steps.append(nodes[1] - nodes[0])
    if not axes:
        return np.zeros((1, 0)), np.zeros(0)
    mesh = np.meshgrid(*axes, indexing="ij")
    return np.stack([values.ravel() for values in mesh], axis=1), np.array(steps)


def _layer(table: SignalTable, rank: int, given: FloatArray, count: int) -> dict[str, FloatArray]:
    """Columns of `count` atoms, each farthest from those before it."""
    n = table.n_fitted
    size = round(_CANDIDATES ** (1 / n))
    axes = [np.linspace(axis.start, axis.stop, size) for axis in table.fitted_axes]
    places = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)
    places = places[places[:, 1] <= places[:, 0] + axes[1][1] - axes[1][0]]
    rows = _flat(_aligned_rows(table, places, given)[:, :, :rank])
    order = spread(np.concatenate([rows[:, 0], _STEP_WEIGHT * places], axis=1), count)
    places, rows = places[order], rows[order]
    fitted, by_given = rows[:, : 1 + n], rows[:, 1 + n :]
    inverses: FloatArray = np.asarray(np.linalg.pinv(fitted.transpose(0, 2, 1)), np.float64)
    return {
        "places": places,
        "rows": rows[:, 0],
        "inverses": inverses,
        "given": np.tile(given, (len(order), 1)),
        "given_slopes": by_given,
        "drifts": np.einsum("akc,agc->agk", inverses, by_given)[:, :, 1:],
    }


def _missed(table: SignalTable, atoms: Atoms, rank: int, steps: int) -> float:
    """Share of noise-free fingerprints that the search and `steps` Gauss-Newton steps from it do
    not find.
    """
    n = table.n_fitted
    points = draw_points(table.limits, _N_TRIALS, np.random.default_rng(0))
    given = points[:, n:]
    low, high = np.array(table.limits).T[:, :n]
    longest = np.array([parameter.largest_step for parameter in table.parameters[:n]])
    signals = evaluate_features(table, points)[:, 0]
    columns = _flat(align(signals)[:, None, :rank])[:, 0]
    places = atoms.search(columns, given, longest).clip(low, high)
    for _ in range(steps):
        rows = evaluate_features(table, np.concatenate([places, given], axis=1))
        places = (places + _newton_step(rows, signals, longest)).clip(low, high)
    found = evaluate_features(table, np.concatenate([places, given], axis=1))[:, 0]
    gap = np.linalg.norm(align(found) - align(signals), axis=1)
    return float(np.mean(gap > 1 / (TOP_SNR * np.sqrt(len(table.basis.vectors)))))


def _newton_step(rows: Array, signals: Array, longest: FloatArray) -> FloatArray:
    """Gauss-Newton step of the place `(voxel, fitted)`, m0 projected out; see
    `polish.bounded_step`.
    """
    base = rows[:, :1] / np.linalg.norm(rows[:, :1], axis=2, keepdims=True)
    m0 = (rows[:, 0].conj() * signals).sum(axis=1) / np.linalg.norm(rows[:, 0], axis=1) ** 2
    slopes = rows[:, 1:] - base * (base.conj() * rows[:, 1:]).sum(axis=2, keepdims=True)
    slopes = slopes * m0[:, None, None]
    information = (slopes.conj() @ slopes.transpose(0, 2, 1)).real
    gradient = (slopes.conj() * signals[:, None]).sum(axis=2).real
    n = len(longest)
    information = information + 1e-12 * np.eye(n)
    move = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
    move = move.clip(-_AXIS_LENGTH, _AXIS_LENGTH)
    for k in range(n):  # where one was held back, the others go to what is best beside it
        others = (information[:, k] * move).sum(axis=1) - information[:, k, k] * move[:, k]
        move[:, k] = (gradient[:, k] - others) / information[:, k, k]
        move[:, k] = move[:, k].clip(-_AXIS_LENGTH, _AXIS_LENGTH)
    return np.asarray(move.clip(-longest, longest), np.float64)


def _flat(rows: Array) -> FloatArray:
    """Real parts, then imaginary parts, where there are any."""
    if np.iscomplexobj(rows):
        return np.concatenate([rows.real, rows.imag], axis=-1)
    return rows


def _aligned_rows(table: SignalTable, places: FloatArray, given: FloatArray) -> Array:
    """Fingerprints and their derivatives along all axes `(atom, 1 + axes, rank)`; norm and phase
    are held.
    """
    points = np.concatenate([places, np.tile(given, (len(places), 1))], axis=1)
    rows = evaluate_features(table, points, by_given=True)
    first = rows[:, :1, :1]
    rows = rows * (np.conj(first) / abs(first)) / np.linalg.norm(rows[:, :1], axis=2, keepdims=True)
    base = rows[:, :1]
    growth = (base.conj() * rows[:, 1:]).sum(axis=2, keepdims=True).real
    turn = rows[:, 1:, :1].imag / base[:, :, :1].real
    slopes = rows[:, 1:] - base * growth
    if np.iscomplexobj(rows):
        slopes = slopes - 1j * base * turn
    return np.concatenate([base, slopes], axis=1)


def spread(points: FloatArray, count: int) -> NDArray[np.intp]:
    """Indices of `count` of `points` `(point, dimension)` that leave none far from all of them.

    Each next one is the point farthest from those chosen: T. F. Gonzalez, Theor Comput Sci 38:293
    (1985).
    """
    chosen = [int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        away = points - points[chosen[-1]]
        distance = np.minimum(distance, np.einsum("pd,pd->p", away, away))
        chosen.append(int(distance.argmax()))
    return np.array(chosen)
