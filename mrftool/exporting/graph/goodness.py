"""How well a complex voxel is explained: its noise, its error bars, and whether the misfit is more
than noise.
"""

import numpy as np

from mrftool.exporting.graph.ops import Value, concat, maximum, minimum, row_sum, sqrt, where
from mrftool.exporting.graph.outputs import Estimate
from mrftool.exporting.graph.polish import TINY, Fit, standard_deviations
from mrftool.exporting.graph.reading import Reading
from mrftool.exporting.thresholds import Thresholds, thresholds
from mrftool.manifold.table import SignalTable

_PARTS_OF_M0 = 2
_LEAST_ENERGY = 1e-7  # relative energies below this are rounding


def assess_fit(
    table: SignalTable,
    n_probes: int,
    reading: Reading,
    *,
    place: Value,
    found: Fit,
    noise_sd: Value,
) -> Estimate:
    """The estimate at `place` `(voxel, fitted)`, where the polish ended with the fit `found`.

    Parameters
    ----------
    table
        Of the model.
    n_probes
        Number of probe vectors.
    reading
        What the graph read of each voxel.
    place
        Coordinates on the axes of the fitted parameters `(voxel, fitted)`.
    found
        The fit at that place.
    noise_sd
        Of each channel `(1,)` [the signal's unit]; 0: it is estimated from the residual of each
        voxel.
    """
    explained = minimum(found.explained, 1.0)
    misfit = maximum(1.0 - explained, _LEAST_ENERGY)
    noise = noise_sd.reshape(1, 1)
    known = noise > 0.0
    n_values, n_unknowns = 2 * len(table.basis.vectors), table.n_fitted + _PARTS_OF_M0
    variance = where(known, noise * noise / reading.energy, misfit / float(n_values - n_unknowns))
    limits = thresholds(n_values, 2 * (table.rank + n_probes), n_unknowns)
    bad_fit = _bad_fit(table, limits, reading, explained=explained, variance=variance, known=known)
    re, im = found.m0
    relative = variance / maximum(re * re + im * im, TINY)
    spread = standard_deviations(table, found.information(), found.least(table), relative)
    return Estimate(place, spread, concat([re, im], 1), sqrt(misfit), bad_fit)


def _bad_fit(
    table: SignalTable,
    limits: Thresholds,
    reading: Reading,
    *,
    explained: Value,
    variance: Value,
    known: Value,
) -> Value:
    """More misfit where fingerprints live than noise leaves there, or nothing but noise; see
    `flags`.
    """
    compressed = row_sum(reading.coefficients * reading.coefficients)
    left_out = float(
        np.square(table.basis.truncation)
    )  # what the basis leaves out of a good fingerprint, at most
    inside = compressed - explained + reading.probed - left_out
    rest = maximum(1.0 - compressed - reading.probed, _LEAST_ENERGY)
    estimated = inside > rest * (limits.ratio * limits.inside / limits.outside)
    given = (inside > variance * limits.inside_known) | (
        1.0 - explained - left_out > variance * limits.total_known
    )
    return (known & given) | (~known & estimated) | (explained < variance * limits.detected)
