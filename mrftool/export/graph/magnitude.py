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

import numpy as np

from mrftool.arrays import Array
from mrftool.export.graph.ops import Value, maximum, row_sum, sqrt, where
from mrftool.export.graph.outputs import Estimate
from mrftool.export.graph.polish import TINY, held_step, hold_inside, least_information, spread_of
from mrftool.export.graph.reading import Reading
from mrftool.export.graph.spline import Spline
from mrftool.export.thresholds import LEAST_MISFIT, rayleigh_ratio, thresholds
from mrftool.manifold.table import SignalTable

# f^2 - u^2 - 1 as a ratio of polynomials in u^2, fitted to Rice's distribution up to u = 40; f is
# right to 1.4e-4.
RICE_TOP = (np.pi / 2 - 1, 0.03937463, 0.01843151 / 2)
RICE_BOTTOM = (0.45045679, 0.08620228, 0.01843151)
LEAST_SD = 1e-5  # of the noise, relative to the signal's norm
_N_FITTED = 3  # T1, T2 and m0
_LEAST_GROWTH = -0.8  # of m0, in one step


@dataclass(frozen=True)
class Unfolded:
    """Fingerprint s of m0 = 1 over time: |s|^2, and half of its slopes by x and y `(voxel, time)`."""

    power: Value
    by_x: Value
    by_y: Value


@dataclass(frozen=True)
class Normal:
    """Normal equations of (log m0, x, y), for samples weighted to the noise variance; `(voxel, 1)`
    unless said.

    information: of (m, m), (m, x), (m, y), (x, x), (x, y), (y, y), for noise of variance 1.
    gradient: by m, x, y.
    residual: signal less expectation, weighted `(voxel, time)`. misfit: sum of squares of it before
    weighting.
    variances: sum of the variances of all samples, for noise_sd = 1.
    """

    information: tuple[Value, ...]
    gradient: tuple[Value, ...]
    residual: Value
    misfit: Value
    variances: Value

    def reduced(self) -> tuple[Value, Value, Value]:
        """Information xx, xy, yy, with m0 eliminated."""
        mm, mx, my, xx, xy, yy = self.information
        share_x, share_y = mx / maximum(mm, TINY), my / maximum(mm, TINY)
        return xx - mx * share_x, xy - mx * share_y, yy - my * share_y

    def reduced_gradient(self) -> tuple[Value, Value]:
        """Gradient by x and y, with m0 eliminated."""
        mm, mx, my = self.information[:3]
        by_m, by_x, by_y = self.gradient
        share = by_m / maximum(mm, TINY)
        return by_x - mx * share, by_y - my * share

    def least(self, table: SignalTable) -> Value:
        """See `least_information`."""
        return least_information(
            table, self.information[0], self.information[3], self.information[5]
        )


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
    """The estimate after `steps` steps from `start` `(voxel, 2)`.

    probes `(time, probe)`; signal `(voxel, time)`; noise_sd `(1,)`: of the real and of the
    imaginary channel, 0: the residual tells.
    """
    n_time = len(spline.table.basis.vectors)
    y = where(reading.empty | reading.bad, 0.0, signal / sqrt(reading.energy))
    noise = noise_sd.reshape(1, 1)
    known, given = noise > 0.0, maximum(noise / sqrt(reading.energy), LEAST_SD)
    place, model = start, unfold(spline, start)
    size = sqrt(model.power)
    m0 = maximum(row_sum(size * y) / maximum(row_sum(model.power), TINY), TINY)
    misfit = y - size * m0
    sd = where(known, given, sqrt(row_sum(misfit * misfit) / float(n_time - _N_FITTED)))
    here = _normal(y, model, n_time, m0=m0, sd=sd)
    for _ in range(steps):
        growth, move = _step(spline, here)
        place = hold_inside(spline.table, place + move)
        m0 = m0 * (maximum(growth, _LEAST_GROWTH) + 1.0)
        model, sd = unfold(spline, place), where(known, given, _noise_of(here, n_time))
        here = _normal(y, model, n_time, m0=m0, sd=sd)
    sd = where(known, given, _noise_of(here, n_time))
    spread = spread_of(spline.table, here.reduced(), here.least(spline.table), sd * sd)
    bad_fit = judge_magnitude(spline.table, probes, here, y=y, sd=sd, known=known)
    return Estimate(place, spread, m0, sqrt(here.misfit), bad_fit)


