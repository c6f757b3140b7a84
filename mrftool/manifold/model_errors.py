"""Directions over time in which model errors show: no fingerprint of a table has them, those of
another B1 or inversion efficiency do.

A misfit along them is as telling as one inside the compressed space. Nothing is estimated from
them.
"""

from dataclasses import replace

import numpy as np

from mrftool.arrays import Array
from mrftool.manifold.parameters import draw_points, tissue_at
from mrftool.manifold.table import SignalTable
from mrftool.physics.simulate import simulate
from mrftool.sequence import Invert, PulseSequence

N_PROBES = 6
_B1_ERRORS = (0.7, 0.85, 1.15, 1.3)  # actual / assumed
_EFFICIENCY_ERROR = 0.8  # actual / assumed efficiency
_LEAST_SIZE = 1e-6  # of what is new along a direction, relative to the fingerprints
_VOXELS = 60  # of each model error


def probe_vectors(sequence: PulseSequence, table: SignalTable, *, seed: int = 0) -> Array:
    """Up to N_PROBES vectors `(time, probe)`, orthonormal and orthogonal to `table.feature_basis`.

    Together they hold most of what is new in fingerprints of random tissue with too much or too
    little B1, or an inversion less perfect than the sequence says. Short trains leave fewer
    directions, or none.
    """
    vectors = table.feature_basis.vectors
    deviating = np.concatenate([_signals(sequence, table, b1, seed) for b1 in _B1_ERRORS])
    worse = _with_worse_inversions(sequence)
    if worse is not None:
        deviating = np.concatenate([deviating, _signals(worse, table, 1.0, seed)])
    deviating = deviating / np.linalg.norm(deviating, axis=1, keepdims=True)
    for _ in range(2):
        deviating = deviating - (deviating @ vectors.conj()) @ vectors.T
    _, sizes, directions = np.linalg.svd(deviating, full_matrices=False)
    told = int(
        (sizes > _LEAST_SIZE * np.sqrt(len(deviating))).sum()
    )  # the others are rounding, along any direction
    return np.asarray(directions[: max(min(N_PROBES, told, len(vectors) - table.rank - 1), 0)].T)


def _with_worse_inversions(sequence: PulseSequence) -> PulseSequence | None:
    """The sequence with less efficient inversions; None if it has none."""
    events = list(sequence.events)
    for place, event in enumerate(events):
        if isinstance(event, Invert):
            events[place] = Invert(_EFFICIENCY_ERROR * event.efficiency)
    if not any(isinstance(event, Invert) for event in events):
        return None
    return replace(sequence, events=events)


def _signals(sequence: PulseSequence, table: SignalTable, b1_factor: float, seed: int) -> Array:
    """Fingerprints of random tissue in the table's ranges, in the table's form."""
    points = draw_points(table.limits, _VOXELS, np.random.default_rng(seed))
    tissue = tissue_at(table.parameters, points, table.adc)
    signal = simulate(sequence, replace(tissue, b1=b1_factor * tissue.b1)).signal
    signal = signal.astype(np.complex128)
    if table.form == "magnitude":
        return np.abs(signal)
    return signal
