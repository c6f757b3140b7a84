"""Uniform cubic B-splines on a grid: coefficients that interpolate samples, and weights that
evaluate them.

A function sampled at n equidistant nodes has n + 2 coefficients. In cell i, at 0 <= u <= 1 between
nodes i and i+1, its value is the sum of coefficients i .. i+3 times `value_weights(u)`.

Source: C. de Boor, A Practical Guide to Splines (1978): cubic B-splines, the not-a-knot end
condition (ch. IV).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrftool.arrays import FloatArray

MIN_NODES = 5
# Polynomials in u that weigh the four coefficients of a cell: rows 1, u, u^2, u^3.
POLYNOMIALS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6


@dataclass(frozen=True)
class Axis:
    """Equidistant nodes start, start + step, ...: `size` of them, at least 5."""

    start: float
    step: float
    size: int

    @staticmethod
    def spanning(low: float, high: float, size: int) -> "Axis":
        """`size` nodes from `low` to `high`."""
        return Axis(low, (high - low) / (size - 1), size)

    @property
    def nodes(self) -> FloatArray:
        """All nodes, ascending."""
        return np.asarray(self.start + self.step * np.arange(self.size), np.float64)

    @property
    def stop(self) -> float:
        """The last node."""
        return self.start + self.step * (self.size - 1)

    def locate(self, x: ArrayLike) -> tuple[NDArray[np.intp], FloatArray]:
        """Cell and position 0 <= u <= 1 in it of `x`, held inside the axis."""
        place = np.clip((np.asarray(x, np.float64) - self.start) / self.step, 0, self.size - 1)
        cell = np.minimum(place.astype(np.intp), self.size - 2)
        return cell, place - cell


def value_weights(u: FloatArray) -> FloatArray:
    """Weights `(..., 4)` of the four coefficients of a cell for the value at `u` `(...)`."""
    return np.stack([np.ones_like(u), u, u**2, u**3], axis=-1) @ POLYNOMIALS


def slope_weights(u: FloatArray) -> FloatArray:
    """Weights `(..., 4)` for the derivative by u; divide by the step for the derivative by x."""
    return np.stack([np.zeros_like(u), np.ones_like(u), 2 * u, 3 * u**2], axis=-1) @ POLYNOMIALS


def prefilter(samples: NDArray[np.inexact], n_axes: int) -> NDArray[np.inexact]:
    """Coefficients of samples on a grid: each of the first `n_axes` axes grows by two."""
    for axis in range(n_axes):
        inverse = np.linalg.inv(_interpolation_matrix(samples.shape[axis]))[:, 1:-1]
        samples = np.moveaxis(np.tensordot(inverse, samples, axes=(1, axis)), 0, axis)
    return samples


def _interpolation_matrix(n: int) -> FloatArray:
    """Coefficients `(n + 2,)` to samples: n interpolation rows between two not-a-knot rows."""
    matrix = np.zeros((n + 2, n + 2))
    for node in range(n):
        matrix[node + 1, node : node + 3] = np.array([1, 4, 1]) / 6
    matrix[0, :5] = matrix[-1, -5:] = [1, -4, 6, -4, 1]
    return matrix
