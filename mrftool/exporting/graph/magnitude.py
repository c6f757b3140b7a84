"""Gauss-Newton for magnitudes, whose noise is Rician or, of several coils, non-central chi, as
nodes of an ONNX graph.

A magnitude does not compress: it has a kink wherever a sample passes through 0. So the table's
complex fingerprint is unfolded over time, and each sample is compared with its expectation: for a
true magnitude A and noise sd s it is s f(A / s), more than A; see `physics.noise`.
Weighting with the variance around it (quasi-likelihood) gives estimates without the bias that
ignoring the distribution has, and nearly the Cramer-Rao bound. m0 is real and positive here.

Of several coils the noise adds much to every weak sample, so that its standard deviation is one
more unknown of the fit: the error bars hold what it costs.

Sources: H. Gudbjartsson and S. Patz, Magn Reson Med 34:910 (1995), doi 10.1002/mrm.1910340618 (the
distribution). R. W. M. Wedderburn, Biometrika 61:439 (1974), doi 10.1093/biomet/61.3.439
(quasi-likelihood).
"""

from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np

from mrftool.arrays import Array
from mrftool.exporting.graph.ops import Value, maximum, minimum, row_sum, sqrt, where
from mrftool.exporting.graph.outputs import Estimate
from mrftool.exporting.graph.polish import (
    TINY,
    bounded_step,
    hold_inside,
    least_information,
    standard_deviations,
)
from mrftool.exporting.graph.reading import Reading
from mrftool.exporting.graph.spline import Spline
from mrftool.exporting.graph.symmetric import Symmetric, columns_of
from mrftool.exporting.thresholds import LEAST_MISFIT, thresholds
from mrftool.inference.foreground import noise_ratio_limit
from mrftool.manifold.table import SignalTable
from mrftool.physics.noise import excess_formula

LEAST_SD = 1e-5  # of the noise, relative to the signal's norm
# Of several coils, steps of full length now and then go round in circles: later ones are shorter.
_FULL_STEPS, _DAMPING = 4, 0.6
_LARGEST_NOISE_STEP = 0.5  # relative, in one step
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

    information: of log m0 (row 0), the place and, for several coils, the logarithm of the noise's
    standard deviation (the last row), for noise of variance 1. gradient: by the same.
    residual: signal less expectation, weighted `(voxel, time)`. misfit: sum of squares of it before
    weighting.
    variances: sum of the variances of all samples, for noise_sd = 1.
    """

    information: Symmetric
    gradient: list[Value]
    residual: Value
    misfit: Value
    variances: Value
    n_fitted: int

    @property
    def noise_row(self) -> int:
        """Row of the noise, if it is one of the unknowns."""
        return 1 + self.n_fitted

    @property
    def has_noise(self) -> bool:
        """Whether the noise is one of the unknowns."""
        return self.noise_row < len(self.gradient)

    def without_noise(self) -> "Normal":
        """The same with the noise eliminated."""
        if not self.has_noise:
            return self
        row = self.noise_row
        ratios = self.information.ratios(row, self.information[row, row])
        gradient = [self.gradient[k] - self.gradient[row] * ratio for k, ratio in ratios.items()]
        left = self.information.without(row, ratios)
        return replace(self, information=left, gradient=gradient)

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
    start: Value,
    noise_sd: Value,
    steps: int,
    coils: int = 1,
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
    start
        Coordinates on the axes of the fitted parameters `(voxel, fitted)`.
    noise_sd
        Of the real and of the imaginary channel `(1,)` [the signal's unit]; 0: it is estimated from
        the residual of each voxel.
    steps
        Number of steps.
    coils
        Whose root sum of squares the magnitudes are.
    """
    n_time, y = len(spline.table.basis.vectors), reading.unit_magnitudes
    noise = noise_sd.reshape(1, 1)
    known, given = noise > 0.0, maximum(noise / sqrt(reading.energy), LEAST_SD)
    place, model = start, unfold(spline, start)
    m0, first = _first_guess(y, model.power, n_time, _n_unknowns(spline.table), coils)
    sd = where(known, given, first)
    noise_is_known = None
    if coils > 1:
        noise_is_known = known
    here = _normal(y, model, coils, m0=m0, sd=sd, known=noise_is_known)
    for k in range(steps):
        growth, move = _step(spline, here.without_noise())
        if coils > 1 and k >= _FULL_STEPS:
            growth, move = growth * _DAMPING, move * _DAMPING
        following = where(known, given, _following_noise(here, n_time, sd, growth, move))
        place = hold_inside(spline.table, place + move)
        m0 = m0 * (maximum(growth, _LEAST_GROWTH) + 1.0)
        model, sd = unfold(spline, place), following
        here = _normal(y, model, coils, m0=m0, sd=sd, known=noise_is_known)
    sd = where(known, given, _noise_of(here, n_time))
    left = here.without_noise()
    information, _ = left.reduced()
    spread = standard_deviations(spline.table, information, left.least(spline.table), sd * sd)
    bad_fit = misfit_of_magnitudes(spline.table, probes, here, y=y, sd=sd, known=known, coils=coils)
    return Estimate(place, spread, m0, sqrt(here.misfit), bad_fit)


