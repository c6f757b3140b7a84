"""Gauss-Newton on the tabulated signal manifold, as nodes of an ONNX graph.

The model of one voxel is c = m0 a(x, y): c its compressed signal, a the table, x = log T1, y = log T2. For given (x, y)
the best complex m0 is <a, c> / <a, a>; putting it in leaves a least-squares problem in x and y alone (variable
projection), whose Gauss-Newton step needs only the inner products of a, its derivatives and c. Inner products conjugate
the left factor.

Source: G. H. Golub and V. Pereyra, Inverse Problems 19:R1 (2003), doi 10.1088/0266-5611/19/2/201.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.inference.ops import INT64, Tape, Value, clip, concat, maximum, minimum, sqrt, where
from mrftool.physics.bspline import POLYNOMIALS, Axis
from mrftool.physics.table import SignalTable

_LARGEST_STEP = 0.5  # of log T1 and log T2 together, in one step
_SHRINK = 0.25  # the next step after one that made things worse
_DAMPING = 1e-4  # Levenberg-Marquardt, relative to the diagonal
_TINY = 1e-20


@dataclass(frozen=True)
class Products:
    """Inner products at one (x, y) of each voxel; `rows` is `(voxel, 3, columns)`, the rest is read from it.

    Rows: a, da/dx, da/dy. Columns: Re <row, a>, Re <row, da/dx>, Re <row, da/dy>, Re <row, c>, Im <row, c> and, where
    the table is complex, Im <row, a>.
    """

    rows: Value

    def at(self, row: int, column: int) -> Value:
        """One product `(voxel, 1)`."""
        return self.rows.cut(1, row, row + 1).cut(2, column, column + 1).reshape(0, 1)

    @property
    def explained(self) -> Value:
        """Energy of c that the best m0 explains: |<a, c>|^2 / <a, a>."""
        return (self.at(0, 3) * self.at(0, 3) + self.at(0, 4) * self.at(0, 4)) / maximum(self.at(0, 0), _TINY)


@dataclass(frozen=True)
class Normal:
    """The 2 x 2 normal equations: information times noise variance (xx, xy, yy), gradient (gx, gy), and m0."""

    xx: Value
    xy: Value
    yy: Value
    gx: Value
    gy: Value
    m0: tuple[Value, Value]

    @property
    def determinant(self) -> Value:
        """Of the information, kept above 0."""
        return maximum(self.xx * self.yy - self.xy * self.xy, _TINY)


@dataclass(frozen=True)
class Manifold:
    """The table as graph constants. `real`: its coefficients are real."""

    tape: Tape
    table: SignalTable
    coefficients: Value

    @staticmethod
    def on(tape: Tape, table: SignalTable) -> "Manifold":
        """Put the coefficients of `table` on the tape."""
        flat = table.coefficients.reshape(-1, table.rank)
        if not table.basis.is_real:
            flat = np.concatenate([flat.real, flat.imag], axis=1)
        return Manifold(tape, table, tape.constant(flat, name="table"))

    def products(self, place: Value, data: Value, b1: Value | None) -> Products:
        """At `place` `(voxel, 2)` = (log T1, log T2) for `data` `(voxel, 2, columns of the table)`; see `data_rows`."""
        block, weights = self._blocks(place, b1)
        a = weights @ block
        rows = [a, data]
        if not self.table.basis.is_real:
            rank = self.table.rank
            first = a.cut(1, 0, 1)
            # Im <d, a> = <d, (Im a, -Re a)> in real numbers
            rows.append(concat([first.cut(2, rank, 2 * rank), -first.cut(2, 0, rank)], 2))
        return Products(a @ concat(rows, 1).swap())

    def _blocks(self, place: Value, b1: Value | None) -> tuple[Value, Value]:
        """The coefficients around each place `(voxel, 16 or 64, columns)`, and their weights `(voxel, 3, 16 or 64)`."""
        positions = [place.cut(1, 0, 1), place.cut(1, 1, 2)] + ([] if b1 is None else [b1])
        cells = [self._locate(axis, x) for axis, x in zip(self.table.axes, positions, strict=True)]
        sizes, n = [axis.size + 2 for axis in self.table.axes], len(cells)
        strides = [int(np.prod(sizes[k + 1 :])) for k in range(n)]
        corner = cells[0][0] * strides[0]
        for (cell, _, _), stride in zip(cells[1:], strides[1:], strict=True):
            corner = corner + cell * stride
        offsets = sum(np.arange(4).reshape([4 if j == k else 1 for j in range(n)]) * strides[k] for k in range(n))
        rows = corner.to(INT64) + self.tape.constant(np.ravel(offsets)[None], np.int64)
        block = self.tape.op("Gather", self.coefficients, rows, axis=0)
        (_, value_1, slope_1), (_, value_2, slope_2), *rest = cells
        pairs = [(value_1, value_2), (slope_1, value_2), (value_1, slope_2)]
        weights = concat([_outer(x, y, 4) for x, y in pairs], 1).reshape(0, 3, 16)
        if rest:
            weights = (weights.reshape(0, 48, 1) * rest[0][1].reshape(0, 1, 4)).reshape(0, 3, 64)
        return block, weights

    def _locate(self, axis: Axis, x: Value) -> tuple[Value, Value, Value]:
        """Cell `(voxel, 1)` as a whole float32 number, weights `(voxel, 4)` of value and of slope."""
        place = clip((x - axis.start) * (1 / axis.step), 0.0, float(axis.size - 1))
        cell = minimum(self.tape.op("Floor", place), float(axis.size - 2))
        u = place - cell
        square = u * u
        powers = concat([square * u, square, u], 1)
        slopes = np.stack([3 * POLYNOMIALS[3], 2 * POLYNOMIALS[2], POLYNOMIALS[1]]) / axis.step
        value = powers @ self.tape.constant(POLYNOMIALS[:0:-1]) + self.tape.constant(POLYNOMIALS[:1])
        slope = concat([square, u, u * 0.0 + 1.0], 1) @ self.tape.constant(slopes)
        return cell, value, slope


def data_rows(compressed: Value, rank: int, is_real: bool) -> Value:
    """`(voxel, 2, columns)`: what real inner products with a table row give Re <row, c> and Im <row, c>.

    compressed: `(voxel, 2 * rank)`, real parts then imaginary parts.
    """
    if is_real:
        return compressed.reshape(0, 2, rank)
    turned = concat([compressed.cut(1, rank, 2 * rank), -compressed.cut(1, 0, rank)], 1)
    return concat([compressed, turned], 1).reshape(0, 2, 2 * rank)


def normal_equations(p: Products, is_real: bool) -> Normal:
    """With m0 projected out: xx = |m0|^2 (<dx, dx> - |<a, dx>|^2 / <a, a>), and so on."""
    size = 1.0 / maximum(p.at(0, 0), _TINY)
    m_re, m_im = p.at(0, 3) * size, p.at(0, 4) * size
    power = m_re * m_re + m_im * m_im
    overlap = [(p.at(k, 0), None if is_real else p.at(k, 5)) for k in (1, 2)]  # <dk, a>, real and imaginary part

    def information(j: int, k: int) -> Value:
        (re_j, im_j), (re_k, im_k) = overlap[j], overlap[k]
        shared = re_j * re_k if im_j is None or im_k is None else re_j * re_k + im_j * im_k
        return (p.at(j + 1, k + 1) - shared * size) * power

    def gradient(k: int) -> Value:
        # Re conj(m0) <dk, c - m0 a>
        re, im = overlap[k]
        fit_re = m_re * re if im is None else m_re * re - m_im * im
        fit_im = m_im * re if im is None else m_re * im + m_im * re
        return m_re * (p.at(k + 1, 3) - fit_re) + m_im * (p.at(k + 1, 4) - fit_im)

    return Normal(information(0, 0), information(0, 1), information(1, 1), gradient(0), gradient(1), (m_re, m_im))


def step(normal: Normal) -> Value:
    """Damped Gauss-Newton step `(voxel, 2)` of (log T1, log T2), no longer than the largest step allowed."""
    xx, yy = normal.xx * (1 + _DAMPING), normal.yy * (1 + _DAMPING)
    determinant = maximum(xx * yy - normal.xy * normal.xy, _TINY)
    dx = (yy * normal.gx - normal.xy * normal.gy) / determinant
    dy = (xx * normal.gy - normal.xy * normal.gx) / determinant
    length = sqrt(dx * dx + dy * dy)
    scale = _LARGEST_STEP / maximum(length, _LARGEST_STEP)
    return concat([dx * scale, dy * scale], 1)


def polish(manifold: Manifold, start: Value, data: Value, b1: Value | None, steps: int) -> tuple[Value, Products]:
    """The best of `start` and `steps` Gauss-Newton steps from it, `(voxel, 2)`, and the inner products there.

    A step that explains less of the data than the best place so far is taken back, and tried again at a quarter.
    """
    is_real = manifold.table.basis.is_real
    best = start
    products = manifold.products(best, data, b1)
    explained = products.explained
    reach: Value | None = None
    for _ in range(steps):
        move = step(normal_equations(products, is_real))
        move = move if reach is None else move * reach
        place = hold_inside(manifold.table, best + move)
        tried = manifold.products(place, data, b1)
        better = ~(tried.explained < explained)
        if steps > 1:
            reach = where(better, 1.0, _SHRINK) if reach is None else where(better, 1.0, reach * _SHRINK)
        best = where(better, place, best)
        products = Products(where(better.reshape(0, 1, 1), tried.rows, products.rows))
        explained = maximum(tried.explained, explained)
    return best, products


def hold_inside(table: SignalTable, place: Value) -> Value:
    """`place` `(voxel, 2)`, moved to the nearest place in the table."""
    low = np.array([[axis.start for axis in table.axes[:2]]])
    high = np.array([[axis.stop for axis in table.axes[:2]]])
    return minimum(maximum(place, place.tape.constant(low)), place.tape.constant(high))


def _outer(x: Value, y: Value, n: int) -> Value:
    """`(voxel, n)` times `(voxel, 4)` to `(voxel, 1, n * 4)`."""
    return (x.reshape(0, n, 1) * y.reshape(0, 1, 4)).reshape(0, 1, n * 4)
