"""A natural cubic spline through equidistant knots.

Source: C. de Boor, A Practical Guide to Splines (1978), ch. IV: the second derivatives at the knots
solve a tridiagonal system; at both ends they are 0.
"""

import numpy as np

from mrftool.arrays import FloatArray


def natural_spline(knots: FloatArray, n: int) -> FloatArray:
    """The spline at `n` equidistant points from the first knot to the last `(n,)`."""
    curvatures = _curvatures(knots)
    place = np.linspace(0, 1, n) * (len(knots) - 1)
    cell = np.minimum(place.astype(np.intp), len(knots) - 2)
    after = place - cell
    before = 1 - after
    line = before * knots[cell] + after * knots[cell + 1]
    bend = (before**3 - before) * curvatures[cell] + (after**3 - after) * curvatures[cell + 1]
    return np.asarray(line + bend / 6, np.float64)


def _curvatures(knots: FloatArray) -> FloatArray:
    """Second derivatives at the knots, per squared distance of the knots."""
    right = 6 * np.diff(knots, 2)
    factors, values = np.zeros(len(right)), np.zeros(len(right))
    factor = value = 0.0
    for k, number in enumerate(right):  # forward elimination of rows 1, 4, 1
        pivot = 4 - factor
        factor, value = 1 / pivot, (number - value) / pivot
        factors[k], values[k] = factor, value
    curvatures = np.zeros(len(knots))
    for k in range(len(right) - 1, -1, -1):
        curvatures[k + 1] = values[k] - factors[k] * curvatures[k + 2]
    return curvatures
