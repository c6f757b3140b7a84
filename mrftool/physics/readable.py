"""The readable engine in chunks behind the front door's signature: the fallback where no native kernel is at hand."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mrftool.physics.epg import epg_signal, exact_n_states
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_STATES_IN_CHUNK = 65536  # voxels x orders in one chunk: its arrays stay in the processor's cache
_STEP = 1e-5  # relative step of the central difference: error about step^2 = 1e-10, rounding about 1e-16 / step


def signal_and_derivatives(
    sequence: PulseSequence,
    tissue: Tissue,
    with_respect_to: tuple[str, ...],
    n_states: int | None,
    progress: Callable[[int], None] | None,
) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Signal `(voxel, time)` and derivatives `(parameter, voxel, time)`; see `simulate.signal_and_derivatives`."""
    signal = np.empty((len(tissue), len(sequence)), np.complex64)
    derivatives = np.empty((len(with_respect_to), *signal.shape), np.complex64)
    size = max(1, _STATES_IN_CHUNK // (n_states or exact_n_states(sequence)))
    for start in range(0, len(tissue), size):
        part = slice(start, start + size)
        columns = {key: getattr(tissue, key)[part] for key in Tissue.columns()}
        signal[part] = epg_signal(sequence, **columns, n_states=n_states)
        for row, name in enumerate(with_respect_to):
            derivatives[row, part] = _central_difference(sequence, columns, name, n_states)
        if progress is not None:
            progress(len(signal[part]))
    return signal, derivatives


def _central_difference(
    sequence: PulseSequence, columns: dict[str, NDArray[np.float64]], name: str, n_states: int | None
) -> NDArray[np.complex128]:
    """Derivative of the signal to the column `name`, in double precision."""
    value = columns[name]
    step = _STEP * np.where(value > 0, value, 1.0)
    ahead, behind = value + step, value - step
    difference = epg_signal(sequence, **{**columns, name: ahead}, n_states=n_states) - epg_signal(
        sequence, **{**columns, name: behind}, n_states=n_states
    )
    return np.asarray(difference / (ahead - behind)[:, None], np.complex128)
