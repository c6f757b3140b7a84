"""Siemens mosaics: one image that holds all slices of a volume as tiles, taken apart into planes.

The layout, and the corner that ImagePositionPatient means, are described in nibabel's notes
"Siemens mosaic" and "Siemens format DICOM with CSA header" (nipy.org/nibabel/dicom).
"""

import math
from dataclasses import replace

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.dicom.read.plane import Plane

_MAX_TILES = 1024
_CONVERT = "convert the series with dcm2niix and give the NIfTI file"


def is_mosaic(plane: Plane) -> bool:
    """True if the image holds several slices side by side."""
    return "MOSAIC" in _words(plane) or plane.values.get("MosaicTiles", 0) > 1


def tiles_of(plane: Plane) -> list[Plane]:
    """The slices of a mosaic, each with its own position; the plane itself if it is none.

    Raises
    ------
    InputError
        If the header does not say how the tiles lie, and for the mosaics of other makers.
    """
    _require_known_layout(plane)
    if not is_mosaic(plane):
        return [plane]
    n_tiles = plane.number("MosaicTiles", 1, _MAX_TILES)
    across = math.ceil(math.sqrt(n_tiles))
    full = plane.number("Rows", 1, 4096), plane.number("Columns", 1, 4096)
    if full[0] % across or full[1] % across:
        raise InputError(
            f"{plane.name}: {full[0]} x {full[1]} pixels do not hold {across} x {across} tiles "
            f"of a Siemens mosaic"
        )
    size = full[0] // across, full[1] // across
    first, step = _first_corner(plane, full, size), _step(plane)
    tiles = []
    for number in range(n_tiles):
        row, column = divmod(number, across)
        position = (first + number * step).tolist()
        own = {"Rows": size[0], "Columns": size[1], "ImagePositionPatient": position}
        corner = (row * size[0], column * size[1])
        tiles.append(replace(plane, values={**plane.values, **own}, full=full, corner=corner))
    return tiles


def _require_known_layout(plane: Plane) -> None:
    """Raise InputError for slices side by side whose layout is not known."""
    if "VFRAME" in _words(plane):
        raise InputError(
            f"{plane.name}: holds slices side by side (VFRAME), expected one slice", hint=_CONVERT
        )
    if is_mosaic(plane) and "MosaicTiles" not in plane.values:
        raise InputError(
            f"{plane.name}: is a Siemens mosaic that does not say how many slices it holds",
            hint=_CONVERT,
        )


def _words(plane: Plane) -> list[str]:
    words = plane.values.get("ImageType")
    if isinstance(words, list):
        return words
    return []


def _first_corner(plane: Plane, full: tuple[int, int], size: tuple[int, int]) -> FloatArray:
    """Where the first tile begins [mm LPS]: the header gives the corner that the whole mosaic would
    have.
    """
    along = np.asarray(plane.vector("ImageOrientationPatient", 6)).reshape(2, 3)
    spacing = plane.vector("PixelSpacing", 2)
    shift = (
        along[0] * spacing[1] * (full[1] - size[1]) / 2
        + along[1] * spacing[0] * (full[0] - size[0]) / 2
    )
    return np.asarray(np.asarray(plane.vector("ImagePositionPatient", 3)) + shift, np.float64)


def _step(plane: Plane) -> FloatArray:
    """From one tile to the next [mm LPS]: the direction is only in Siemens' own header."""
    distance = plane.values.get("SpacingBetweenSlices")
    if (
        "SliceNormal" not in plane.values
        or not isinstance(distance, int | float)
        or not distance > 0
    ):
        raise InputError(
            f"{plane.name}: is a Siemens mosaic without SpacingBetweenSlices or SliceNormalVector",
            hint=_CONVERT,
        )
    return np.asarray(plane.vector("SliceNormal", 3)) * distance
