"""Grid: where the voxels lie. The only noun that knows images are three-dimensional."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.errors import InputError


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
        for key, dtype in (("mask", bool), ("affine", np.float64)):
            array = np.array(getattr(self, key), dtype)
            array.setflags(write=False)
            object.__setattr__(self, key, array)
        if self.mask.ndim != 3:
            raise InputError(f"the mask has shape {self.mask.shape}, expected three dimensions")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise InputError("the affine is no 4 x 4 matrix of finite numbers")
        if not np.array_equal(self.affine[3], (0, 0, 0, 1)):
            raise InputError("the affine's last row is not 0 0 0 1")
        if abs(np.linalg.det(self.affine[:3, :3])) < 1e-12:
            raise InputError("the affine is singular: the voxels have no volume")

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
