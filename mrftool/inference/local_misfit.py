"""How much worse a neighbourhood is fitted than noise explains."""

import numpy as np

from mrftool.arrays import FloatArray, IndexArray
from mrftool.physics.quantiles import chi_square_exceeded

_WINDOW = 7  # [pixel]
_OFFSETS = range(-(_WINDOW // 2), _WINDOW // 2 + 1)


def local_misfit(
    energy: FloatArray, degrees: int, voxels: IndexArray, shape: tuple[int, int, int]
) -> FloatArray:
    """Squared residual around each voxel over what noise leaves there, at least 1 `(voxel,)` [1].

    What noise does not explain: truncation, motion, what the basis leaves out. Arguments as of
    `local_variance`, of the whitened residual.
    """
    return np.maximum(local_variance(energy, degrees, voxels, shape), 1.0)


def local_variance(
    energy: FloatArray, degrees: int, voxels: IndexArray, shape: tuple[int, int, int]
) -> FloatArray:
    """Variance of each degree of freedom of the residual around each voxel `(voxel,)`.

    The median over a window of each slice is taken: voxels of several tissues do not spoil their
    neighbours.

    Parameters
    ----------
    energy
        Squared norm of the residual `(voxel,)`, under noise alone chi-squared with `degrees` of
        freedom, times the variance.
    voxels
        Their flat indices in an image of `shape`.
    """
    image = np.full(shape, np.nan)
    image.reshape(-1)[voxels] = energy
    around = np.stack([_shifted(image, dx, dy) for dx in _OFFSETS for dy in _OFFSETS])
    middle = np.nanmedian(around.reshape(len(around), -1)[:, voxels], axis=0)
    return np.asarray(middle / chi_square_exceeded(degrees, 0.5))


def _shifted(image: FloatArray, dx: int, dy: int) -> FloatArray:
    """The image moved by whole pixels in the plane, NaN where nothing moves in."""
    reach = _WINDOW // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), constant_values=np.nan)
    x, y = reach + dx, reach + dy
    return padded[x : x + image.shape[0], y : y + image.shape[1]]
