"""Gauss-Newton on the tabulated signal manifold, as nodes of an ONNX graph.

The model of one voxel is c = m0 a(x, y): c its compressed signal, a the table, (x, y) a place in
the table's grid, in steps of log T1 and of log T2. For given (x, y) the best complex m0 is <a, c> /
<a, a>; putting it in leaves a least-squares problem in x and y alone (variable projection), whose
Gauss-Newton step needs only inner products of a, of its derivatives da (by x) and db (by y), and of
c. Inner products conjugate the left factor; a complex row counts as real and imaginary parts side
by side.

Source: G. H. Golub and V. Pereyra, Inverse Problems 19:R1 (2003), doi 10.1088/0266-5611/19/2/201.
"""

from dataclasses import dataclass, replace

import numpy as np

from mrftool.export.graph.ops import Value, clip, concat, maximum, minimum, row_sum, sqrt
from mrftool.export.graph.spline import Spline
from mrftool.manifold.table import SignalTable

LARGEST_STEP = 0.5  # of log T1 and of log T2, in one step
ROUNDING = (
    1e-6  # what single precision can tell from 0, relative to the numbers that were subtracted
)
TINY = 1e-20


@dataclass(frozen=True)
class Fit:
    """Least squares at one place of each voxel; `(voxel, 1)` unless said.

    size: <a, a>. slope: Re <da, a>, Re <db, a> `(voxel, 2)`. raw: <da, da>, Re <da, db>, <db, db>.
    turn: the imaginary parts of slope, None where the table is real. match: <a, c>, real and
    imaginary part. slope_match: Re <da, c>, Re <db, c> and Im <da, c>, Im <db, c> `(voxel, 2)`
    each.
    """

    size: Value
    slope: Value
    raw: tuple[Value, Value, Value]
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

    def information(self) -> tuple[Value, Value, Value]:
        """About (x, y), for m0 = 1 and noise of variance 1: <da, da> - |<da, a>|^2 / <a, a> and so
        on; xx, xy, yy.
        """
        (slope_x, slope_y), inverse = self.slope.split(1, [1, 1]), 1.0 / maximum(self.size, TINY)
        xx, xy, yy = slope_x * slope_x, slope_x * slope_y, slope_y * slope_y
        if self.turn is not None:
            turn_x, turn_y = self.turn.split(1, [1, 1])
            xx, xy, yy = xx + turn_x * turn_x, xy + turn_x * turn_y, yy + turn_y * turn_y
        raw_xx, raw_xy, raw_yy = self.raw
        return raw_xx - xx * inverse, raw_xy - xy * inverse, raw_yy - yy * inverse

    def least(self, table: SignalTable) -> Value:
        """See `least_information`."""
        return least_information(table, self.size, self.raw[0], self.raw[2])

    def gradient(self) -> Value:
        """Re <da, c - m0 a> / m0 and so on `(voxel, 2)`: with the information, where the best (x,
        y) lies.
        """
        re, im = self.match
        power = maximum((re * re + im * im) / maximum(self.size, TINY), TINY)
        return (self.slope_match[0] * re + self.slope_match[1] * im) / power - self.slope

    def moved(self, move: Value) -> "Fit":
        """The fit after `move` `(voxel, 2)`, a followed along its slopes."""
        (x, y), (raw_xx, raw_xy, raw_yy) = move.split(1, [1, 1]), self.raw
        bend = concat([raw_xx * x + raw_xy * y, raw_xy * x + raw_yy * y], 1)
        size = self.size + row_sum(move * (self.slope * 2.0 + bend))
        match_re, match_im = (
            here + row_sum(move * slopes)
            for here, slopes in zip(self.match, self.slope_match, strict=True)
        )
        return replace(self, size=size, slope=self.slope + bend, match=(match_re, match_im))


def data_rows(compressed: Value, rank: int, is_real: bool) -> Value:
    """`(voxel, 2, columns)`: whose real products with a table row are Re <row, c> and Im <row, c>.

    compressed: `(voxel, 2 * rank)`, real parts then imaginary parts.
    """
    if is_real:
        return compressed.reshape(0, 2, rank)
    turned = concat([compressed.cut(1, rank, 2 * rank), -compressed.cut(1, 0, rank)], 1)
    return concat([compressed, turned], 1).reshape(0, 2, 2 * rank)


