"""Images on the voxels of another image, through the affines of both."""

from typing import Literal

import numpy as np

from mrftool.arrays import Float32Array, FloatArray
from mrftool.errors import MismatchError
from mrftool.formats.space import Placed, have_same_voxels

_LEAST_WEIGHT = 0.5  # of the neighbours that have a value


def on_voxels_of(
    name: str,
    image: Float32Array,
    place: Placed,
    like: Placed,
    like_name: str,
    method: Literal["nearest", "linear"],
) -> tuple[Float32Array, tuple[str, ...]]:
    """The image `(x, y, z)` on the voxels of `like`, and a sentence if it had to be resampled.

    Outside of the image, and (linear) where most neighbours are NaN, values are NaN.

    Raises MismatchError if the volumes do not overlap, or if one of them does not say where it is.
    """
    if have_same_voxels(place, like):
        return image, ()
    for other, other_name in ((place, name), (like, like_name)):
        if other.placement.codes == (0, 0):
            raise MismatchError(
                f"{name}: its voxels are not those of {like_name}, and {other_name} does not say "
                "where it lies (neither qform nor sform): expected the same voxels"
            )
    matrix = np.linalg.inv(place.placement.affine) @ like.placement.affine
    values = _interpolated(image, matrix, like.shape, method)
    if np.isnan(values).all():
        raise MismatchError(
            f"{name}: has no value where {like_name} lies, expected an image of the same volume"
        )
    said = f"{name} is resampled to the voxels of {like_name} ({_METHODS[method]})."
    return values, (said,)


_METHODS = {"nearest": "nearest voxel", "linear": "trilinear"}


def _interpolated(
    image: Float32Array, matrix: FloatArray, shape: tuple[int, int, int], method: str
) -> Float32Array:
    """Values at the voxels of `shape`; `matrix` turns their indices into those of the image."""
    from scipy.ndimage import affine_transform

    order = ("nearest", "linear").index(method)

    def sampled(values: Float32Array) -> Float32Array:
        return np.asarray(
            affine_transform(
                values, matrix[:3, :3], matrix[:3, 3], shape, order=order, mode="grid-constant"
            ),
            np.float32,
        )

    known = np.isfinite(image)
    weight = sampled(known.astype(np.float32))
    total = sampled(np.where(known, image, np.float32(0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight >= _LEAST_WEIGHT, total / weight, np.float32(np.nan))
