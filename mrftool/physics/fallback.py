"""The readable engine in chunks behind the front door's signature: the fallback where no native
kernel is at hand.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, FloatArray, IndexArray
from mrftool.physics.epg import epg_signal
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_FEW = 8  # different numbers of orders, each of which gets chunks of its own
_STATES_IN_CHUNK = 65536  # voxels x orders in one chunk: its arrays stay in the processor's cache
# Relative step of the central difference: its error is about step^2 = 1e-10, rounding about
# 1e-16 / step.
_STEP = 1e-5


def run(
    sequence: PulseSequence,
    tissue: Tissue,
    n_states: IndexArray,
    signal: Array,
    derivatives: Mapping[str, Array],
    progress: Callable[[int], None] | None,
) -> FloatArray:
    """Fill `signal` and `derivatives` `(voxel, time)`; return sum |signal|^2 / |m0|^2 `(voxel,)`
    [1].

    n_states: orders to keep `(voxel,)`. Where many different numbers are asked for, as the bound of
    `truncation` does, voxels that need a similar number go together, and get the largest of them.
    """
    power = np.empty(len(tissue))
    has_few_numbers = len(np.unique(n_states)) <= _FEW
    order = np.argsort(n_states, kind="stable")
    start = 0
    while start < len(order):
        part = order[start : start + max(1, _STATES_IN_CHUNK // int(n_states[order[start]]))]
        if has_few_numbers:
            part = part[n_states[part] == n_states[part[0]]]
        columns = {key: getattr(tissue, key)[part] for key in Tissue.columns()}
        m0, states = columns.pop("m0"), int(n_states[part].max())
        unit = epg_signal(sequence, **columns, n_states=states)
        power[part] = (np.abs(unit) ** 2).sum(1)
        signal[part] = m0[:, None] * unit
        for name, derivative in derivatives.items():
            derivative[part] = m0[:, None] * _central_difference(sequence, columns, name, states)
        start += len(part)
        if progress is not None:
            progress(len(part))
    return power


def _central_difference(
    sequence: PulseSequence, columns: dict[str, FloatArray], name: str, n_states: int
) -> NDArray[np.complex128]:
    """Derivative of the signal to the column `name`, in double precision."""
    value = columns[name]
    step = _STEP * np.where(value > 0, value, 1.0)
    ahead, behind = value + step, value - step
    difference = epg_signal(sequence, **{**columns, name: ahead}, n_states=n_states) - epg_signal(
        sequence, **{**columns, name: behind}, n_states=n_states
    )
    return np.asarray(difference / (ahead - behind)[:, None], np.complex128)
