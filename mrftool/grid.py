"""Where the voxels of an image lie in the scanner: placement, and grid of those that count."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.errors import InputError


def valid_affine(matrix: ArrayLike) -> FloatArray:
    """A read-only copy of an affine `(4, 4)` [mm].

    Raises InputError if it is not an invertible 4 x 4 matrix that ends in 0 0 0 1.
    """
    affine = np.array(matrix, np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise InputError("the affine is no 4 x 4 matrix of finite numbers")
    if not np.array_equal(affine[3], (0, 0, 0, 1)):
        raise InputError("the affine's last row is not 0 0 0 1")
    if np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise InputError("the affine is singular: the voxels have no volume")
    affine.setflags(write=False)
    return affine


@dataclass(frozen=True, eq=False)
class Placement:
    """Where an image lies in the scanner, in the terms of NIfTI.

    affine: voxel index to millimetres in RAS+, `(4, 4)` [mm]; it holds for the whole program.
    codes: what a file says its (qform, sform) mean: 0 nothing, 1 scanner, 2 aligned, 3 Talairach, 4
    MNI, 5 template.
    qform: the qform where it is another matrix than the affine, to be written back as it was `(4,
    4)` [mm].

    Raises InputError if the affine is invalid; see `valid_affine`.
    """

    affine: FloatArray
    codes: tuple[int, int] = (1, 1)
    qform: FloatArray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", valid_affine(self.affine))


@dataclass(frozen=True)
class Grid:
    """The voxels of an image that count, and their place in the scanner.

    mask: `(x, y, z)` bool. affine: voxel index to millimetres in RAS+, `(4, 4)` [mm].
    Columns `(voxel, ...)` list the voxels of the mask in C order (z fastest).

    Raises InputError if the mask is not 3-D or the affine is no invertible 4 x 4 matrix that ends
    in 0 0 0 1.
    """

    mask: BoolArray
    affine: FloatArray

    def __post_init__(self) -> None:
        mask = np.array(self.mask, bool)
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)
        if mask.ndim != 3:
            raise InputError(f"the mask has shape {mask.shape}, expected three dimensions")
        object.__setattr__(self, "affine", valid_affine(self.affine))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y and z, inside the mask or not."""
        x, y, z = self.mask.shape
        return x, y, z

    @property
    def n_voxels(self) -> int:
        """Voxels inside the mask."""
        return int(self.mask.sum())

    @property
    def voxel_size(self) -> FloatArray:
        """Edge lengths `(3,)` [mm]."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0), np.float64)

    def to_columns(self, image: Array) -> Array:
        """Image `(x, y, z, ...)` to `(voxel, ...)`."""
        if image.shape[:3] != self.shape:
            raise InputError(f"the image has shape {image.shape[:3]}, expected {self.shape}")
        return image[self.mask]

    def to_image(self, columns: Array, fill: complex = 0) -> Array:
        """Columns `(voxel, ...)` to an image `(x, y, z, ...)`, `fill` outside the mask."""
        if len(columns) != self.n_voxels:
            raise InputError(f"{len(columns)} voxels, expected {self.n_voxels}")
        image = np.full((*self.shape, *columns.shape[1:]), fill, columns.dtype)
        image[self.mask] = columns
        return image