def fit(spline: Spline, place: Value, data: Value) -> Fit:
    """The least-squares problem at `place` `(voxel, 2)`; data: see `data_rows`."""
    rows = spline.rows(place)
    others = [rows, data]
    if not spline.is_real:
        rank = spline.n_columns // 2
        a = rows.cut(1, 0, 1)
        others.append(concat([a.cut(2, rank, 2 * rank), -a.cut(2, 0, rank)], 2))
    products = (concat(others, 1) @ rows.swap()).reshape(0, 15 if spline.is_real else 18)
    parts = products.split(
        1, [1, 2, 1, 1, 1, 2, 1, 1, 2, 1, 2] + ([] if spline.is_real else [1, 2])
    )
    size, slope, _, xx, xy, _, yy, re, slope_re, im, slope_im = parts[:11]
    turn = None if spline.is_real else parts[12]
    return Fit(size, slope, (xx, xy, yy), turn, match=(re, im), slope_match=(slope_re, slope_im))


def step(table: SignalTable, here: Fit) -> Value:
    """Gauss-Newton step `(voxel, 2)`; see `held_step`."""
    by_x, by_y = here.gradient().split(1, [1, 1])
    return held_step(table, here.information(), (by_x, by_y), here.least(table))


def held_step(
    table: SignalTable,
    information: tuple[Value, Value, Value],
    gradient: tuple[Value, Value],
    least: Value,
) -> Value:
    """Step `(voxel, 2)` to the least of a quadratic, no longer than the largest step in x or y.

    information: xx, xy, yy. least: see `least_information`. A parameter that is not determined
    would go anywhere: no farther than its axis is long, and the other to what is best beside it.
    """
    (xx, xy, yy), (by_x, by_y), (least_x, least_y) = information, gradient, least.split(1, [1, 1])
    far_x, far_y = (axis.size - 1.0 for axis in table.axes[:2])
    xx, yy = maximum(xx, least_x), maximum(yy, least_y)
    share = xy / xx
    y = clip((by_y - share * by_x) / maximum(yy - xy * share, least_y), -far_y, far_y)
    x = clip((by_x - xy * y) / xx, -far_x, far_x)
    move = concat([x, (by_y - xy * x) / yy], 1)
    reach = move.tape.constant([[LARGEST_STEP / axis.step for axis in table.axes[:2]]])
    return minimum(maximum(move, -reach), reach)


def spread_of(
    table: SignalTable, information: tuple[Value, Value, Value], least: Value, variance: Value
) -> Value:
    """Standard deviations of (x, y) `(voxel, 2)`: the inverse of the information, for noise of
    `variance`.

    least: see `least_information`. What the data leave open in one parameter is no wider than its
    axis: one that is not determined leaves the other as if it were known.
    """
    tape, (least_x, least_y) = least.tape, least.split(1, [1, 1])
    xx, xy, yy = maximum(information[0], least_x), information[1], maximum(information[2], least_y)
    axes = variance * tape.constant([[(axis.size - 1) ** -2.0 for axis in table.axes[1::-1]]])
    own, other = concat([xx, yy], 1), maximum(concat([yy, xx], 1), axes)
    return sqrt(variance / maximum(own - xy * xy / other, least))


def least_information(table: SignalTable, size: Value, raw_xx: Value, raw_yy: Value) -> Value:
    """Information about x and about y `(voxel, 2)` that cannot be told from none.

    It is a difference of numbers like `raw`; and a parameter that changes a fingerprint of energy
    `size`, all along its axis, by no more than the table's error is not determined.
    """
    changes = size * size.tape.constant(
        [[(table.error / (axis.size - 1)) ** 2 for axis in table.axes[:2]]]
    )
    return maximum(maximum(concat([raw_xx, raw_yy], 1) * ROUNDING, changes), TINY)


def polish(spline: Spline, start: Value, data: Value, steps: int) -> tuple[Value, Fit]:
    """`start` after `steps` Gauss-Newton steps `(voxel, 2)`, and the fit there.

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
    """`place` `(voxel, 2)`, moved to the nearest place in the table."""
    last = np.array([[axis.size - 1 for axis in table.axes[:2]]])
    return place.tape.op("Min", maximum(place, 0.0), place.tape.constant(last))
