"""Errors over the plane of T1 and T2, in bins of equal width on logarithmic axes. NumPy only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import Array, FloatArray, IndexArray
from mrftool.physics.calibration import is_determined, rmse_over_bound
from mrftool.tissue import Tissue

BINS_PER_AXIS = 10
# RMSE / bound of n voxels has a standard error of 1 / sqrt(2 n): about 16 % for 20 voxels.
MIN_VOXELS = 20
_MIN_WIDTH = 0.1  # of an axis, in units of the natural logarithm


@dataclass(frozen=True, eq=False)
class Bins:
    """Errors of one parameter over the plane of T1 and T2.

    Parameters
    ----------
    parameter
        "t1" or "t2".
    t1_edges, t2_edges
        Edges of the bins [s].
    n
        Number of voxels `(T1 bin, T2 bin)`.
    bias, rmse
        Mean and root mean square of the error relative to the reference `(T1 bin, T2 bin)` [1].
        NaN where a bin has fewer than MIN_VOXELS.
    rmse_over_bound
        Over the voxels whose Cramer-Rao bound is known and small `(T1 bin, T2 bin)` [1]. NaN where
        there are fewer than MIN_VOXELS of them.

    """

    parameter: str
    t1_edges: FloatArray
    t2_edges: FloatArray
    n: IndexArray
    bias: FloatArray
    rmse: FloatArray
    rmse_over_bound: FloatArray

    def records(self) -> dict[str, Any]:
        """Plain numbers, times in ms, None in place of NaN."""
        return {
            "parameter": self.parameter,
            "t1_edges_ms": _in_ms(self.t1_edges),
            "t2_edges_ms": _in_ms(self.t2_edges),
            "n": self.n.tolist(),
            "bias": _without_nan(self.bias),
            "rmse": _without_nan(self.rmse),
            "rmse_over_bound": _without_nan(self.rmse_over_bound),
        }


def bins_of(
    reference: Tissue,
    estimate: Mapping[str, ArrayLike],
    bound: Mapping[str, ArrayLike] | None = None,
    *,
    size: int = BINS_PER_AXIS,
) -> list[Bins]:
    """Bins of every parameter of `estimate`.

    Parameters
    ----------
    reference
        Tissue that the estimates are compared with `(voxel,)`.
    estimate, bound
        Estimates and their Cramer-Rao bounds by parameter, `(voxel,)` [s]. Estimates that are not
        positive and finite are left out.
    size
        Number of bins along each axis.

    """
    edges = _edges(reference.t1, size), _edges(reference.t2, size)
    bin_index = _place(reference.t1, edges[0]) * size + _place(reference.t2, edges[1])
    result = []
    for key, column in estimate.items():
        limit = np.full(len(reference), np.nan)
        if bound is not None:
            limit = np.asarray(bound[key], np.float64)
        errors = _Errors(getattr(reference, key), np.asarray(column, np.float64), limit)
        n, tables = _fill(errors, bin_index, size)
        result.append(Bins(key, *edges, n, *tables))
    return result


@dataclass(frozen=True, eq=False)
class _Errors:
    """Reference, estimate and Cramer-Rao bound of one parameter, `(voxel,)` [s]."""

    reference: FloatArray
    estimate: FloatArray
    bound: FloatArray

    def summary(self, voxels: Array) -> tuple[float, float, float]:
        """Bias, RMSE and RMSE / bound of some voxels."""
        reference, bound = self.reference[voxels], self.bound[voxels]
        error = self.estimate[voxels] - reference
        relative = error / reference
        determined = is_determined(reference, bound)
        ratio = np.nan
        if determined.sum() >= MIN_VOXELS:
            ratio = rmse_over_bound(error[determined], bound[determined])
        return float(relative.mean()), float(np.sqrt(np.mean(relative**2))), ratio


def _fill(errors: _Errors, bin_index: IndexArray, size: int) -> tuple[IndexArray, FloatArray]:
    """Voxels per bin `(size, size)`, and bias, RMSE and RMSE / bound `(3, size, size)`."""
    valid = np.isfinite(errors.estimate) & (errors.estimate > 0)
    n = np.bincount(bin_index[valid], minlength=size * size)
    tables = np.full((3, size * size), np.nan)
    for index in np.flatnonzero(n >= MIN_VOXELS):
        tables[:, index] = errors.summary(valid & (bin_index == index))
    return n.reshape(size, size), tables.reshape(3, size, size)


def _edges(values: FloatArray, size: int) -> FloatArray:
    """From the lowest to the highest value, at least _MIN_WIDTH apart."""
    low, high = np.log(values.min()), np.log(values.max())
    half_width = max(high - low, _MIN_WIDTH) / 2
    return np.asarray(np.exp((low + high) / 2 + half_width * np.linspace(-1, 1, size + 1)))


def _place(values: FloatArray, edges: FloatArray) -> IndexArray:
    """Index of the bin of each value; the last bin includes its upper edge."""
    index = np.searchsorted(edges, values, "right") - 1
    return np.asarray(np.clip(index, 0, len(edges) - 2), np.int64)


def _in_ms(edges: FloatArray) -> list[float]:
    return [float(f"{1e3 * edge:.6g}") for edge in edges]


def _without_nan(table: FloatArray) -> list[list[float | None]]:
    return [[_rounded(value) for value in row] for row in table]


def _rounded(value: float) -> float | None:
    if np.isnan(value):
        return None
    return float(f"{value:.4g}")
