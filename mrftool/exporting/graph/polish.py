"""Gauss-Newton on the tabulated signal manifold, as nodes of an ONNX graph.

The model of one voxel is c = m0 a(x): c its compressed signal, a the table, x a place in the
table's grid, in steps along the axes of the fitted parameters (log T1 and log T2). For a given x
the best complex m0 is <a, c> / <a, a>; putting it in leaves a least-squares problem in x alone
(variable projection), whose Gauss-Newton step needs only inner products of a, of its derivatives
a_j along the axes, and of c. Inner products conjugate the left factor; a complex row counts as real
and imaginary parts side by side. Symmetric matrices are lists of their upper triangle, row by row;
see `Symmetric`. The equations are solved by elimination, written out: for two parameters it is the
closed solution.

Source: G. H. Golub and V. Pereyra, Inverse Problems 19:R1 (2003), doi 10.1088/0266-5611/19/2/201.
"""

from dataclasses import dataclass, replace

import numpy as np

from mrftool.exporting.graph.ops import Value, clip, concat, maximum, minimum, row_sum, sqrt
from mrftool.exporting.graph.spline import Spline
from mrftool.exporting.graph.symmetric import Symmetric, columns_of
from mrftool.manifold.table import SignalTable

# What single precision can tell from 0, relative to the numbers that were subtracted.
ROUNDING = 1e-6
TINY = 1e-20


@dataclass(frozen=True)
class Fit:
    """Least squares at one place of each voxel; `(voxel, 1)` unless said.

    size: <a, a>. slope: Re <a_j, a> `(voxel, fitted)`. raw: Re <a_j, a_k>. turn: Im <a_j, a>, None
    where the table is real. match: <a, c>, real and imaginary part. slope_match: Re <a_j, c> and
    Im <a_j, c> `(voxel, fitted)` each.
    """

    size: Value
    slope: Value
    raw: Symmetric
    turn: Value | None
    match: tuple[Value, Value]
    slope_match: tuple[Value, Value]

    @property
    def m0(self) -> tuple[Value, Value]:
        """The best m0, real and imaginary part."""
        size = maximum(self.size, TINY)
        return self.match[0] / size, self.match[1] / size

    @property
    def explained(self) -> Value:
        """Energy of c that the best m0 explains."""
        re, im = self.match
        return (re * re + im * im) / maximum(self.size, TINY)

    def information(self) -> Symmetric:
        """About the place, for m0 = 1 and noise of variance 1:
        Re <a_j, a_k> - Re <a_j, a> <a, a_k> / <a, a>.
        """
        inverse = 1.0 / maximum(self.size, TINY)
        slopes, turns = columns_of(self.slope, self.raw), []
        if self.turn is not None:
            turns = columns_of(self.turn, self.raw)
        left = {}
        for (j, k), raw in self.raw.elements.items():
            product = slopes[j] * slopes[k]
            if turns:
                product = product + turns[j] * turns[k]
            left[j, k] = raw - product * inverse
        return Symmetric(left)

    def least(self, table: SignalTable) -> Value:
        """See `least_information`."""
        return least_information(table, self.size, self.raw.diagonal)

    def gradient(self) -> Value:
        """Re <a_j, c - m0 a> / m0 `(voxel, fitted)`: with the information, where the best place
        lies.
        """
        re, im = self.match
        power = maximum((re * re + im * im) / maximum(self.size, TINY), TINY)
        return (self.slope_match[0] * re + self.slope_match[1] * im) / power - self.slope

    def moved(self, move: Value) -> "Fit":
        """The fit after `move` `(voxel, fitted)`, a followed along its slopes."""
        steps = columns_of(move, self.raw)
        bend = concat([_row_product(self.raw, j, steps) for j in self.raw.indices], 1)
        size = self.size + row_sum(move * (self.slope * 2.0 + bend))
        match_re, match_im = (
            here + row_sum(move * slopes)
            for here, slopes in zip(self.match, self.slope_match, strict=True)
        )
        return replace(self, size=size, slope=self.slope + bend, match=(match_re, match_im))


def _row_product(matrix: Symmetric, row: int, vector: list[Value]) -> Value:
    product = matrix[row, 0] * vector[0]
    for k in range(1, len(vector)):
        product = product + matrix[row, k] * vector[k]
    return product


def data_rows(compressed: Value, rank: int, is_real: bool) -> Value:
    """`(voxel, 2, columns)`: whose real products with a table row are Re <row, c> and Im <row, c>.

    compressed: `(voxel, 2 * rank)`, real parts then imaginary parts.
    """
    if is_real:
        return compressed.reshape(0, 2, rank)
    turned = concat([compressed.cut(1, rank, 2 * rank), -compressed.cut(1, 0, rank)], 1)
    return concat([compressed, turned], 1).reshape(0, 2, 2 * rank)


def fit(spline: Spline, place: Value, data: Value) -> Fit:
    """The least-squares problem at `place` `(voxel, fitted)`; data: see `data_rows`."""
    rows = spline.rows(place)
    n = spline.table.n_fitted
    others = [rows, data]
    lengths = [1, n]
    for j in range(1, 1 + n):
        lengths += [j] + [1] * (n - j + 1)
    lengths += [1, n, 1, n]
    if not spline.is_real:
        rank = spline.n_columns // 2
        a = rows.cut(1, 0, 1)
        others.append(concat([a.cut(2, rank, 2 * rank), -a.cut(2, 0, rank)], 2))
        lengths += [1, n]
    products = (concat(others, 1) @ rows.swap()).reshape(0, sum(lengths))
    parts = products.split(1, lengths)
    size, slope = parts[:2]
    upper, at = [], 2
    for j in range(1, 1 + n):
        upper += parts[at + 1 : at + 1 + n - j + 1]
        at += 1 + n - j + 1
    re, slope_re, im, slope_im = parts[at : at + 4]
    turn = None
    if not spline.is_real:
        turn = parts[-1]
    raw = Symmetric.from_upper(upper, n)
    return Fit(size, slope, raw, turn, match=(re, im), slope_match=(slope_re, slope_im))


