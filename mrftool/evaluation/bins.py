"""Errors over the plane of T1 and T2, in bins that are even on logarithmic axes. NumPy only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import FloatArray, IndexArray
from mrftool.physics.calibration import is_determined, rmse_over_bound
from mrftool.tissue import Tissue

BINS = 10  # along each axis
LEAST = 20  # voxels without which a bin says nothing: RMSE / bound of n voxels is known to 1 / sqrt(2 n)


@dataclass(frozen=True, eq=False)
class Bins:
    """Errors of one parameter. t1_edges, t2_edges: of the bins [s]; the rest is `(T1 bin, T2 bin)`.

    n: voxels. bias, rmse: of the error relative to the reference [1]. rmse_over_bound: over voxels
    whose bound is known and small [1]. NaN where there are fewer than LEAST.
    """

    parameter: str
    t1_edges: FloatArray
    t2_edges: FloatArray
    n: IndexArray
    bias: FloatArray
    rmse: FloatArray
    rmse_over_bound: FloatArray

    def records(self) -> dict[str, Any]:
        """Plain numbers, times in ms, None where a bin says nothing."""
        tables = {key: getattr(self, key) for key in ("bias", "rmse", "rmse_over_bound")}
        return {
            "parameter": self.parameter,
            "t1_edges_ms": [float(f"{1e3 * x:.6g}") for x in self.t1_edges],
            "t2_edges_ms": [float(f"{1e3 * x:.6g}") for x in self.t2_edges],
            "n": self.n.tolist(),
            **{
                key: [[None if np.isnan(x) else float(f"{x:.4g}") for x in row] for row in table]
                for key, table in tables.items()
            },
        }


def bins_of(
    reference: Tissue,
    estimate: Mapping[str, ArrayLike],
    bound: Mapping[str, ArrayLike] | None = None,
    *,
    size: int = BINS,
) -> list[Bins]:
    """Bins of every parameter of `estimate`. estimate, bound: columns `(voxel,)` [s]; only positive
    ones count.
    """
    edges = [_edges(values, size) for values in (reference.t1, reference.t2)]
    place = [
        np.clip(np.searchsorted(e, v, "right") - 1, 0, size - 1)
        for e, v in zip(edges, (reference.t1, reference.t2), strict=True)
    ]
    index = place[0] * size + place[1]
    result = []
    for key, column in estimate.items():
        found, true = np.asarray(column, np.float64), getattr(reference, key)
        limit = (
            np.full(len(reference), np.nan) if bound is None else np.asarray(bound[key], np.float64)
        )
        tables = np.full((3, size * size), np.nan)
        valid = np.isfinite(found) & (found > 0)
        n = np.bincount(index[valid], minlength=size * size)
        for bin_ in np.flatnonzero(n >= LEAST):
            here = valid & (index == bin_)
            tables[:, bin_] = _errors(true[here], found[here], limit[here])
        bias, rmse, ratio = tables.reshape(3, size, size)
        result.append(Bins(key, edges[0], edges[1], n.reshape(size, size), bias, rmse, ratio))
    return result


def _edges(values: FloatArray, size: int) -> FloatArray:
    """From the lowest to the highest value, at least a tenth apart."""
    low, high = float(values.min()), float(values.max())
    middle, half = np.log(low * high) / 2, max(np.log(high / low), 0.1) / 2
    return np.asarray(np.exp(middle + half * np.linspace(-1, 1, size + 1)))


def _errors(true: FloatArray, found: FloatArray, bound: FloatArray) -> tuple[float, float, float]:
    relative = found / true - 1
    use = is_determined(true, bound)
    ratio = rmse_over_bound((found - true)[use], bound[use]) if use.sum() >= LEAST else np.nan
    return float(relative.mean()), float(np.sqrt(np.mean(relative**2))), ratio