def unfold(spline: Spline, place: Value) -> Unfolded:
    """The table's fingerprints at `place` `(voxel, 2)`, over time."""
    vectors, rows, tape = spline.table.basis.vectors, spline.rows(place), place.tape
    n_time = len(vectors)
    if spline.is_real:
        over_time = rows @ tape.constant((vectors * spline.table.basis.turn).real.T)
        parts = [[x.reshape(0, n_time)] for x in over_time.split(1, [1, 1, 1])]
    else:
        over_time = rows @ tape.constant(
            np.block([[vectors.real.T, vectors.imag.T], [-vectors.imag.T, vectors.real.T]])
        )
        both = [x.reshape(0, 2 * n_time) for x in over_time.split(1, [1, 1, 1])]
        parts = [x.split(1, [n_time, n_time]) for x in both]
    return Unfolded(*(_inner(parts[0], x) for x in parts))


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
    m, by_x, by_y = model.power * scale, model.by_x * scale, model.by_y * scale
    pairs = ((m, m), (m, by_x), (m, by_y), (by_x, by_x), (by_x, by_y), (by_y, by_y))
    return Normal(
        information=tuple(row_sum(a * b) for a, b in pairs),
        gradient=tuple(row_sum(a * residual) for a in (m, by_x, by_y)),
        residual=residual,
        misfit=row_sum(plain * plain),
        variances=row_sum(variance),
    )


def _noise_of(here: Normal, n_time: int) -> Value:
    """Standard deviation of the noise that the misfit shows."""
    return maximum(sqrt(here.misfit / here.variances * (n_time / (n_time - _N_FITTED))), LEAST_SD)


def _step(spline: Spline, here: Normal) -> tuple[Value, Value]:
    """Step of log m0 `(voxel, 1)`, and of (x, y) `(voxel, 2)`; see `held_step`."""
    table, (mm, mx, my) = spline.table, here.information[:3]
    move = held_step(table, here.reduced(), here.reduced_gradient(), here.least(table))
    dx, dy = move.split(1, [1, 1])
    return (here.gradient[0] - mx * dx - my * dy) / maximum(mm, TINY), move


def judge_magnitude(
    table: SignalTable, probes: Array, here: Normal, *, y: Value, sd: Value, known: Value
) -> Value:
    """More misfit where magnitudes of fingerprints live than noise leaves there, or nothing but
    noise; see `flags`.

    Pure noise has Rayleigh's distribution: a known ratio of mean and standard deviation, and no
    shape over time.
    """
    n_time = len(table.basis.vectors)
    telling = np.concatenate([table.feature_basis.vectors, probes], axis=1)
    limits = thresholds(n_time, telling.shape[1], _N_FITTED)
    near = here.residual @ y.tape.constant(telling)
    inside = row_sum(near * near)
    total = row_sum(here.residual * here.residual)
    estimated = inside > (total - inside) * (limits.ratio * limits.inside / limits.outside)
    given = (inside > sd * sd * limits.inside_known) | (total > sd * sd * limits.total_known)
    too_large = ((known & given) | (~known & estimated)) & (inside > LEAST_MISFIT**2)
    mean = row_sum(y) * (1 / n_time)
    spread = maximum(1 / n_time - mean * mean, TINY)  # the sum of squares of y is 1
    steady = mean > sqrt(spread) * rayleigh_ratio(n_time)
    shaped = spread * float(n_time) > here.misfit * (1 + limits.detected / (n_time - _N_FITTED))
    strong = sd * sd * limits.noise_energy < 1.0
    return too_large | (known & ~strong) | (~known & ~(steady | shaped))
