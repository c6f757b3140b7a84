"""Trajectories as files keep them: their unit, and which readouts follow the same arm."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.arrays import Array, FloatArray, IndexArray
from mrftool.errors import InputError
from mrftool.formats.arrays.numpy_file import read_npy
from mrftool.formats.mrd.header import Unit
from mrftool.formats.sequence.pulseq.kspace import read_kspace

_GRID = 1e-4  # of the image's Nyquist radius: arms that differ by less are the same
_MOST_BYTES = 4 << 30
# How far along one axis a trajectory reaches, in units of the Nyquist radius: from half coverage to
# the corner of the square.
_LEAST_REACH, _MOST_REACH = 0.5, 1.5
# Beyond these the unit, or the size of the image, is another than the one stated.
_LEAST_POSSIBLE, _MOST_POSSIBLE = 0.25, 3.0
_DIMENSIONS = 2
_PULSEQ = ".seq"


@dataclass(frozen=True)
class Plane:
    """Matrix and edges [mm] of an image in the plane."""

    matrix: tuple[int, int]
    field_of_view: tuple[float, float]

    def scales(self) -> dict[Unit, FloatArray]:
        """What a number of each unit is along x and y [rad/pixel]."""
        pixels = np.array(self.matrix, np.float64)
        metres = np.array(self.field_of_view) * 1e-3
        return {
            "1/FOV": 2 * np.pi / pixels,
            "1/m": 2 * np.pi * metres / pixels,
            "cycles/pixel": np.full(_DIMENSIONS, 2 * np.pi),
            "rad/pixel": np.ones(_DIMENSIONS),
        }


def in_radians(
    points: Array, plane: Plane, unit: Unit | None, name: str
) -> tuple[FloatArray, Unit]:
    """Points `(..., 2)` of a file in rad/pixel, and the unit that they were in.

    Parameters
    ----------
    points
        Of a whole trajectory.
    plane
        Size of the image.
    unit
        Of the points; None: told from how far they reach, if only one unit fits.
    name
        Of the file, for messages.

    Raises
    ------
    InputError
        If no unit fits, or several do, or if the unit stated is impossible.
    """
    points = np.asarray(points, np.float64)
    if not np.isfinite(points).all():
        raise InputError(f"{name}: its trajectory has points that are not finite numbers")
    scales = plane.scales()
    extent = abs(points).reshape(-1, _DIMENSIONS).max(axis=0)
    reaches = {each: float((extent * scale).max() / np.pi) for each, scale in scales.items()}
    if unit is None:
        unit = _fitting_unit(float(extent.max()), reaches, name)
    elif not _LEAST_POSSIBLE <= reaches[unit] <= _MOST_POSSIBLE:
        raise InputError(
            f"{name}: its trajectory reaches {extent.max():.4g} {unit}, which is "
            f"{reaches[unit]:.3g} times the Nyquist frequency of the image, expected about 1",
            arguments=("trajectory_unit",),
        )
    return points * scales[unit], unit


def _fitting_unit(extent: float, reaches: dict[Unit, float], name: str) -> Unit:
    fitting = [unit for unit, far in reaches.items() if _LEAST_REACH <= far <= _MOST_REACH]
    if len(fitting) == 1:
        return fitting[0]
    problem = "in none of the known units"
    if fitting:
        problem = f"in {' or '.join(fitting)}"
    raise InputError(
        f"{name}: its trajectory reaches {extent:.4g}, which may be {problem}, expected a "
        "trajectory of known unit",
        arguments=("trajectory_unit",),
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


def read_trajectory(path: Path) -> tuple[FloatArray, Unit | None]:
    """Points `(arm, sample, 2)` of a file, and their unit where the file tells.

    `.npy`: real with two or three columns, or complex. `.seq`: what the gradients of a Pulseq file
    play, readout by readout.

    Raises
    ------
    InputError
        If the file holds no such points.
    """
    if path.suffix.lower() == _PULSEQ:
        return read_kspace(path)[..., :_DIMENSIONS], "1/m"
    points = _load_npy(path)
    if np.iscomplexobj(points) and points.ndim == _DIMENSIONS:
        points = np.stack([points.real, points.imag], axis=-1)
    if points.dtype.kind != "f" or points.ndim != 3 or points.shape[2] not in (2, 3):
        raise InputError(
            f"{path}: an array of {points.dtype} {points.shape}, expected real numbers (readout, "
            "sample, 2) or complex ones (readout, sample)"
        )
    return np.asarray(points[..., :_DIMENSIONS], np.float64), None


def _load_npy(path: Path) -> Array:
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a trajectory (.npy or .seq)")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path}: is larger than {_MOST_BYTES >> 30} GB, expected a trajectory")
    return read_npy(path)
