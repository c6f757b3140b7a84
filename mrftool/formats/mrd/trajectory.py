"""Trajectories as files keep them: their unit, and which readouts follow the same arm."""

from pathlib import Path

import numpy as np

from mrftool.arrays import Array, FloatArray, IndexArray
from mrftool.errors import InputError
from mrftool.formats.mrd.header import Unit

_GRID = 1e-4  # of the image's Nyquist radius: arms that differ by less are the same
_MOST_BYTES = 4 << 30
# How far along one axis a trajectory reaches, in units of the Nyquist radius: from half coverage to
# the corner of the square.
_LEAST_REACH, _MOST_REACH = 0.5, 1.5
_DIMENSIONS = 2


def in_radians(
    points: Array, matrix: tuple[int, int], unit: Unit | None, name: str
) -> tuple[FloatArray, Unit]:
    """Points `(..., 2)` of a file in rad/pixel, and the unit that they were in.

    Parameters
    ----------
    points
        Of a whole trajectory.
    matrix
        Size of the image.
    unit
        Of the points; None: told from how far they reach, if only one unit fits.
    name
        Of the file, for messages.

    Raises
    ------
    InputError
        If no unit fits, or several do.
    """
    points = np.asarray(points, np.float64)
    if not np.isfinite(points).all():
        raise InputError(f"{name}: its trajectory has points that are not finite numbers")
    scales: dict[Unit, FloatArray] = {
        "1/FOV": 2 * np.pi / np.array(matrix, np.float64),
        "cycles/pixel": np.full(_DIMENSIONS, 2 * np.pi),
        "rad/pixel": np.ones(_DIMENSIONS),
    }
    if unit is None:
        extent = abs(points).reshape(-1, _DIMENSIONS).max(axis=0)
        unit = _fitting_unit(extent, scales, name)
    return points * scales[unit], unit


def _fitting_unit(extent: FloatArray, scales: dict[Unit, FloatArray], name: str) -> Unit:
    reaches = {unit: float((extent * scale).max() / np.pi) for unit, scale in scales.items()}
    fitting = [unit for unit, far in reaches.items() if _LEAST_REACH <= far <= _MOST_REACH]
    if len(fitting) == 1:
        return fitting[0]
    problem = "in none of the known units"
    if fitting:
        problem = f"in {' or '.join(fitting)}"
    raise InputError(
        f"{name}: its trajectory reaches {extent.max():.4g}, which may be {problem}, expected a "
        "trajectory of known unit"
    )


def group_arms(points: FloatArray) -> tuple[FloatArray, IndexArray]:
    """The different arms `(arm, sample, 2)` of readouts `(readout, sample, 2)`, and each one's.

    Points are compared after rounding: files keep them in single precision.
    """
    rounded = np.round(points / (np.pi * _GRID)).astype(np.int32)
    keys = np.ascontiguousarray(rounded.reshape(len(points), -1))
    rows = keys.view(np.dtype((np.void, keys.shape[1] * keys.itemsize)))[:, 0]
    _, first, arm = np.unique(rows, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return points[first[order]], np.asarray(rank[arm.ravel()], np.int64)


def read_trajectory(path: Path) -> FloatArray:
    """Points `(arm, sample, 2)` of an `.npy` file: real with two columns, or complex.

    Raises
    ------
    InputError
        If the file holds no such array.
    """
    points = _load_npy(path)
    if np.iscomplexobj(points) and points.ndim == _DIMENSIONS:
        points = np.stack([points.real, points.imag], axis=-1)
    if points.dtype.kind != "f" or points.ndim != 3 or points.shape[2] not in (2, 3):
        raise InputError(
            f"{path}: an array of {points.dtype} {points.shape}, expected real numbers (readout, "
            "sample, 2) or complex ones (readout, sample)"
        )
    return np.asarray(points[..., :2], np.float64)


def _load_npy(path: Path) -> Array:
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a trajectory (.npy)")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path}: is larger than {_MOST_BYTES >> 30} GB, expected a trajectory")
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}, expected a .npy file") from error
