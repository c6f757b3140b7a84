"""Linear interpolation between the nodes of a grid of any number of axes."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from mrftool.arrays import Array, FloatArray


def interpolate_linearly(axes: Sequence[FloatArray], values: Array, points: FloatArray) -> Array:
    """Values at `points` `(point, axis)` inside the grid: `(point, ...)`.

    Parameters
    ----------
    axes
        The nodes of each axis, ascending, at least two.
    values
        At all nodes `(node of each axis ..., ...)`; NaN spreads over the cells around it.
    points
        Places on the axes; those beyond the ends count as the ends.
    """
    cells, shares = [], []
    for nodes, column in zip(axes, points.T, strict=True):
        x = np.clip(column, nodes[0], nodes[-1])
        cell = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
        share = (x - nodes[cell]) / (nodes[cell + 1] - nodes[cell])
        cells.append((cell, cell + 1))
        shares.append((1 - share, share))
    total = np.zeros((len(points), *values.shape[len(axes) :]), values.dtype)
    for corner in product((0, 1), repeat=len(axes)):
        weight = np.ones(len(points))
        for share_of, end in zip(shares, corner, strict=True):
            weight = weight * share_of[end]
        nodes_there = tuple(cell[end] for cell, end in zip(cells, corner, strict=True))
        total += weight.reshape(-1, *[1] * (total.ndim - 1)) * values[nodes_there]
    return total