def _first_guess(
    y: Value, power: Value, n_time: int, n_unknowns: int, coils: int
) -> tuple[Value, Value]:
    """m0 and standard deviation of the noise, of fingerprints of a given shape.

    Of one coil, as if the noise were Gaussian. Of several, whose noise adds much to weak samples,
    from a straight line through the squares: their mean is m0^2 |s|^2 + 2 coils sd^2.
    """
    if coils == 1:
        size = sqrt(power)
        m0 = maximum(row_sum(size * y) / maximum(row_sum(power), TINY), TINY)
        misfit = y - size * m0
        return m0, sqrt(row_sum(misfit * misfit) / float(n_time - n_unknowns))
    middle = row_sum(power) * (1 / n_time)
    deviation = power - middle
    slope = row_sum(deviation * y * y) / maximum(row_sum(deviation * deviation), TINY)
    slope = minimum(maximum(slope, TINY), (1 / n_time) / maximum(middle, TINY))
    rest = maximum((1 / n_time) - slope * middle, LEAST_SD**2)
    return sqrt(slope), sqrt(rest * (0.5 / coils))


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


def magnitude_moments(q: Value, coils: int) -> tuple[Value, Value, Value]:
    """For a true magnitude u = sqrt(q) and noise of sd 1: expectation f, (df/du) / u, and variance
    of a magnitude.
    """
    formula = excess_formula(coils)
    (p0, p1, p2), (b1, b2, b3) = formula.top, formula.bottom
    bottom = ((q * b3 + b2) * q + b1) * q + 1.0
    excess = ((q * p2 + p1) * q + p0) / bottom
    slope = ((q * (2 * p2) + p1) - excess * ((q * (3 * b3) + 2 * b2) * q + b1)) / bottom
    mean = sqrt(q + float(2 * coils - 1) + excess)
    return mean, (slope + 1.0) / mean, 1.0 - excess


def _normal(
    y: Value, model: Unfolded, coils: int, *, m0: Value, sd: Value, known: Value | None
) -> Normal:
    """known: whether the noise is, where it is one of the unknowns; else None."""
    ratio = (m0 / sd) * (m0 / sd)
    mean, slope, variance = magnitude_moments(model.power * ratio, coils)
    plain, weight = y - mean * sd, 1.0 / sqrt(variance)
    residual, scale = plain * weight, slope * weight * (ratio * sd)
    changes = [x * scale for x in (model.power, *model.slopes)]
    n_fitted = len(model.slopes)
    if known is not None:
        by_noise = (mean - slope * model.power * ratio) * weight * sd
        changes.append(where(known, 0.0, by_noise))
    information = {}
    for j, k in combinations_with_replacement(range(len(changes)), 2):
        information[j, k] = row_sum(changes[j] * changes[k])
    gradient = [row_sum(x * residual) for x in changes]
    if known is not None:
        # The variance sd^2 v of each sample tells of the noise too: d log(sd^2 v) / d log sd = 2 t.
        last = len(gradient) - 1
        spread = (variance + model.power * ratio * (slope * mean - 1.0)) / variance
        excess = residual * residual - sd * sd
        information[last, last] = information[last, last] + row_sum(spread * spread) * sd * sd * 2.0
        gradient[last] = where(known, 0.0, gradient[last] + row_sum(excess * spread))
    return Normal(
        information=Symmetric(information),
        gradient=gradient,
        residual=residual,
        misfit=row_sum(plain * plain),
        variances=row_sum(variance),
        n_fitted=n_fitted,
    )


def _n_unknowns(table: SignalTable) -> int:
    """The fitted parameters and m0."""
    return table.n_fitted + 1


def _noise_of(here: Normal, n_time: int) -> Value:
    """Standard deviation of the noise that the misfit shows."""
    factor = n_time / (n_time - 1 - here.n_fitted)
    return maximum(sqrt(here.misfit / here.variances * factor), LEAST_SD)


def _following_noise(here: Normal, n_time: int, sd: Value, growth: Value, move: Value) -> Value:
    """Standard deviation of the noise after a step: one of the unknowns, or from the misfit."""
    if not here.has_noise:
        return _noise_of(here, n_time)
    row = here.noise_row
    rest = here.gradient[row] - here.information[0, row] * growth
    for k, part in enumerate(move.split(1, [1] * here.n_fitted)):
        rest = rest - here.information[1 + k, row] * part
    change = rest / maximum(here.information[row, row], TINY)
    factor = minimum(maximum(change, -_LARGEST_NOISE_STEP), _LARGEST_NOISE_STEP) + 1.0
    return maximum(sd * factor, LEAST_SD)


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
    table: SignalTable,
    probes: Array,
    here: Normal,
    *,
    y: Value,
    sd: Value,
    known: Value,
    coils: int,
) -> Value:
    """More misfit where magnitudes of fingerprints live than noise leaves there, or nothing but
    noise; see `flags`.

    Pure noise has Rayleigh's or a chi distribution: a known ratio of mean and standard deviation,
    and no shape over time.
    """
    n_time = len(table.basis.vectors)
    telling = np.concatenate([table.feature_basis.vectors, probes], axis=1)
    n_unknowns = _n_unknowns(table)
    limits = thresholds(n_time, telling.shape[1], n_unknowns, coils)
    near = here.residual @ y.tape.constant(telling)
    inside = row_sum(near * near)
    total = row_sum(here.residual * here.residual)
    estimated = inside > (total - inside) * (limits.ratio * limits.inside / limits.outside)
    given = (inside > sd * sd * limits.inside_known) | (total > sd * sd * limits.total_known)
    too_large = ((known & given) | (~known & estimated)) & (inside > LEAST_MISFIT**2)
    mean = row_sum(y) * (1 / n_time)
    spread = maximum(1 / n_time - mean * mean, TINY)  # the sum of squares of y is 1
    steady = mean > sqrt(spread) * noise_ratio_limit(n_time, coils)
    shaped = spread * float(n_time) > here.misfit * (1 + limits.detected / (n_time - n_unknowns))
    strong = sd * sd * limits.noise_energy < 1.0
    return too_large | (known & ~strong) | (~known & ~(steady | shaped))
