"""The table decoder: a signal table as a differentiable layer from tissue to its fingerprint.

It stands for the EPG engine to within the table's stated error, at a small part of its cost, and
runs wherever torch runs. Beyond the ends of an axis the signal goes on as a straight line, so that
an estimate out there still feels which way to go.
"""

from typing import Any

import torch
from torch import Tensor

from mrftool.manifold.bspline import POLYNOMIALS
from mrftool.manifold.table import SignalTable


class TableDecoder:
    """The table of one sequence, on one device."""

    def __init__(self, table: SignalTable, device: torch.device) -> None:
        self.axes, self.n_fitted, self.is_complex = table.axes, table.n_fitted, not table.is_real
        facts = [[axis.start, axis.step, axis.size - 1] for axis in table.axes]
        self.starts, self.steps, self.last_nodes = torch.tensor(facts, device=device).unbind(dim=1)
        coefficients = torch.from_numpy(table.coefficients)
        if self.is_complex:
            coefficients = torch.view_as_real(coefficients).flatten(-2)
        self.rows = coefficients.flatten(end_dim=-2).float().contiguous().to(device)
        strides = _strides([axis.size + 2 for axis in self.axes])
        self.strides = torch.tensor(strides, device=device)
        self.corners = _corners(strides).to(device)
        # Weights of the four coefficients of a cell from 1, u, u^2, u^3, and those of the slope.
        value = torch.from_numpy(POLYNOMIALS)
        slope = torch.cat([value[1:] * torch.tensor([[1.0], [2.0], [3.0]]), 0 * value[:1]])
        self.polynomials = torch.cat([value, slope], dim=1).float().to(device)

    def __call__(self, logs: Tensor, given: Tensor) -> Tensor:
        """Compressed fingerprints of m0 = 1 `(voxel, rank)` [m0], float32 or complex64.

        Differentiable in log T1 and log T2.

        Parameters
        ----------
        logs
            Log T1 and log T2 `(voxel, 2)` [log s].
        given
            Given parameters that are axes of the table, as the table counts them `(voxel, given)`.
        """
        signal: Tensor = _Spline.apply(self, logs, given)  # type: ignore[no-untyped-call]
        if self.is_complex:
            return torch.view_as_complex(signal.reshape(len(signal), -1, 2))
        return signal

    def signal_and_slopes(self, points: Tensor) -> Tensor:
        """Signal, and its slopes along the fitted axes, at `points` `(voxel, axis)`:
        `(voxel, 1 + fitted, number)`.
        """
        place = torch.nan_to_num((points - self.starts) / self.steps)
        held = torch.minimum(place.clamp_min(0), self.last_nodes)
        cell = torch.minimum(held.floor(), self.last_nodes - 1)
        u = held - cell
        powers = torch.stack([torch.ones_like(u), u, u**2, u**3], dim=2)
        by_axis = (powers @ self.polynomials).unbind(dim=1)
        values = [each[:, :4] for each in by_axis]
        slopes = [each[:, 4:] / axis.step for each, axis in zip(by_axis, self.axes, strict=True)]
        factors = [values]
        factors += [[*values[:k], slopes[k], *values[k + 1 :]] for k in range(self.n_fitted)]
        weights = torch.stack([_products(each) for each in factors], dim=1)
        first = (cell.to(torch.int64) * self.strides).sum(dim=1, keepdim=True)
        index = (first + self.corners).flatten()
        corners = self.rows.index_select(0, index).reshape(len(points), len(self.corners), -1)
        found: Tensor = weights @ corners
        beyond = ((place - held) * self.steps)[:, : self.n_fitted, None]
        found[:, 0] += (beyond * found[:, 1:]).sum(dim=1)
        return found


class _Spline(torch.autograd.Function):
    """The slopes come with the signal; they are all that backward needs."""

    @staticmethod
    def forward(ctx: Any, decoder: TableDecoder, logs: Tensor, given: Tensor) -> Tensor:
        found = decoder.signal_and_slopes(torch.cat([logs, given], dim=1))
        ctx.save_for_backward(found[:, 1:])
        return found[:, 0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return None, (slopes @ gradient[:, :, None])[:, :, 0], None


def _products(factors: list[Tensor]) -> Tensor:
    """Products of all combinations `(voxel, 4^axes)` of weights `(voxel, 4)` along each axis."""
    product = factors[0]
    for factor in factors[1:]:
        product = (product[:, :, None] * factor[:, None, :]).flatten(1)
    return product


def _strides(sizes: list[int]) -> list[int]:
    """Rows from a coefficient to the next along each axis."""
    strides = [1]
    for size in sizes[:0:-1]:
        strides.insert(0, strides[0] * size)
    return strides


def _corners(strides: list[int]) -> Tensor:
    """Rows from the first coefficient that a point touches to all of them `(4^axes,)`."""
    corners = torch.zeros(1, dtype=torch.int64)
    for stride in strides:
        corners = (corners[:, None] + stride * torch.arange(4)).flatten()
    return corners
