"""Conjugate gradients for Hermitian positive systems, from zero.

M. R. Hestenes, E. Stiefel, J Res Natl Bur Stand 49:409 (1952). The extreme eigenvalues follow from
the steps, as in Y. Saad, Iterative Methods for Sparse Linear Systems (2003), section 6.7.3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, FloatArray, Progress
from mrftool.errors import CheckFailedError

Operator = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Solution:
    """What the iterations reached.

    x: the solution. residuals: norm of what is left, relative to the right side, after each
    iteration `(iteration,)` [1]. condition: ratio of the extreme eigenvalues that the iterations
    have seen [1].
    """

    x: Array
    residuals: FloatArray
    condition: float


def conjugate_gradient(
    operator: Operator,
    right_side: Array,
    iterations: int,
    *,
    precondition: Operator | None = None,
    tolerance: float = 0.0,
    progress: Progress | None = None,
) -> Solution:
    """Solve operator(x) = right_side by at most `iterations` steps.

    Parameters
    ----------
    operator
        Hermitian and positive.
    precondition
        An approximate inverse of the operator, Hermitian and positive.
    tolerance
        Relative residual at which to stop [1].
    progress
        Called with 1 after each iteration.

    Raises
    ------
    CheckFailedError
        If the numbers grow beyond what they can hold.
    """
    x = np.zeros_like(right_side)
    residual = right_side.copy()
    size = np.sqrt(_inner(right_side, right_side)) or 1.0
    seen = residual if precondition is None else precondition(residual)
    direction, energy = seen.copy(), _inner(residual, seen)
    residuals: list[float] = []
    steps: list[float] = []
    ratios: list[float] = []
    for _ in range(iterations):
        image = operator(direction)
        curvature = _inner(direction, image)
        _require_finite(curvature, energy)
        if curvature <= 0:
            break
        steps.append(energy / curvature)
        x += steps[-1] * direction
        residual -= steps[-1] * image
        residuals.append(float(np.sqrt(_inner(residual, residual)) / size))
        if progress is not None:
            progress(1)
        if residuals[-1] <= tolerance:
            break
        seen = residual if precondition is None else precondition(residual)
        previous, energy = energy, _inner(residual, seen)
        ratios.append(energy / previous)
        direction = seen + ratios[-1] * direction
    return Solution(x, np.array(residuals), _condition(steps, ratios))


def _require_finite(*values: float) -> None:
    if not np.isfinite(values).all():
        raise CheckFailedError(
            "the reconstruction does not converge: its numbers are no longer finite, expected "
            "samples and coil maps of usual size"
        )


def _inner(a: Array, b: Array) -> float:
    return float(np.vdot(a, b).real)


def _condition(steps: list[float], ratios: list[float]) -> float:
    """Ratio of the extreme eigenvalues of the Lanczos matrix of the iterations."""
    if not steps:
        return 1.0
    step, ratio = np.array(steps), np.array([0.0, *ratios])[: len(steps)]
    diagonal = 1 / step
    diagonal[1:] += ratio[1:] / step[:-1]
    beside = np.sqrt(ratio[1:]) / step[:-1]
    values = np.linalg.eigvalsh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return float(values[-1] / max(values[0], np.finfo(float).tiny))
