"""The graph in double precision with the kernel's cuts on the way: points 4 and 5 of
`mrftool.physics.orders.truncation`.
"""

import numpy as np
from numpy.typing import NDArray

from mrftool.physics import epg
from mrftool.sequence import PulseSequence

EVERY, BY = 16, 4  # CUT_EVERY and CUT_BY of native/epg.c


def cut_signal(
    sequence: PulseSequence, t1: float, t2: float, tolerance: float, level: float
) -> tuple[NDArray[np.complex128], list[int]]:
    """Signal `(time,)` of one tissue, m0 = 1, of a train played once; and the number of orders
    after each look.
    """
    none = np.zeros(1)
    voxel = epg._Voxels(np, np.array([t1]), np.array([t2]), none, none, none)
    n, highest = len(sequence), epg.exact_n_states(sequence)
    orders = np.arange(highest + 1.0)
    descent = np.exp(-np.cumsum([0, *np.sort(sequence.tr)])[: highest + 1] / t2)
    share = tolerance / np.ceil(n / EVERY)
    states = epg.equilibrium(voxel, orders)
    if sequence.train.inversion:
        states = epg.crush(states, -sequence.train.inversion.efficiency)
        states = epg.relax(states, voxel, orders, sequence.train.inversion.time, None)
    signal, live, seen = np.zeros(n, complex), 1, []
    for pulse in range(n):
        flip = sequence.flip_angle[pulse : pulse + 1]
        states = epg.rotate(np, states, flip, sequence.rf_phase[pulse])
        states = epg.relax(states, voxel, orders, sequence.te[pulse], None)
        signal[pulse] = states[0][0, 0] * np.exp(-1j * sequence.rf_phase[pulse])
        states = epg.relax(states, voxel, orders, sequence.tr[pulse] - sequence.te[pulse], None)
        states = epg.shift(np, states)
        live, left = min(live + 1, highest), n - pulse - 1
        if (pulse + 1) % EVERY == 0 and left:
            power = max(level**2, (np.abs(signal) ** 2).mean())
            limit = share * np.sqrt(power * n / left)
            live = min(live, left)
            f_plus, f_minus, z = (np.abs(x[0]) ** 2 for x in states)
            size = f_plus + f_minus + 2 * z
            top = live
            while live > BY and np.sqrt(size[live - BY : top].sum()) * descent[live - BY] <= limit:
                live -= BY
            states = tuple(np.where(orders < live, x, 0) for x in states)
            seen.append(live)
    return signal, seen
