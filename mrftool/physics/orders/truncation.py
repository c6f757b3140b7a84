"""How many orders of the extended phase graph a tissue needs: from a bound that holds for every
sequence.

Keep orders 0 .. K-1, and call the change of an echo that this makes f.

1.  A path through the graph that the cut touches climbs from order 0 to K and comes back to an
    echo. Only transverse magnetisation moves, one order per repetition, so it was transverse during
    2 K repetitions, all different. With T the sum of the 2 K shortest TR of all pulses, f is a sum
    of terms that decay at least as fast as exp(-R2 T).
2.  Let R2 be complex. f and f exp(R2 T) are bounded analytic functions of R2 where Re R2 > 1/tau,
    for any tau; by the maximum principle (Phragmen-Lindelof), |f| at R2 = 1/T2, tau >= T2, is at
    most exp(-T / T2 + T / tau) times the largest |f| on the line Re R2 = 1/tau.
3.  There, take F(k), G(k) = conj(F(-k)) and Z(k) of all k as independent numbers, which makes the
    graph linear, with the norm n^2 = sum (|F|^2 + |G|^2) / 2 + |Z|^2. RF pulses, spoiler,
    precession, inversion and the cut do not increase n, diffusion neither. An interval t takes it
    to at most max(exp(-t/T1), exp(-t/tau)) n + 1 - exp(-t/T1). It begins at 1, and so never exceeds
    max(1, tau / T1). Both signals are at most sqrt(2) n, so |f| <= 2 sqrt(2) n.

Together: |f| <= 2 sqrt(2) max(1, tau / T1) exp(-T / T2 + T / tau), at every echo. We take tau = T1
or tau = T, whichever asks for fewer orders. For the slice profile, the sum of |weights| is one more
factor. The cut changes a fingerprint by less than `tolerance` of its norm if |f| is less than
tolerance times its root mean square.

Derivative to T2: by Cauchy's estimate on a circle of radius 1/T around R2, |T2 df/dT2| <= e (T /
T2) |f|'s bound.

On the way, the native kernel looks again and again whether high orders have become too small to
matter. It then knows their size, which the bound above does not, and so it keeps fewer (`cut` of
native/epg.c; not where derivatives are asked for):

4.  Cut off orders k and above. What is lost is a vector v, |v|^2 = sum (|F(k)|^2 + |F(-k)|^2 + 2
    |Z(k)|^2). Before it is seen it has to come down by k orders, so it is transverse during k
    repetitions, all different: T, the sum of the k shortest TR, at least. Without it nothing
    recovers, so n never exceeds |v| on the line Re R2 = 0, and as in 2 it changes each later echo
    by at most |v| exp(-T / T2). (No sqrt(2): (F e^-ia + G e^ia) / 2 is analytic too and at most n,
    and for real R2 and the right angle a it is |F|.)
5.  If m of the N echoes follow, their root mean square over the whole train is sqrt(m / N) times
    that at most. Each look may spend an equal share of tolerance times the fingerprint's root mean
    square; the changes add up to it. That root mean square is at least that of the echoes so far,
    with zeros for those to come.

Where both cuts are made, each gets half of the tolerance.

Sources: the graph and its shift, M. Weigel, J Magn Reson Imaging 41:266 (2015); the rest is the
derivation above.
"""

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import FloatArray, IndexArray
from mrftool.physics.epg import exact_n_states
from mrftool.physics.rf.excitation import slice_positions
from mrftool.sequence import PulseSequence

TYPICAL_LEVEL = 0.03  # root mean square of a fingerprint [m0] to begin with; `simulate` checks it


def n_states(
    sequence: PulseSequence,
    t1: ArrayLike,
    t2: ArrayLike,
    *,
    tolerance: float,
    level: ArrayLike = TYPICAL_LEVEL,
    with_derivative: bool = False,
) -> IndexArray:
    """Number of orders `(voxel,)` that change the signal by at most `tolerance` times `level`.

    t1, t2: `(voxel,)` [s]. tolerance: [1]. level: root mean square over time of each fingerprint,
    `(voxel,)` or a number [m0]. with_derivative: T2 x derivative to T2 as well.
    """
    t1, t2 = np.asarray(t1, np.float64), np.asarray(t2, np.float64)
    most = exact_n_states(sequence)
    weight = sum(abs(weight) for _, weight in slice_positions(sequence))
    allowed = tolerance * np.asarray(level, np.float64)
    with np.errstate(divide="ignore"):
        log_ratio = np.log(2 * np.sqrt(2) * weight) - np.log(allowed)
    needed = transverse_time(t1, t2, log_ratio, with_derivative=with_derivative)
    of_k = np.cumsum(shortest_tr(sequence, 2 * most))[1::2]  # T of K = 1, 2, ...
    return np.minimum(np.searchsorted(of_k, needed) + 1, most).astype(np.int64)


def shortest_tr(sequence: PulseSequence, n: int) -> FloatArray:
    """The `n` shortest TR of all pulses that are played [s], the shortest first.

    A spoiler of c cycles moves states by c orders: its TR counts c times as TR / c. The first m of
    these add up to the least time in which states can move by m orders.
    """
    tr, cycles = sequence.tr[sequence.played], sequence.cycles[sequence.played]
    return np.sort(np.repeat(tr / np.maximum(cycles, 1), cycles))[:n]


def transverse_time(
    t1: FloatArray, t2: FloatArray, log_ratio: ArrayLike, *, with_derivative: bool = False
) -> FloatArray:
    """Smallest T for which the bound, divided by 2 sqrt(2), is at most exp(-log_ratio).

    Parameters
    ----------
    t1, t2
        `(voxel,)` [s].
    log_ratio
        Logarithm of one over the bound asked for, `(voxel,)` or a number [1].
    with_derivative
        Whether the bound holds for T2 x derivative to T2 as well.

    Returns
    -------
    FloatArray
        T `(voxel,)` [s].
    """
    log_ratio = np.maximum(np.asarray(log_ratio, np.float64), 1.0)
    with np.errstate(divide="ignore"):
        early = log_ratio / np.maximum(1 / t2 - 1 / t1, 0.0)
    late = t2 * (3 * log_ratio + 10)
    # Towards the fixed points from above, so that T is never too short.
    for _ in range(5 + 3 * with_derivative):
        late = t2 * (
            log_ratio
            + 1
            + np.log(np.maximum(late / t1, 1))
            + with_derivative * _log_slope(late, t2)
        )
    if with_derivative:
        start = early
        early = 3 * start
        for _ in range(8):
            early = start * (1 + _log_slope(early, t2) / log_ratio)
    return np.asarray(np.fmin(early, late), np.float64)


def _log_slope(t: FloatArray, t2: FloatArray) -> FloatArray:
    """Logarithm of the factor e T / T2 that the derivative to T2 brings."""
    return np.asarray(1 + np.log(np.where(np.isfinite(t), np.maximum(t / t2, 1), 1)))
