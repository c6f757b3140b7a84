"""T1, T2 and M0 from coefficient images: least squares against a table, weighted by the covariance.

The table's fingerprints are projected onto the basis of the images. Each voxel's coefficients and
the model are whitened by its covariance, and fitted by least squares.

Standard deviations are those of noise (type A). How much larger the residuals around a voxel are
than noise explains is a map of its own; the systematic part (type B) takes this excess for further
noise.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray, Float32Array, FloatArray, IndexArray, Progress, Range
from mrftool.errors import MismatchError
from mrftool.inference.coefficient_fit import (
    TINY,
    Fit,
    TableInBasis,
    best_on_grid,
    grid_places,
    refined,
)
from mrftool.inference.local_misfit import local_misfit
from mrftool.inference.session import check_given
from mrftool.manifold.parameters import parameter_named
from mrftool.manifold.table import SignalTable, evaluate_derivatives
from mrftool.maps import Maps
from mrftool.physics.quantiles import chi_square_exceeded
from mrftool.quantities import Flag
from mrftool.scan.coefficients import CoefficientImages

FALSE_ALARM = 1e-3  # of MISFIT, for a voxel of the right model and Gaussian noise
UNDETERMINED = 0.5  # a relative standard deviation above this does not determine a value [1]
_N_FITTED = 4  # T1, T2 and the two parts of m0
_BLOCK = 4096  # voxels at a time
_LEFT_OUT = 0.2  # median share of the model's norm that a basis of another sequence leaves out


def quantify_coefficients(
    series: CoefficientImages,
    table: SignalTable,
    *,
    t1_range: Range,
    t2_range: Range,
    mask: BoolArray | None = None,
    progress: Progress | None = None,
    **given: Float32Array | None,
) -> Maps:
    """Maps of coefficient images.

    Parameters
    ----------
    series
        The images, their basis and covariance. Without covariance, all coefficients weigh alike and
        the maps have no standard deviations and no misfit flags.
    table
        Of the sequence that made the data.
    t1_range, t2_range
        Estimates outside are flagged [s].
    mask
        Voxels that count `(x, y, z)`; by default those of the images' own mask.
    progress
        Called with the number of voxels done since the last call.
    given
        Maps of the parameters that the table takes, by name `(x, y, z)`: b1, actual over nominal
        flip angle [1].

    Raises
    ------
    MismatchError
        If table, basis, given maps or mask do not belong to the images.
    """
    model = _model(series, table, given)
    voxels = _voxels(series, mask)
    columns = np.zeros((len(voxels), len(table.given)))
    for k, parameter in enumerate(table.given):
        image = given[parameter.name]
        if image is not None:
            columns[:, k] = image.reshape(-1)[voxels]
    fits = list(_fits(series, model, voxels, columns, progress))
    fit = Fit(*(np.concatenate([getattr(part, key) for part in fits]) for key in _keys()))
    degrees = 2 * series.rank - _N_FITTED
    local = np.ones(len(voxels))
    if series.covariance is not None:
        local = local_misfit(fit.misfit, degrees, voxels, series.shape)
    flags = _flags(series, fit, local, (t1_range, t2_range))
    return _maps(series, voxels, fit, local, flags)


def model_projection(table: SignalTable, basis: Array) -> Array:
    """Coefficients in `basis` `(time, K)` of each vector of the table's basis `(rank, K)`.

    Raises
    ------
    MismatchError
        If the basis has another length, or leaves out too much: it is of another sequence.
    """
    vectors = table.basis.vectors
    if len(vectors) != len(basis):
        raise MismatchError(
            f"a basis of {len(basis)} time points, expected {len(vectors)} as the sequence"
        )
    projection = vectors.T @ basis.conj()
    left_out = _left_out(table, projection)
    if left_out > _LEFT_OUT:
        raise MismatchError(
            f"the basis leaves out {left_out:.0%} of the sequence's fingerprints, expected a basis "
            "of the same sequence"
        )
    return np.asarray(projection)


def _left_out(table: SignalTable, projection: Array) -> float:
    """Median over the grid of the relative norm that the projection leaves out [1]."""
    places = grid_places(table)
    middle = [(axis.start + axis.stop) / 2 for axis in table.given_axes]
    points = np.concatenate([places, np.tile(middle, (len(places), 1))], axis=1)
    rows = evaluate_derivatives(table, points)[:, 0]
    kept = np.linalg.norm(rows @ projection, axis=1) / np.linalg.norm(rows, axis=1)
    return float(np.sqrt(np.maximum(1 - np.median(kept) ** 2, 0)))


def _keys() -> tuple[str, ...]:
    return tuple(Fit.__dataclass_fields__)


def _model(
    series: CoefficientImages, table: SignalTable, given: Mapping[str, Array | None]
) -> TableInBasis:
    if table.form != "complex":
        raise MismatchError("a model of magnitudes, expected one of complex signals")
    known = series.sequence_id
    if known is not None and known != table.sequence_id:
        raise MismatchError(
            f"{series.name}: made with sequence {known}, expected {table.sequence_id} as the model"
        )
    images = {name: image for name, image in given.items() if image is not None}
    check_given([parameter.name for parameter in table.given], images)
    _check_shapes(series, images)
    return TableInBasis(table, model_projection(table, series.basis))


def _check_shapes(series: CoefficientImages, images: Mapping[str, Array]) -> None:
    for name, image in images.items():
        if image.shape != series.shape:
            label = parameter_named(name).label
            raise MismatchError(
                f"the {label} map has shape {image.shape}, expected {series.shape} as {series.name}"
            )


def _voxels(series: CoefficientImages, mask: BoolArray | None) -> IndexArray:
    """Flat indices of the voxels that count."""
    chosen = series.mask if mask is None else mask
    if chosen is None:
        return np.arange(np.prod(series.shape))
    if chosen.shape != series.shape:
        raise MismatchError(
            f"the mask has shape {chosen.shape}, expected {series.shape} as {series.name}"
        )
    return np.flatnonzero(chosen)


def _fits(
    series: CoefficientImages,
    model: TableInBasis,
    voxels: IndexArray,
    given: FloatArray,
    progress: Progress | None,
) -> Iterator[Fit]:
    """Fits of the voxels, block by block."""
    rows = series.images.reshape(-1, series.rank)
    factors = _whitening(series, voxels)
    mean = _typical(factors)
    for start in range(0, max(len(voxels), 1), _BLOCK):
        chosen = voxels[start : start + _BLOCK]
        own = factors[start : start + _BLOCK] if factors.ndim == 3 else factors
        field = given[start : start + _BLOCK]
        values = np.nan_to_num(rows[chosen].astype(np.complex128))
        place = best_on_grid(model, values @ mean.T, mean, field)
        yield refined(model, values, own, place, field)
        if progress is not None:
            progress(len(chosen))


def _typical(factors: Array) -> Array:
    """The mean of whitening factors up to scale, so that no voxel counts for more than another."""
    if factors.ndim == 2:
        return factors
    sizes = np.linalg.norm(factors, axis=(1, 2), keepdims=True)
    return np.asarray(np.nan_to_num(factors / sizes).mean(axis=0))


def _whitening(series: CoefficientImages, voxels: IndexArray) -> Array:
    """W with W C W^H = 1, `(voxel, K, K)` or `(K, K)`; the identity where C is not known."""
    covariance = series.covariance
    if covariance is None:
        return np.eye(series.rank)
    if covariance.ndim > 2:
        covariance = covariance.reshape(-1, *covariance.shape[-2:])[voxels]
    exact = covariance.astype(np.result_type(covariance.dtype, np.float64))
    try:
        return np.asarray(np.linalg.inv(np.linalg.cholesky(exact)))
    except np.linalg.LinAlgError as error:
        raise MismatchError(
            f"{series.name}: the covariance is not positive definite in every voxel"
        ) from error


def _flags(
    series: CoefficientImages, fit: Fit, local: FloatArray, ranges: tuple[Range, Range]
) -> Array:
    low, high = np.log(np.array(ranges)).T
    outside = ((fit.place < low) | (fit.place > high)).any(axis=1)
    flags = outside * int(Flag.OUT_OF_RANGE)
    if series.covariance is not None:
        limit = chi_square_exceeded(2 * series.rank - _N_FITTED, FALSE_ALARM)
        flags = flags + (fit.misfit > limit) * int(Flag.MISFIT)
        wide = _relative_sd(fit) * np.sqrt(local)[:, None] > UNDETERMINED
        flags = flags + wide[:, 0] * int(Flag.T1_UNDETERMINED)
        flags = flags + wide[:, 1] * int(Flag.T2_UNDETERMINED)
    return np.asarray(np.where(fit.total > 0, flags, int(Flag.MASKED)), np.uint8)


def _relative_sd(fit: Fit) -> FloatArray:
    """Standard deviations of log T1 and log T2 for noise alone `(voxel, 2)`."""
    return np.asarray(np.sqrt(np.diagonal(fit.spread, axis1=1, axis2=2)))


def _uncertainties(fit: Fit, local: FloatArray) -> dict[str, FloatArray]:
    """Random, systematic and combined standard uncertainties [s], and the local misfit [1]."""
    columns = {"local_misfit": local}
    random = (np.exp(fit.place) * _relative_sd(fit)).T
    for name, own in zip(("t1", "t2"), random, strict=True):
        columns[f"sd_{name}"] = own
        columns[f"systematic_{name}"] = own * np.sqrt(local - 1)
        columns[f"combined_{name}"] = own * np.sqrt(local)
    return columns


def _maps(
    series: CoefficientImages, voxels: IndexArray, fit: Fit, local: FloatArray, flags: Array
) -> Maps:
    """Images of the columns; voxels with non-finite input are NaN, those left out 0."""
    values = series.images.reshape(-1, series.rank)[voxels]
    bad = ~np.isfinite(values.view(np.float32)).all(axis=1) | ~np.isfinite(fit.total)
    flags = np.where(bad, np.uint8(Flag.NON_FINITE), flags)
    times = np.exp(fit.place)
    columns: dict[str, Array] = {"t1": times[:, 0], "t2": times[:, 1], "m0": fit.m0}
    extra: dict[str, Array] = {"residual": np.sqrt(fit.misfit / np.maximum(fit.total, TINY))}
    if series.covariance is not None:
        extra |= _uncertainties(fit, local)
    empty = flags & int(Flag.MASKED) > 0
    images = {
        name: _image(np.where(bad, np.nan, np.where(empty, 0, column)), voxels, series.shape)
        for name, column in (columns | extra).items()
    }
    all_flags = np.full(series.shape, int(Flag.MASKED), np.uint8)
    all_flags.reshape(-1)[voxels] = flags
    first: dict[str, Any] = {name: images.pop(name) for name in columns}
    return Maps(**first, flags=all_flags, extra=images, assumptions=series.assumptions)


def _image(column: Array, voxels: IndexArray, shape: tuple[int, int, int]) -> Array:
    dtype = np.complex64 if np.iscomplexobj(column) else np.float32
    image = np.zeros(shape, dtype)
    image.reshape(-1)[voxels] = column
    return image
