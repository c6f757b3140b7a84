"""Where the image of an MRD scan lies, from the heads of its readouts.

MRD gives the centre of each slice and unit vectors along x, y and z in the patient's system of
DICOM: to the left, to the back, to the head (LPS) [mm]. NIfTI's is RAS.
"""

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.errors import InputError
from mrftool.formats.mrd.header import RawHeader
from mrftool.formats.mrd.image import image_head_type
from mrftool.grid import Placement

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
_SQUARE = 1e-2  # largest deviation of the directions from orthonormal [1]
_VERSION = 1  # of the head of an image
_KEYS = ("read_dir", "phase_dir", "slice_dir")


def affine_of(header: RawHeader, heads: Array) -> tuple[Placement, tuple[str, ...]]:
    """Placement of the image, and what was assumed.

    Raises
    ------
    InputError
        If readouts belong to slices or partitions that the header does not know.
    """
    _require_counters(header, heads)
    size = np.array(header.field_of_view) / (*header.matrix[:2], header.matrix[2])
    directions = np.stack([heads[0][key] for key in _KEYS], axis=1).astype(np.float64)
    if not (abs(directions.T @ directions - np.eye(3)) < _SQUARE).all():
        said = "The readouts do not say where the image lies: its axes are taken as right, forward."
        return Placement(_centred(np.diag(size), header, np.zeros(3)), (0, 0)), (said,)
    axes = LPS_TO_RAS @ directions
    centre, step = _slices(header, heads)
    columns = axes * size
    if step is not None:
        columns[:, 2] = LPS_TO_RAS @ step
    return Placement(_centred(columns, header, LPS_TO_RAS @ centre)), ()


def _require_counters(header: RawHeader, heads: Array) -> None:
    counts = {"slice": header.n_slices, "kspace_encode_step_2": header.matrix[2]}
    for name, count in counts.items():
        last = int(heads["idx"][name].max())
        if last >= count:
            raise InputError(
                f"its readouts have {name} up to {last}, expected 0 to {count - 1} as its header "
                "says"
            )


def _slices(header: RawHeader, heads: Array) -> tuple[FloatArray, FloatArray | None]:
    """Centre of the first slice (or of the slab), and the step to the next one, LPS [mm]."""
    index = heads["idx"]["slice"]
    position = heads["position"].astype(np.float64)
    first = position[np.flatnonzero(index == index.min())[0]]
    if header.n_slices < 2 or index.max() == index.min():
        return first, None
    last = position[np.flatnonzero(index == index.max())[0]]
    step = (last - first) / int(index.max() - index.min())
    if not np.linalg.norm(step) > 0:
        return first, None
    return first, step


def _centred(columns: FloatArray, header: RawHeader, centre: FloatArray) -> FloatArray:
    """Affine with these columns; the pixel at n // 2 of the first slice (or slab) is `centre`."""
    middle = np.array([header.matrix[0] // 2, header.matrix[1] // 2, header.matrix[2] // 2])
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = centre - columns @ middle
    return affine


def image_axes(affine: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Edges of a voxel `(3,)` [mm], and unit vectors along x, y and z in LPS `(3, axis)`.

    Parameters
    ----------
    affine
        Voxel index to millimetres in RAS+, `(4, 4)` [mm].

    """
    columns = affine[:3, :3]
    size = np.linalg.norm(columns, axis=0)
    return size, LPS_TO_RAS @ (columns / size)


def slice_head(size: tuple[int, ...], placement: Placement, index: int) -> Array:
    """Head of an image of one channel, of one record: where a slice lies.

    Parameters
    ----------
    size
        Pixels `(x, y)`.
    placement
        Of the whole scan.
    index
        Number of the slice.

    """
    head = np.zeros(1, image_head_type())
    n_x, n_y = size
    edges, axes = image_axes(placement.affine)
    centre = placement.affine @ [n_x // 2, n_y // 2, index, 1]
    head["version"] = _VERSION
    head["matrix_size"] = (n_x, n_y, 1)
    head["field_of_view"] = (edges[0] * n_x, edges[1] * n_y, edges[2])
    head["channels"] = 1
    head["position"] = LPS_TO_RAS @ centre[:3]
    for key, axis in zip(_KEYS, axes.T, strict=True):
        head[key] = axis
    head["slice"] = index
    head["image_index"] = index + 1
    return head