def step(table: SignalTable, here: Fit) -> Value:
    """Gauss-Newton step `(voxel, fitted)`; see `bounded_step`."""
    gradient = columns_of(here.gradient(), here.raw)
    return bounded_step(table, here.information(), gradient, here.least(table))


def bounded_step(
    table: SignalTable, information: Symmetric, gradient: list[Value], least: Value
) -> Value:
    """Step `(voxel, fitted)` to the minimum of a quadratic, at most the largest step of each
    parameter.

    A parameter that is not determined moves by no more than the length of its axis, and the others
    to what is best beside it.

    Parameters
    ----------
    table
        Of the model.
    information
        Fisher information, in grid steps [1].
    gradient
        Of the log-likelihood by each fitted parameter, in grid steps [1].
    least
        Least information of each parameter, see `least_information`.
    """
    n, floors = table.n_fitted, columns_of(least, information)
    held = [maximum(x, floor) for x, floor in zip(information.diagonal, floors, strict=True)]
    matrix = information.with_diagonal(held)
    moves = _solve(table, matrix, gradient, floors)
    for k in range(1, n):  # those that were held back leave the others to what is best beside them
        others = [matrix[k, j] * moves[j] for j in range(n) if j != k]
        moves[k] = (gradient[k] - _sum(others)) / matrix[k, k]
    pairs = zip(table.parameters, table.fitted_axes, strict=False)
    longest = [[parameter.largest_step / axis.step for parameter, axis in pairs]]
    limit = least.tape.constant(longest)
    return minimum(maximum(concat(moves, 1), -limit), limit)


def _solve(
    table: SignalTable, matrix: Symmetric, gradient: list[Value], floors: list[Value]
) -> list[Value]:
    """Gaussian elimination; what is left of a diagonal element is no smaller than its floor, and
    no solution longer than its axis.
    """
    left, right, rows = matrix, dict(enumerate(gradient)), []
    for k in range(table.n_fitted):
        pivot = left[k, k]
        if k:
            pivot = maximum(pivot, floors[k])
        rows.append((left, pivot, right[k]))
        ratios = left.ratios(k, pivot)
        right = {j: right[j] - ratio * right[k] for j, ratio in ratios.items()}
        left = left.without(k, ratios)
    moves: dict[int, Value] = {}
    for k in reversed(range(table.n_fitted)):
        row, pivot, value = rows[k]
        length = table.axes[k].size - 1.0
        for j, move in moves.items():
            value = value - row[k, j] * move
        moves[k] = clip(value / pivot, -length, length)
    return [moves[k] for k in range(table.n_fitted)]


def _sum(values: list[Value]) -> Value:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def standard_deviations(
    table: SignalTable, information: Symmetric, least: Value, variance: Value
) -> Value:
    """Standard deviations of the place `(voxel, fitted)`: from the inverse of the information, for
    noise of `variance`.

    least: see `least_information`. What the data leave open in one parameter is no wider than its
    axis: one that is not determined leaves the others as if they were known.
    """
    floors = columns_of(least, information)
    held = [maximum(x, floor) for x, floor in zip(information.diagonal, floors, strict=True)]
    known = []
    for x, axis in zip(held, table.fitted_axes, strict=True):
        known.append(maximum(x, variance * (axis.size - 1) ** -2.0))
    variances = []
    for k in information.indices:
        left = information.with_diagonal([*known[:k], held[k], *known[k + 1 :]])
        for j in information.indices:
            if j != k:
                left = left.without(j, left.ratios(j, left[j, j]))
        variances.append(variance / maximum(left[k, k], floors[k]))
    return sqrt(concat(variances, 1))


def least_information(table: SignalTable, size: Value, raw: list[Value]) -> Value:
    """Information about each fitted parameter `(voxel, fitted)` that cannot be told from none.

    It is a difference of numbers like `raw`; and a parameter that changes a fingerprint of energy
    `size`, all along its axis, by no more than the table's error is not determined.
    """
    shares = [[(table.error / (axis.size - 1)) ** 2 for axis in table.fitted_axes]]
    changes = size * size.tape.constant(shares)
    return maximum(maximum(concat(raw, 1) * ROUNDING, changes), TINY)


def polish(spline: Spline, start: Value, data: Value, steps: int) -> tuple[Value, Fit]:
    """`start` after `steps` Gauss-Newton steps `(voxel, fitted)`, and the fit there.

    The last fit is that of the last linearisation: its step is short, and one evaluation of the
    table is saved.
    """
    place, here = start, fit(spline, start, data)
    for n in range(steps):
        following = hold_inside(spline.table, place + step(spline.table, here))
        here = here.moved(following - place) if n == steps - 1 else fit(spline, following, data)
        place = following
    return place, here


def hold_inside(table: SignalTable, place: Value) -> Value:
    """`place` `(voxel, fitted)`, moved to the nearest place in the table."""
    last = np.array([[axis.size - 1 for axis in table.fitted_axes]])
    return place.tape.op("Min", maximum(place, 0.0), place.tape.constant(last))
