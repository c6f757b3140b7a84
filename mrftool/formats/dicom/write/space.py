"""Voxels of maps as DICOM slices: turned to the axes of the series they come from, with position
and orientation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from mrftool.arrays import Float32Array, FloatArray
from mrftool.errors import InputError, MismatchError

_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SQUARE = 1e-3


@dataclass(frozen=True, eq=False)
class Slices:
    """Where the slices `[:, :, k]` of an image lie, in the words of DICOM [mm, LPS].

    orientation: along the rows, then along the columns. spacing: of rows, of columns. positions:
    `(slice, 3)`.
    """

    orientation: FloatArray
    spacing: FloatArray
    positions: FloatArray
    distance: float

    @property
    def normal(self) -> FloatArray:
        """Unit vector across the slices, towards the next."""
        across = np.cross(self.orientation[:3], self.orientation[3:])
        return np.asarray(across / np.linalg.norm(across))


def slices_of(shape: tuple[int, int, int], affine: FloatArray) -> Slices:
    """Where the slices of an image lie.

    Parameters
    ----------
    shape : tuple of int
        Of the image.
    affine : array
        From voxels to RAS `(4, 4)` [mm].

    Raises
    ------
    InputError
        If rows and columns are not at a right angle, which DICOM cannot express.
    """
    lps = _TO_LPS @ affine
    size = np.linalg.norm(lps[:3, :3], axis=0)
    along = lps[:3, :3] / size
    if abs(along[:, 0] @ along[:, 1]) > _SQUARE:
        raise InputError(
            "the affine is sheared: rows and columns of the maps are not at a right angle"
        )
    positions = lps[:3, 3] + np.arange(shape[2])[:, None] * lps[:3, 2]
    return Slices(along[:, :2].T.ravel(), size[[1, 0]], positions, float(size[2]))


def with_axes_of(
    images: Mapping[str, Float32Array], affine: FloatArray, like: FloatArray
) -> tuple[dict[str, Float32Array], FloatArray]:
    """The images with their axes in the order and direction of another one, and their affine.

    Nothing is resampled.

    Parameters
    ----------
    images : mapping
        Images `(x, y, z)` by name.
    affine, like : array
        From voxels to RAS, of the images and of the other one `(4, 4)` [mm].
    """
    cosines = (like[:3, :3] / np.linalg.norm(like[:3, :3], axis=0)).T @ (
        affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    )
    order = abs(cosines).argmax(axis=1)
    if sorted(order) != [0, 1, 2]:
        return dict(images), affine
    shape = np.array(next(iter(images.values())).shape)[order]
    backwards = cosines[range(3), order] < 0
    turn = np.zeros((4, 4))
    turn[3, 3] = 1
    turn[order, range(3)] = np.where(backwards, -1, 1)
    turn[order, 3] = np.where(backwards, shape - 1, 0)
    flipped = tuple(np.flatnonzero(backwards).tolist())
    moved = {name: np.flip(image.transpose(order), flipped) for name, image in images.items()}
    return moved, affine @ turn


def require_same_volume(
    shape: tuple[int, ...],
    affine: FloatArray,
    like_shape: tuple[int, ...],
    like: FloatArray,
    name: str,
) -> None:
    """Raise an error unless two volumes have the same corners to half a voxel.

    Parameters
    ----------
    shape, like_shape : tuple of int
        Of the maps, and of the series that they come from.
    affine, like : array
        From voxels to RAS, of the two `(4, 4)` [mm].
    name : str
        How messages call the series.

    Raises
    ------
    MismatchError
        If their outer corners lie further apart.
    """
    ours, theirs = _corners(shape, affine), _corners(like_shape, like)
    apart = np.linalg.norm(ours[:, None] - theirs[None], axis=2).min(axis=1).max()
    if apart > 0.5 * np.linalg.norm(like[:3, :3], axis=0).max():
        raise MismatchError(
            f"{name}: its volume lies up to {apart:.3g} mm away from that of the maps, expected "
            "the series that they come from"
        )


def _corners(shape: tuple[int, ...], affine: FloatArray) -> FloatArray:
    ends = np.array(list(product(*((-0.5, n - 0.5) for n in shape))))
    return ends @ affine[:3, :3].T + affine[:3, 3]
