"""Where the planes of a series lie: slices from positions and orientations, and the affine of the
volume.

Image plane attributes: DICOM PS3.3 C.7.6.2. DICOM counts millimetres to the patient's left, back
and head (LPS); affines count to the right, front and head (RAS+), so the signs of the first two
rows change.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.dicom.read.plane import Plane

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME_PLACE = 0.05  # [mm] planes closer than this are one slice
_SAME_DIRECTION = 1e-3
_UNEVEN = 0.01  # of the slice distance


@dataclass(frozen=True)
class Stack:
    """slices: the planes of each slice, along the normal. affine: (column, row, slice) to RAS+
    [mm].
    """

    slices: list[list[Plane]]
    affine: FloatArray
    notes: tuple[str, ...]


def stack_of(planes: Sequence[Plane]) -> Stack:
    """Sorts planes into slices and finds the affine of the volume.

    Raises InputError if planes are not parallel, lie beside each other, or if the slices are not
    evenly spaced or do not hold the same number of planes.
    """
    rows, columns, normal = _orientation(planes)
    spacing = _common(planes, "PixelSpacing", 2)
    if min(spacing) <= 0:
        raise InputError(
            f"{planes[0].name}: PixelSpacing is {spacing}, expected lengths of more than 0 mm"
        )
    slices, positions = _slices(planes, normal)
    _even_counts(slices, positions @ normal)
    step, notes = _step(slices, positions, normal)
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = rows * spacing[1], columns * spacing[0]
    lps[:3, 2], lps[:3, 3] = step, positions[0]
    return Stack(slices, _LPS_TO_RAS @ lps, notes)


def _orientation(planes: Sequence[Plane]) -> tuple[FloatArray, ...]:
    """Unit vectors along the rows, along the columns, and normal to both."""
    cosines = np.asarray(_common(planes, "ImageOrientationPatient", 6)).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1)
    if abs(lengths - 1).max() > _SAME_DIRECTION or abs(cosines[0] @ cosines[1]) > _SAME_DIRECTION:
        raise InputError(
            f"{planes[0].name}: ImageOrientationPatient is {cosines.ravel()}, expected two unit "
            f"vectors"
        )
    rows, columns = cosines / lengths[:, None]
    normal = np.cross(rows, columns)
    return rows, columns, normal / np.linalg.norm(normal)


def _common(planes: Sequence[Plane], key: str, length: int) -> tuple[float, ...]:
    """A vector that all planes share."""
    vectors = [plane.vector(key, length) for plane in planes]
    odd = np.flatnonzero(abs(np.asarray(vectors) - vectors[0]).max(axis=1) > _SAME_DIRECTION)
    if odd.size:
        raise InputError(
            f"{planes[odd[0]].name}: {key} {vectors[odd[0]]} is not that of {planes[0].name}, "
            f"{vectors[0]}: "
            "expected one stack of parallel slices"
        )
    return vectors[0]


def _slices(planes: Sequence[Plane], normal: FloatArray) -> tuple[list[list[Plane]], FloatArray]:
    """Planes of each slice, and the positions of the slices `(slice, 3)` [mm LPS], both along the
    normal.
    """
    positions = np.asarray([plane.vector("ImagePositionPatient", 3) for plane in planes])
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(heights[order]) > _SAME_PLACE) + 1)
    for group in groups:
        apart = abs(positions[group] - positions[group[0]]).max(axis=1)
        if apart.max() > 2 * _SAME_PLACE:
            other = planes[group[int(apart.argmax())]]
            raise InputError(
                f"{other.name}: lies {apart.max():.3g} mm beside {planes[group[0]].name} in the "
                f"same plane, "
                "expected one stack of slices"
            )
    return [[planes[n] for n in group] for group in groups], positions[
        [group[0] for group in groups]
    ]


def _even_counts(slices: list[list[Plane]], heights: FloatArray) -> None:
    counts = [len(planes) for planes in slices]
    usual = max(set(counts), key=counts.count)
    for planes, height in zip(slices, heights, strict=True):
        if len(planes) != usual:
            raise InputError(
                f"{planes[0].name}: its slice at {height:.4g} mm has {len(planes)} images, the "
                f"others {usual}: "
                "expected every slice at every time"
            )


def _step(
    slices: list[list[Plane]], positions: FloatArray, normal: FloatArray
) -> tuple[FloatArray, tuple[str, ...]]:
    """From one slice to the next `(3,)` [mm LPS], and what had to be assumed."""
    if len(slices) == 1:
        return _thickness(slices[0][0], normal)
    step = (positions[-1] - positions[0]) / (len(slices) - 1)
    even = positions[0] + np.arange(len(slices))[:, None] * step
    gaps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    size = np.median(gaps)
    odd = int(np.argmax(abs(gaps - size)))
    if abs(positions - even).max() > max(_UNEVEN * size, 2 * _SAME_PLACE / 10):
        raise InputError(
            f"{slices[odd][0].name}: {gaps[odd]:.4g} mm from its slice to the next, elsewhere "
            f"{size:.4g} mm: "
            "expected even spacing; is a slice missing?"
        )
    return step, ()


def _thickness(plane: Plane, normal: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    for key in ("SpacingBetweenSlices", "SliceThickness"):
        value = plane.values.get(key)
        if isinstance(value, int | float) and 0 < value < np.inf:
            return normal * value, ()
    return normal * 1.0, ("The slice thickness is not stated: taken as 1 mm.",)
