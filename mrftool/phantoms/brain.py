"""A digital head made by geometry alone: any matrix, any number of slices, no data files."""

import numpy as np

from mrftool.arrays import Float32Array, FloatArray
from mrftool.errors import InputError
from mrftool.phantoms.head import CLASSES, Head
from mrftool.phantoms.phantom import Phantom
from mrftool.phantoms.tissues import class_tissue

_EXTENT = np.array([176.0, 216.0])  # of the head in x and y [mm], with some air around it
_CENTRE = np.array(
    [0.0, -2.0, 8.0]
)  # of the image: a level with ventricles, nuclei and the large lesion [mm]
_HEIGHT = 150.0  # of the brain [mm]
_FINE = np.array([1.3, 1.3, 1.7])  # spacing of the points at which a voxel is sampled [mm]
_BLOCK = 16384  # points at a time: they fit in the processor's cache


def brain_phantom(
    shape: tuple[int, int, int],
    *,
    seed: int = 0,
    b0: float = 3.0,
    slice_thickness: float | None = None,
) -> Phantom:
    """A head with skin, fat, skull, CSF, folded cortex, white matter, deep nuclei, ventricles and
    lesions.

    shape: matrix (x, y, z): x to the right, y to the front, z upwards; voxels are square in the
    plane, and the whole head fits. seed: of the folds, bends, ventricles and lesions. b0: field
    strength, 1.5 or 3 [T].
    slice_thickness: [mm]; by default 5 mm, or less if the slices then outgrow the brain.

    Fractions are volume averages over each voxel, so partial volume is real at any matrix size.
    Raises InputError if the shape or the thickness is no positive size, or the field strength is
    not known.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"phantom shape {shape}, expected three sizes of 1 or more")
    if slice_thickness is None:
        slice_thickness = min(5.0, _HEIGHT / shape[2])
    if not 0 < slice_thickness <= _HEIGHT:
        raise InputError(
            f"slice thickness {slice_thickness:g} mm, expected more than 0 and at most "
            f"{_HEIGHT:g} mm"
        )
    tissue = class_tissue(CLASSES, b0)
    edge = float((_EXTENT / shape[:2]).max())
    size = np.array([edge, edge, slice_thickness])
    affine = np.diag([*size, 1.0])
    affine[:3, 3] = _CENTRE - size * (np.array(shape) - 1) / 2
    head = Head.random(seed)
    slices = [
        _slice_fractions(head, shape[:2], size, affine[:3, 3] + [0, 0, k * size[2]])
        for k in range(shape[2])
    ]
    return Phantom(np.stack(slices, axis=2), CLASSES, tissue, affine)


def _slice_fractions(
    head: Head, shape: tuple[int, int], size: FloatArray, corner: FloatArray
) -> Float32Array:
    """Fractions `(x, y, class)` of one slice: the mean over `fine` points in each direction of each
    voxel.
    """
    fine = np.ceil(size / _FINE).astype(int)
    axes = [
        corner[i] + size[i] * ((np.arange(n * fine[i]) + 0.5) / fine[i] - 0.5)
        for i, n in enumerate((*shape, 1))
    ]
    plane = np.stack(np.meshgrid(*axes[:2], indexing="ij")).reshape(2, -1)
    total = np.zeros((len(CLASSES), plane.shape[1]), np.float32)
    for z in axes[2]:
        points = np.concatenate([plane, np.full((1, plane.shape[1]), z)]).astype(np.float32)
        for start in range(0, plane.shape[1], _BLOCK):
            block = slice(start, start + _BLOCK)
            total[:, block] += _painted(head, points[:, block], float((size / fine).max()))
    voxels = total.reshape(-1, shape[0], fine[0], shape[1], fine[1]).mean(axis=(2, 4))
    return np.asarray(np.moveaxis(voxels, 0, -1) / fine[2], np.float32)


def _painted(head: Head, points: Float32Array, spacing: float) -> Float32Array:
    """Fractions `(class, point)`: each layer covers what is below it, with an edge as soft as the
    sampling.
    """
    fractions = np.zeros((len(CLASSES), points.shape[1]), np.float32)
    fractions[0] = 1
    for name, distance, share in head.layers(points):
        covered = np.flatnonzero(distance < spacing / 2)
        cover = np.float32(share) * np.minimum(0.5 - distance[covered] / np.float32(spacing), 1)
        below = fractions[:, covered]
        if name == "lesion":
            cover = cover * below[CLASSES.index("white_matter")]
        fractions[:, covered] = below * (1 - cover)
        fractions[CLASSES.index(name), covered] += cover
    return fractions
