"""How many orders the tissues of one sequence need, found by trial.

The bound of `truncation` holds for every sequence, and so it allows for magnetisation that stays
transverse on all of its way. RF pulses turn it again and again, so that most trains need half of
the orders. Where a sequence is simulated for many voxels, the engine first plays a grid of T2 and
T1 / T2, each with low and high B1, with more and more orders. It takes the smallest number that
changes the signal by less than MARGIN of the tolerance, and the derivatives by less than
MARGIN_OF_DERIVATIVES, which rounding asks for. Between the nodes, the number is interpolated, and
SPARE is added. Calls with voxels outside the grid, and short calls, get the proven number.
"""

from functools import lru_cache

import numpy as np

from mrftool.arrays import Array, FloatArray, IndexArray
from mrftool.physics import kernel
from mrftool.physics.orders import truncation
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

MARGIN = 0.15  # of the tolerance
MARGIN_OF_DERIVATIVES = 0.4
DERIVATIVES = ("t1", "t2")  # that the trial looks at
LEAST_TOLERANCE = 1e-5  # below, rounding hides what the trial looks for
FEWEST_VOXELS = 1000  # that are worth a trial
SPARE = 1.03
_T2 = np.geomspace(0.004, 3.0, 10)  # [s]
_RATIOS = np.geomspace(1.0, 40.0, 5)  # T1 / T2
_LONGEST_T1 = 10.0  # [s]
_B1 = (0.5, 0.9, 1.5)
_STEP = 1.12  # from one number of orders that is tried to the next


def covers(tissue: Tissue, tolerance: float) -> bool:
    """Whether a trial is worth its time, and its grid covers all voxels.

    tolerance: what the cut may change, relative to the norm of a fingerprint [1].
    """
    if len(tissue) < FEWEST_VOXELS or tolerance < LEAST_TOLERANCE:
        return False
    within = (tissue.t2 <= tissue.t1) & (tissue.t2 <= _T2[-1]) & (tissue.t1 <= _LONGEST_T1)
    within &= (tissue.b1 >= _B1[0]) & (tissue.b1 <= _B1[-1]) & (tissue.off_resonance == 0)
    return bool(within.all())


def n_states(
    sequence: PulseSequence,
    tissue: Tissue,
    *,
    tolerance: float,
    level: FloatArray,
    with_derivative: bool = False,
) -> IndexArray:
    """Number of orders `(voxel,)` of tissue that the grid covers.

    tolerance: what the cut may change, relative to the norm of a fingerprint [1].
    level: root mean square over time of each fingerprint `(voxel,)` [m0].
    with_derivative: T1 and T2 x derivative to T1 and T2 as well.
    """
    proven = truncation.n_states(
        sequence,
        tissue.t1,
        tissue.t2,
        tolerance=tolerance,
        level=level,
        with_derivative=with_derivative,
    )
    has_b1 = bool((tissue.b1 != 1).any())
    needed = _needed(sequence, tolerance, with_derivative, has_b1)
    orders = np.ceil(SPARE * _between(needed, tissue.t2, tissue.t1 / tissue.t2)) + 1
    return np.minimum(orders.astype(np.int64), proven)


def _between(needed: FloatArray, t2: FloatArray, ratio: FloatArray) -> FloatArray:
    """Numbers `(T2, ratio)` at T2 [s] and T1 / T2 `(voxel,)`, linear between their logarithms."""
    row, below = _place(_T2, t2)
    column, left = _place(_RATIOS, ratio)
    logs = np.log(needed)
    lower = logs[row, column] + left * (logs[row, column + 1] - logs[row, column])
    row = row + 1
    upper = logs[row, column] + left * (logs[row, column + 1] - logs[row, column])
    return np.asarray(np.exp(lower + below * (upper - lower)))


def _place(nodes: FloatArray, values: FloatArray) -> tuple[IndexArray, FloatArray]:
    """The node below each value, and how far it is to the next one, in logarithms [1]."""
    places = np.log(values / nodes[0]) / np.log(nodes[1] / nodes[0])
    places = np.clip(places, 0, len(nodes) - 1)
    low = np.minimum(places.astype(np.int64), len(nodes) - 2)
    return low, places - low


@lru_cache(maxsize=32)
def _needed(
    sequence: PulseSequence, tolerance: float, with_derivative: bool, has_b1: bool
) -> FloatArray:
    """Number of orders that each node of the grid needs `(T2, ratio)`."""
    b1 = _B1 if has_b1 else (1.0,)
    ratios, factors = (axis.ravel() for axis in np.meshgrid(_RATIOS, b1, indexing="ij"))
    needed = np.ones((len(_T2), len(_RATIOS)))
    row = needed[0]
    for place, t2 in enumerate(_T2):
        fewest, in_proportion = int(row.min()), row * (_T2[1] / _T2[0])
        row = needed[place]
        t1 = np.minimum(ratios * t2, _LONGEST_T1)
        tissue = Tissue(t1, np.full(len(t1), t2), b1=factors)
        proven = truncation.n_states(
            sequence, t1, tissue.t2, tolerance=tolerance, with_derivative=with_derivative
        )
        trial = _Trial(sequence, tissue, int(proven.max()), tolerance, with_derivative)
        row[:] = trial.smallest(fewest).reshape(len(_RATIOS), -1).max(axis=1)
        # Where all orders are needed, more would be in a longer train: for what lies between.
        is_full = row >= trial.most
        row[is_full] = np.maximum(row, in_proportion)[is_full]
    return needed


class _Trial:
    """Signals of some tissues with all orders that they can need, and with fewer."""

    def __init__(
        self,
        sequence: PulseSequence,
        tissue: Tissue,
        most: int,
        tolerance: float,
        with_derivative: bool,
    ) -> None:
        self.sequence, self.tissue, self.most = sequence, tissue, most
        self.names = DERIVATIVES[: 2 * with_derivative]
        self.exact = self._play(most)
        margins = np.array([MARGIN, *(MARGIN_OF_DERIVATIVES for _ in self.names)])
        norm = np.linalg.norm(self.exact[0], axis=1)
        self.allowed = tolerance * margins[:, None] * norm

    def smallest(self, fewest: int) -> IndexArray:
        """The smallest number of orders, from `fewest` on in steps, that each tissue needs
        `(voxel,)`.
        """
        needed = np.full(len(self.tissue), self.most)
        is_open = np.ones(len(self.tissue), bool)
        orders = fewest
        while orders < self.most and is_open.any():
            error = np.linalg.norm(self._play(orders) - self.exact, axis=2)
            serves = is_open & (error <= self.allowed).all(axis=0)
            needed[serves] = orders
            is_open &= ~serves
            orders = int(np.ceil(_STEP * orders))
        return needed

    def _play(self, orders: int) -> Array:
        """Signal, and T1 and T2 times the derivatives to them `(1 or 3, voxel, time)` [m0]."""
        shape = (1 + len(self.names), len(self.tissue), len(self.sequence))
        result = np.empty(shape, np.complex64)
        slopes = dict(zip(self.names, result[1:], strict=True))
        counts = np.full(len(self.tissue), orders)
        run = kernel.Run(self.sequence, self.tissue, counts, threads=1)
        kernel.run(run, result[0], slopes)
        for name, slope in slopes.items():
            np.multiply(slope, getattr(self.tissue, name)[:, None], out=slope, casting="same_kind")
        return result
