"""The temporal basis of a reconstruction: singular vectors of a sequence's fingerprints.

Sources: D. F. McGivney et al., IEEE Trans Med Imaging 33:2311 (2014), doi 10.1109/TMI.2014.2337321;
J. I. Tamir et al., Magn Reson Med 77:180 (2017), doi 10.1002/mrm.26102.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, FloatArray, Range
from mrftool.errors import ArgumentError
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

T1_RANGE: Range = (0.15, 4.5)
T2_RANGE: Range = (0.02, 2.0)
_FINGERPRINTS = 4000
_REAL_ENOUGH = 1e-6
_LEAST_RANK, _LARGEST_RANK = 5, 6  # further vectors cost more noise than they explain signal
_FURTHER, _ROUNDS = 20, 4  # vectors and rounds of the iteration that finds them
_LEFT_OUT = 0.01  # root mean square of the relative error that a basis may leave [1]


@dataclass(frozen=True, eq=False)
class TemporalBasis:
    """Orthonormal temporal vectors.

    vectors: `(time, rank)`: real where all fingerprints are real but for a common phase, else
    complex. left_out: root mean square over fingerprints of the relative error of the projection
    [1].
    """

    vectors: Array
    left_out: float

    @property
    def rank(self) -> int:
        """Number of vectors."""
        return int(self.vectors.shape[1])


def temporal_basis(
    sequence: PulseSequence,
    rank: int | None = None,
    *,
    b1_range: Range | None = None,
    seed: int = 0,
) -> TemporalBasis:
    """Leading singular vectors of unit fingerprints, T1 and T2 log-uniform with T2 <= T1.

    Parameters
    ----------
    rank
        Number of vectors; by default 5, or 6 where 5 leave out more than a hundredth.
    b1_range
        Actual over nominal flip angle that occurs, uniform in it [1]; by default 1.
    seed
        Of the random tissue.

    Raises
    ------
    ArgumentError
        If the rank is out of range.
    """
    if rank is not None and not 3 <= rank <= min(32, len(sequence)):
        raise ArgumentError(
            f"rank {rank}, expected 3 to 32 and no more than the {len(sequence)} repetitions"
        )
    units = _unit_fingerprints(sequence, b1_range, seed)
    values, vectors = _leading(units, rank or _LARGEST_RANK)
    left_out = np.sqrt(np.maximum(1 - np.cumsum(values**2) / len(units), 0))
    chosen = rank or _default_rank(left_out)
    return TemporalBasis(np.ascontiguousarray(vectors[:, :chosen]), float(left_out[chosen - 1]))


def _leading(units: Array, count: int) -> tuple[FloatArray, Array]:
    """The largest singular values and their right vectors `(time, count)`, of which signals are
    linear combinations, by subspace iteration.

    N. Halko et al., SIAM Review 53:217 (2011), algorithm 4.4. The cost grows with the length
    of the train, that of a full decomposition with its square.
    """
    width = min(count + _FURTHER, units.shape[1])
    random = np.random.default_rng(0)
    vectors: Array = random.standard_normal((units.shape[1], width))
    for _ in range(_ROUNDS):
        vectors = np.linalg.qr(units.conj().T @ (units @ vectors))[0]
    values, mixing = np.linalg.svd(units @ vectors, full_matrices=False)[1:]
    return values[:count], vectors.conj() @ mixing[:count].T


def _unit_fingerprints(sequence: PulseSequence, b1_range: Range | None, seed: int) -> Array:
    """Fingerprints of norm 1 `(voxel, time)`, float64 where a common phase makes them real."""
    random = np.random.default_rng(seed)
    low, high = np.log([T1_RANGE, T2_RANGE]).T
    places = random.uniform(low, high, (3 * _FINGERPRINTS, 2))
    places = places[places[:, 1] <= places[:, 0]][:_FINGERPRINTS]
    t1, t2 = np.exp(places.T)
    signal = simulate(sequence, Tissue(t1, t2, b1=_b1(b1_range, len(t1), random))).signal
    units = signal.astype(np.complex128)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    turned = units * np.exp(-0.5j * np.angle((units**2).sum()))
    if abs(turned.imag).max() < _REAL_ENOUGH:
        return np.asarray(turned.real)
    return np.asarray(units)


def _b1(b1_range: Range | None, count: int, random: np.random.Generator) -> FloatArray:
    if b1_range is None:
        return np.ones(count)
    return random.uniform(*b1_range, count)


def _default_rank(left_out: FloatArray) -> int:
    enough = np.flatnonzero(left_out <= _LEFT_OUT) + 1
    first = int(enough[0]) if enough.size else _LARGEST_RANK
    return min(max(first, _LEAST_RANK), _LARGEST_RANK, len(left_out))
