"""Linear interpolation between the nodes of a grid of any number of axes."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray, IndexArray


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
    found = [_cells_of(nodes, column) for nodes, column in zip(axes, points.T, strict=True)]
    cells = [(cell, cell + 1) for cell, _ in found]
    shares = [(1 - share, share) for _, share in found]
    total = np.zeros((len(points), *values.shape[len(axes) :]), values.dtype)
    for corner in product((0, 1), repeat=len(axes)):
        weight = np.ones(len(points))
        for share_of, end in zip(shares, corner, strict=True):
            weight = weight * share_of[end]
        nodes_there = tuple(cell[end] for cell, end in zip(cells, corner, strict=True))
        total += weight.reshape(-1, *[1] * (total.ndim - 1)) * values[nodes_there]
    return total


def nodes_around(axes: Sequence[FloatArray], points: FloatArray) -> BoolArray:
    """Which nodes the interpolation at `points` `(point, axis)` takes `(node of each axis ...)`."""
    found = np.zeros([len(nodes) for nodes in axes], bool)
    cells = [_cells_of(nodes, column)[0] for nodes, column in zip(axes, points.T, strict=True)]
    for corner in product((0, 1), repeat=len(axes)):
        found[tuple(cell + end for cell, end in zip(cells, corner, strict=True))] = True
    return found


def _cells_of(nodes: FloatArray, places: FloatArray) -> tuple[IndexArray, FloatArray]:
    """The node below each place on an axis, and the share of the way to the next one [1]."""
    x = np.clip(places, nodes[0], nodes[-1])
    cell = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
    return cell, (x - nodes[cell]) / (nodes[cell + 1] - nodes[cell])
