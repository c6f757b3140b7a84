"""Quantify raw data by one estimate of all voxels: experimental."""

from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.environment.reporter import Reporter
from mrftool.inference.coefficients import model_projection
from mrftool.manifold.table import SignalTable, evaluate_derivatives
from mrftool.maps import Maps
from mrftool.quantities import Flag
from mrftool.reconstruction.conjugate_gradient import conjugate_gradient
from mrftool.reconstruction.coverage import require_covered_square
from mrftool.reconstruction.joint import (
    JointProblem,
    JointSettings,
    Model,
)
from mrftool.reconstruction.reconstruct import Problem, set_up
from mrftool.reconstruction.temporal_basis import temporal_basis
from mrftool.workflows.kspace.reconstruct import Result, whitened_slices

_FAINT = 1e-3  # M0 of voxels without signal at the start, over the median of the others
_AT_START = np.log([1.0, 0.1])  # T1, T2 of those voxels [log s]
_RANK = 10  # of the basis: what it leaves out biases the estimate
_BEYOND = 2  # pixels around the object that are estimated too

EXPERIMENTAL = (
    "The joint estimate is experimental: voxels of several tissues bias their neighbours. Its "
    "error bars hold where each voxel holds one tissue."
)


def maps_of_slices(result: Result, start: Maps, table: SignalTable, reporter: Reporter) -> Maps:
    """Maps of a scan by a joint estimate of each slice, from estimates voxel by voxel."""
    job, parts = result.job, []
    basis = temporal_basis(job.sequence, min(_RANK, len(job.sequence)))
    names = ("t1", "t2", "m0", "flags")
    for index, kspace in enumerate(whitened_slices(job)):
        with reporter.working(f"estimating slice {index} jointly"):
            problem = set_up(
                kspace,
                basis,
                job.request.settings,
                coils=result.slices[index].coils,
                field_map=job.field_of(index),
            )
            images = {name: getattr(start, name)[:, :, index : index + 1] for name in names}
            first = Maps(**images, assumptions=start.assumptions)
            found, _ = estimate_jointly(problem, basis.vectors, table, first, JointSettings())
            parts.append(found)
    together: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=2) for name in names
    }
    extra = {
        name: np.concatenate([part.extra[name] for part in parts], axis=2)
        for name in parts[0].extra
    }
    return Maps(**together, extra=extra, assumptions=parts[0].assumptions)


def estimate_jointly(
    problem: Problem,
    basis: Array,
    table: SignalTable,
    start: Maps,
    settings: JointSettings,
    iterations: int = 20,
) -> tuple[Maps, BoolArray]:
    """Maps of one slice `(x, y, 1)` by a joint estimate, and the pixels that were estimated.

    Parameters
    ----------
    problem : Problem
        The normal equations with a wide basis.
    basis : array
        That basis `(time, K)`.
    table : SignalTable
        Of the sequence.
    start : Maps
        Estimates voxel by voxel `(x, y, 1)`.

    Raises
    ------
    InputError
        If the trajectory does not cover the square of k-space.

    """
    require_covered_square(problem.kspace.trajectory, problem.kspace.matrix)
    known = (start.flags[:, :, 0] & Flag.MASKED) == 0
    mask = _grown(known)
    place, m0 = _start(start, known, mask)
    solution = conjugate_gradient(problem.operator, problem.right_side, iterations)
    level = problem.noise_level(solution)
    trajectory = problem.kspace.trajectory
    scale = float(trajectory.inside[problem.kspace.arm].sum(axis=1).mean())
    joint = JointProblem(problem.operator, _model(table, basis), mask, scale=scale, noise_sd=level)
    found = joint.solve(problem.right_side, place, m0, settings, lambda x: _inside(table, x))
    return _maps(start, known, mask, found.place, found.m0, found.spread), mask


def _grown(mask: BoolArray) -> BoolArray:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, iterations=_BEYOND))


def _start(start: Maps, known: BoolArray, mask: BoolArray) -> tuple[FloatArray, Array]:
    place = np.tile(_AT_START, (*mask.shape, 1))
    place[known] = np.log(np.stack([start.t1[:, :, 0][known], start.t2[:, :, 0][known]], axis=1))
    values = start.m0[:, :, 0].astype(np.complex128)
    faint = _FAINT * np.median(abs(values[known]))
    m0 = np.where(known, values, faint)
    return place[mask], m0[mask]


def _model(table: SignalTable, basis: Array) -> Model:
    projection = model_projection(table, basis)

    def rows(place: FloatArray) -> Array:
        return np.asarray(evaluate_derivatives(table, place) @ projection)

    return rows


def _inside(table: SignalTable, place: FloatArray) -> FloatArray:
    low, high = np.array([(axis.start, axis.stop) for axis in table.fitted_axes]).T
    return np.clip(place, low, high)


def _maps(
    start: Maps,
    known: BoolArray,
    mask: BoolArray,
    place: FloatArray,
    m0: Array,
    spread: FloatArray | None,
) -> Maps:
    """Maps of the voxels that hold an object; flags are those of the start, but for misfit."""
    chosen = known[mask]
    times = np.exp(place[chosen])
    images = {name: np.zeros(known.shape, np.float32) for name in ("t1", "t2", "sd_t1", "sd_t2")}
    images["t1"][known], images["t2"][known] = times.T
    extra = {}
    if spread is not None:
        images["sd_t1"][known], images["sd_t2"][known] = (times * spread[chosen]).T
        extra = {name: images[name][:, :, None] for name in ("sd_t1", "sd_t2")}
    values = np.zeros(known.shape, np.complex64)
    values[known] = m0[chosen]
    return Maps(
        images["t1"][:, :, None],
        images["t2"][:, :, None],
        values[:, :, None],
        start.flags,
        extra,
        (*start.assumptions, EXPERIMENTAL),
    )
