"""Whether two images lie on the same voxels."""

from itertools import product
from pathlib import Path
from typing import Protocol

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import MismatchError
from mrftool.grid import Placement

# Of the shortest edge of a voxel: more than the rounding of float32 headers, less than any shift.
_TOLERANCE = 0.02


class Placed(Protocol):
    """Anything with voxels in space: a series, the header of a file."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size `(x, y, z)`."""

    @property
    def placement(self) -> Placement:
        """Place in the scanner."""


def have_same_voxels(image: Placed, other: Placed) -> bool:
    """True if the shapes are equal, and no voxel is displaced by more than 2 % of its shortest
    edge.
    """
    return image.shape == other.shape and _shift(image, other) <= _allowed_shift(other)


def require_same_voxels(
    name: str | Path, image: Placed, other_name: str | Path, other: Placed
) -> None:
    """Raises MismatchError unless the images have the same voxels."""
    if image.shape != other.shape:
        raise MismatchError(
            f"{name}: has {sizes(image.shape)} voxels, "
            f"expected {sizes(other.shape)} as {other_name}"
        )
    if not have_same_voxels(image, other):
        raise MismatchError(
            f"{name}: its voxels lie up to {_shift(image, other):.3g} mm away "
            f"from those of {other_name}, expected the same affine",
            hint="resample one of them on the voxels of the other",
        )


def displacement(shape: tuple[int, int, int], affine: FloatArray, other: FloatArray) -> float:
    """The longest way from a voxel of an image to where another affine puts it [mm]."""
    ends = product(*((0, n - 1) for n in shape))
    corners = np.array([[*corner, 1] for corner in ends], float).T
    displaced = (affine - other) @ corners
    return float(np.linalg.norm(displaced[:3], axis=0).max())


def _shift(image: Placed, other: Placed) -> float:
    return displacement(image.shape, image.placement.affine, other.placement.affine)


def _allowed_shift(image: Placed) -> float:
    edges = np.linalg.norm(image.placement.affine[:3, :3], axis=0)
    return _TOLERANCE * float(edges.min())


def sizes(dims: tuple[int, ...]) -> str:
    """Dimensions as messages show them."""
    return " x ".join(map(str, dims))
