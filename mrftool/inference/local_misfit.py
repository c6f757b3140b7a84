"""How much worse a neighbourhood is fitted than noise explains."""

import numpy as np

from mrftool.arrays import FloatArray, IndexArray

_WINDOW = 7  # [pixel]
_OFFSETS = range(-(_WINDOW // 2), _WINDOW // 2 + 1)


def local_misfit(
    energy: FloatArray, degrees: int, voxels: IndexArray, shape: tuple[int, int, int]
) -> FloatArray:
    """Squared residual around each voxel over what noise leaves there, at least 1 `(voxel,)` [1].

    What noise does not explain: truncation, motion, what the basis leaves out. The median over a
    window of each slice is taken: voxels of several tissues do not spoil their neighbours.

    Parameters
    ----------
    energy
        Squared norm of the whitened residual `(voxel,)`, chi-squared with `degrees` of freedom
        under noise alone [1].
    voxels
        Their flat indices in an image of `shape`.
    """
    from scipy.special import chdtri

    image = np.full(shape, np.nan)
    image.reshape(-1)[voxels] = energy
    around = np.stack([_shifted(image, dx, dy) for dx in _OFFSETS for dy in _OFFSETS])
    middle = np.nanmedian(around.reshape(len(around), -1)[:, voxels], axis=0)
    return np.asarray(np.maximum(middle / chdtri(degrees, 0.5), 1.0))


def _shifted(image: FloatArray, dx: int, dy: int) -> FloatArray:
    """The image moved by whole pixels in the plane, NaN where nothing moves in."""
    reach = _WINDOW // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), constant_values=np.nan)
    x, y = reach + dx, reach + dy
    return padded[x : x + image.shape[0], y : y + image.shape[1]]
