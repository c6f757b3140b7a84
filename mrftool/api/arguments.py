"""What the functions of the API take: values, files, or the names of shipped ones."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import Array, BoolArray, Float32Array
from mrftool.errors import ArgumentError
from mrftool.fingerprints import Fingerprints
from mrftool.formats.open_scan import open_scan
from mrftool.manifold.parameters import GIVEN
from mrftool.plausibility import doubt
from mrftool.scan.series import Series, series_from_array
from mrftool.sequence import PulseSequence

SequenceLike = PulseSequence | str | Path
Scan = Series | Fingerprints | str | Path | ArrayLike


def as_series(scan: Scan) -> Series:
    """A scan: as it is, from its file, from fingerprints, or from an array."""
    if isinstance(scan, Series):
        return scan
    if isinstance(scan, str | Path):
        return open_scan(Path(scan))
    if isinstance(scan, Fingerprints):
        series = series_from_array(_voxels_along_x(scan.signal), name="fingerprints")
        return replace(series, sidecar={"sequence_id": scan.sequence_id})
    array = np.asarray(scan)
    if array.ndim == 2:
        array = _voxels_along_x(array)
    return series_from_array(array)


def _voxels_along_x(signal: Array) -> Array:
    """An image `(voxel, 1, 1, time)` of a list of signals `(voxel, time)`."""
    return signal[:, np.newaxis, np.newaxis]


def as_mask(mask: ArrayLike | None) -> BoolArray | None:
    """A mask as an array of truth values."""
    if mask is None:
        return None
    return np.asarray(mask, bool)


def given_maps(given: Mapping[str, ArrayLike]) -> dict[str, Float32Array]:
    """Maps of parameters that models take, by name.

    Raises
    ------
    ArgumentError
        If there is no such parameter, or the median of its map is most likely in another unit.
    """
    known = [parameter.name for parameter in GIVEN]
    maps: dict[str, Float32Array] = {}
    for name, image in given.items():
        if name not in known:
            raise ArgumentError(
                f"there is no argument {name!r}; models take maps of {', '.join(known)}"
            )
        maps[name] = np.asarray(image, np.float32)
        _require_unit(name, maps[name])
    return maps


def _require_unit(name: str, image: Float32Array) -> None:
    known = image[np.isfinite(image) & (image > 0)]
    if known.size:
        text = doubt(name, float(np.median(known)))
        if text:
            raise ArgumentError(f"the median of the map: {text}")


def path_or_none(path: str | Path | None) -> Path | None:
    """A path, where one is given."""
    if path is None:
        return None
    return Path(path)
