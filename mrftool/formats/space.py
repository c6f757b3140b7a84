"""Whether two images lie on the same voxels."""

from itertools import product
from pathlib import Path
from typing import Protocol

import numpy as np

from mrftool.errors import MismatchError
from mrftool.grid import Placement

_TOLERANCE = 0.02  # of the shortest edge of a voxel: more than the rounding of float32 headers, less than any shift


class Placed(Protocol):
    """Anything with voxels in space: a series, the header of a file."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size `(x, y, z)`."""

    @property
    def placement(self) -> Placement:
        """Place in the scanner."""


def require_same_voxels(
    name: str | Path, image: Placed, other_name: str | Path, other: Placed
) -> None:
    """Raises MismatchError if the shapes differ, or a voxel is displaced by more than 2 % of its
    shortest edge.
    """
    if image.shape != other.shape:
        raise MismatchError(
            f"{name}: has {sizes(image.shape)} voxels, expected {sizes(other.shape)} as {other_name}"
        )
    corners = np.array(
        [[*corner, 1] for corner in product(*((0, n - 1) for n in image.shape))], float
    ).T
    displaced = (image.placement.affine - other.placement.affine) @ corners
    shift = float(np.linalg.norm(displaced[:3], axis=0).max())
    edge = float(np.linalg.norm(other.placement.affine[:3, :3], axis=0).min())
    if shift > _TOLERANCE * edge:
        raise MismatchError(
            f"{name}: its voxels lie up to {shift:.3g} mm away from those of {other_name}, expected the same affine",
            hint="resample one of them on the voxels of the other",
        )


def sizes(dims: tuple[int, ...]) -> str:
    """Dimensions as messages show them."""
    return " x ".join(map(str, dims))
