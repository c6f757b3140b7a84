"""The covariance of a scan's noise over time, from an array file."""

from pathlib import Path

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError, MismatchError
from mrftool.formats.arrays.array_file import read_array

_MOST_FRAMES = 5000  # a matrix of them has 200 MB
_ASYMMETRY = 1e-6  # of the largest number
_LEAST_EIGENVALUE = -1e-6  # of the largest


def read_noise_covariance(path: Path, n_time: int) -> FloatArray:
    """Covariance of the noise in each channel `(time, time)` [scanner's unit, squared].

    Parameters
    ----------
    path
        Array file of a matrix `(time, time)`, or of the autocovariance `(lag,)` of stationary
        noise, from lag 0 on. Numbers relative to the variance are as good.
    n_time
        Number of frames of the scan.

    Raises
    ------
    InputError
        If no noise has such a covariance.
    MismatchError
        If it is of another number of frames.
    """
    values = np.squeeze(read_array(path))
    if values.size > n_time * n_time:  # before any number is read: files are mapped
        raise _other_size(values.shape, n_time, path)
    if np.iscomplexobj(values) or not np.isfinite(values).all():
        raise InputError(f"{path}: expected finite real numbers, of the noise in each channel")
    values = values.astype(np.float64)
    if n_time > _MOST_FRAMES:
        raise MismatchError(f"{path}: {n_time} frames, expected up to {_MOST_FRAMES}")
    if values.ndim == 1:
        values = _of_lags(values, n_time, path)
    if values.shape != (n_time, n_time):
        raise _other_size(values.shape, n_time, path)
    _require_covariance(values, path)
    return values


def _other_size(shape: tuple[int, ...], n_time: int, path: Path) -> MismatchError:
    shown = " x ".join(map(str, shape)) or "1"
    return MismatchError(
        f"{path}: {shown} numbers, expected {n_time} x {n_time}, or the autocovariance from "
        "lag 0 on"
    )


def _of_lags(autocovariance: FloatArray, n_time: int, path: Path) -> FloatArray:
    """The matrix of stationary noise, whose covariance is 0 at lags beyond."""
    if not 0 < len(autocovariance) <= n_time:
        raise MismatchError(f"{path}: {len(autocovariance)} lags, expected 1 to {n_time}")
    lags = np.zeros(n_time)
    lags[: len(autocovariance)] = autocovariance
    frames = np.arange(n_time)
    return np.asarray(lags[np.abs(frames[:, None] - frames)])


def _require_covariance(values: FloatArray, path: Path) -> None:
    largest = np.abs(values).max()
    if largest == 0 or np.diagonal(values).min() <= 0:
        raise InputError(f"{path}: a variance that is not positive, expected one above 0")
    if np.abs(values - values.T).max() > _ASYMMETRY * largest:
        raise InputError(f"{path}: the matrix is not symmetric, expected a covariance")
    eigenvalues = np.linalg.eigvalsh(values)
    if eigenvalues[0] < _LEAST_EIGENVALUE * eigenvalues[-1]:
        raise InputError(
            f"{path}: an eigenvalue is {eigenvalues[0]:.3g}, expected none below 0 as of a "
            "covariance"
        )
