"""Gauss-Newton for magnitudes, whose noise is Rician, as nodes of an ONNX graph.

A magnitude does not compress: it has a kink wherever a sample passes through 0. So the table's
complex fingerprint is unfolded over time, and each sample is compared with its expectation: for a
true magnitude A and noise sd s it is s f(A / s), more than A. Weighting with the variance around it
(quasi-likelihood) gives estimates without the bias that ignoring Rice's distribution has, and
nearly the Cramer-Rao bound. m0 is real and positive here.

Sources: H. Gudbjartsson and S. Patz, Magn Reson Med 34:910 (1995), doi 10.1002/mrm.1910340618 (the
distribution). R. W. M. Wedderburn, Biometrika 61:439 (1974), doi 10.1093/biomet/61.3.439
(quasi-likelihood).
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from mrftool.arrays import Array
from mrftool.export.graph.ops import Value, maximum, row_sum, sqrt, where
from mrftool.export.graph.outputs import Estimate
from mrftool.export.graph.polish import (
    TINY,
    bounded_step,
    hold_inside,
    least_information,
    standard_deviations,
)
from mrftool.export.graph.reading import Reading
from mrftool.export.graph.spline import Spline
from mrftool.export.graph.symmetric import Symmetric, columns_of
from mrftool.export.thresholds import LEAST_MISFIT, thresholds
from mrftool.inference.foreground import rayleigh_ratio
from mrftool.manifold.table import SignalTable

# f^2 - u^2 - 1 as a ratio of polynomials in u^2, fitted to Rice's distribution up to u = 40; f is
# right to 1.4e-4.
RICE_TOP = (np.pi / 2 - 1, 0.03937463, 0.01843151 / 2)
RICE_BOTTOM = (0.45045679, 0.08620228, 0.01843151)
LEAST_SD = 1e-5  # of the noise, relative to the signal's norm
_LEAST_GROWTH = -0.8  # of m0, in one step


@dataclass(frozen=True)
class Unfolded:
    """Fingerprint s of m0 = 1 over time: |s|^2, and half of its slopes along the fitted axes, all
    `(voxel, time)`.
    """

    power: Value
    slopes: list[Value]


@dataclass(frozen=True)
class Normal:
    """Normal equations of log m0 and the place, for samples weighted to the noise variance;
    `(voxel, 1)` unless said.

    information: of log m0 (row 0) and the place, for noise of variance 1. gradient: by the same.
    residual: signal less expectation, weighted `(voxel, time)`. misfit: sum of squares of it before
    weighting.
    variances: sum of the variances of all samples, for noise_sd = 1.
    """

    information: Symmetric
    gradient: list[Value]
    residual: Value
    misfit: Value
    variances: Value

    def reduced(self) -> tuple[Symmetric, list[Value]]:
        """Information and gradient of the place, with m0 eliminated."""
        ratios = self.information.ratios(0, maximum(self.information[0, 0], TINY))
        left = self.information.without(0, ratios)
        place = {(j - 1, k - 1): value for (j, k), value in left.elements.items()}
        gradient = [self.gradient[k] - self.gradient[0] * ratio for k, ratio in ratios.items()]
        return Symmetric(place), gradient

    def least(self, table: SignalTable) -> Value:
        """See `least_information`."""
        size, *raw = self.information.diagonal
        return least_information(table, size, raw)


def estimate_magnitude(
    spline: Spline,
    probes: Array,
    reading: Reading,
    *,
    signal: Value,
    start: Value,
    noise_sd: Value,
    steps: int,
) -> Estimate:
    """The estimate after `steps` steps from `start` `(voxel, fitted)`.

    Parameters
    ----------
    spline
        The table as nodes of the graph.
    probes
        Vectors beside the basis `(time, probe)`.
    reading
        What the graph read of each voxel.
    signal
        Magnitudes `(voxel, time)`.
    start
        Coordinates on the axes of the fitted parameters `(voxel, fitted)`.
    noise_sd
        Of the real and of the imaginary channel `(1,)` [the signal's unit]; 0: it is estimated from
        the residual of each voxel.
    steps
        Number of steps.
    """
    n_time = len(spline.table.basis.vectors)
    y = where(reading.empty | reading.bad, 0.0, signal / sqrt(reading.energy))
    noise = noise_sd.reshape(1, 1)
    known, given = noise > 0.0, maximum(noise / sqrt(reading.energy), LEAST_SD)
    place, model = start, unfold(spline, start)
    size = sqrt(model.power)
    m0 = maximum(row_sum(size * y) / maximum(row_sum(model.power), TINY), TINY)
    misfit = y - size * m0
    sd = where(
        known, given, sqrt(row_sum(misfit * misfit) / float(n_time - _n_unknowns(spline.table)))
    )
    here = _normal(y, model, n_time, m0=m0, sd=sd)
    for _ in range(steps):
        growth, move = _step(spline, here)
        place = hold_inside(spline.table, place + move)
        m0 = m0 * (maximum(growth, _LEAST_GROWTH) + 1.0)
        model, sd = unfold(spline, place), where(known, given, _noise_of(here, n_time))
        here = _normal(y, model, n_time, m0=m0, sd=sd)
    sd = where(known, given, _noise_of(here, n_time))
    information, _ = here.reduced()
    spread = standard_deviations(spline.table, information, here.least(spline.table), sd * sd)
    bad_fit = misfit_of_magnitudes(spline.table, probes, here, y=y, sd=sd, known=known)
    return Estimate(place, spread, m0, sqrt(here.misfit), bad_fit)


def unfold(spline: Spline, place: Value) -> Unfolded:
    """The table's fingerprints at `place` `(voxel, fitted)`, over time."""
    vectors, rows, tape = spline.table.basis.vectors, spline.rows(place), place.tape
    n_time, each = len(vectors), [1] * (1 + spline.table.n_fitted)
    if spline.is_real:
        over_time = rows @ tape.constant((vectors * spline.table.basis.phase_factor).real.T)
        parts = [[x.reshape(0, n_time)] for x in over_time.split(1, each)]
    else:
        over_time = rows @ tape.constant(
            np.block([[vectors.real.T, vectors.imag.T], [-vectors.imag.T, vectors.real.T]])
        )
        both = [x.reshape(0, 2 * n_time) for x in over_time.split(1, each)]
        parts = [x.split(1, [n_time, n_time]) for x in both]
    power, *slopes = [_inner(parts[0], x) for x in parts]
    return Unfolded(power, slopes)


def _inner(a: list[Value], b: list[Value]) -> Value:
    """Re conj(a) b, of real and imaginary parts, or of real parts alone."""
    first, *rest = (x * y for x, y in zip(a, b, strict=True))
    return first + rest[0] if rest else first


def rice(q: Value) -> tuple[Value, Value, Value]:
    """For a true magnitude u = sqrt(q) and noise of sd 1: expectation f, (df/du) / u, and variance
    of a magnitude.
    """
    (p0, p1, p2), (b1, b2, b3) = RICE_TOP, RICE_BOTTOM
    bottom = ((q * b3 + b2) * q + b1) * q + 1.0
    excess = ((q * p2 + p1) * q + p0) / bottom
    slope = ((q * (2 * p2) + p1) - excess * ((q * (3 * b3) + 2 * b2) * q + b1)) / bottom
    mean = sqrt(q + 1.0 + excess)
    return mean, (slope + 1.0) / mean, 1.0 - excess


def _normal(y: Value, model: Unfolded, n_time: int, *, m0: Value, sd: Value) -> Normal:
    ratio = (m0 / sd) * (m0 / sd)
    mean, slope, variance = rice(model.power * ratio)
    plain, weight = y - mean * sd, 1.0 / sqrt(variance)
    residual, scale = plain * weight, slope * weight * (ratio * sd)
    changes = [x * scale for x in (model.power, *model.slopes)]
    information = {}
    for j, k in combinations_with_replacement(range(len(changes)), 2):
        information[j, k] = row_sum(changes[j] * changes[k])
    return Normal(
        information=Symmetric(information),
        gradient=[row_sum(x * residual) for x in changes],
        residual=residual,
        misfit=row_sum(plain * plain),
        variances=row_sum(variance),
    )


def _n_unknowns(table: SignalTable) -> int:
    """The fitted parameters and m0."""
    return table.n_fitted + 1


def _noise_of(here: Normal, n_time: int) -> Value:
    """Standard deviation of the noise that the misfit shows."""
    factor = n_time / (n_time - len(here.gradient))
    return maximum(sqrt(here.misfit / here.variances * factor), LEAST_SD)


def _step(spline: Spline, here: Normal) -> tuple[Value, Value]:
    """Step of log m0 `(voxel, 1)`, and of the place `(voxel, fitted)`; see `bounded_step`."""
    table = spline.table
    information, gradient = here.reduced()
    move = bounded_step(table, information, gradient, here.least(table))
    growth = here.gradient[0]
    for k, part in enumerate(columns_of(move, information)):
        growth = growth - here.information[0, 1 + k] * part
    return growth / maximum(here.information[0, 0], TINY), move


def misfit_of_magnitudes(
    table: SignalTable, probes: Array, here: Normal, *, y: Value, sd: Value, known: Value
) -> Value:
    """More misfit where magnitudes of fingerprints live than noise leaves there, or nothing but
    noise; see `flags`.

    Pure noise has Rayleigh's distribution: a known ratio of mean and standard deviation, and no
    shape over time.
    """
    n_time = len(table.basis.vectors)
    telling = np.concatenate([table.feature_basis.vectors, probes], axis=1)
    n_unknowns = _n_unknowns(table)
    limits = thresholds(n_time, telling.shape[1], n_unknowns)
    near = here.residual @ y.tape.constant(telling)
    inside = row_sum(near * near)
    total = row_sum(here.residual * here.residual)
    estimated = inside > (total - inside) * (limits.ratio * limits.inside / limits.outside)
    given = (inside > sd * sd * limits.inside_known) | (total > sd * sd * limits.total_known)
    too_large = ((known & given) | (~known & estimated)) & (inside > LEAST_MISFIT**2)
    mean = row_sum(y) * (1 / n_time)
    spread = maximum(1 / n_time - mean * mean, TINY)  # the sum of squares of y is 1
    steady = mean > sqrt(spread) * rayleigh_ratio(n_time)
    shaped = spread * float(n_time) > here.misfit * (1 + limits.detected / (n_time - n_unknowns))
    strong = sd * sd * limits.noise_energy < 1.0
    return too_large | (known & ~strong) | (~known & ~(steady | shaped))
