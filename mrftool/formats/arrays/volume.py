"""Masks and maps in array files, on the voxels of the scan that they go with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.arrays import Float32Array
from mrftool.errors import InputError, MismatchError
from mrftool.formats.arrays.array_file import read_array
from mrftool.formats.arrays.axes import SPACE, arrange
from mrftool.formats.space import Placed, sizes
from mrftool.grid import Placement


@dataclass(frozen=True)
class ArrayVolume:
    """What is known of a volume in an array file: it lies where its scan lies."""

    path: Path
    shape: tuple[int, int, int]
    placement: Placement
    assumptions: tuple[str, ...]


def read_array_volume(path: Path, like: Placed | None) -> tuple[ArrayVolume, Float32Array]:
    """A real image `(x, y, z)` on the voxels of `like`.

    Its axes have the order of those of the scan, where that is an array file too, else x, y, z.

    Raises
    ------
    InputError
        If the file is damaged, holds complex numbers, or nothing says where it lies.
    MismatchError
        If it has another shape than `like`.
    """
    if like is None:
        raise InputError(f"{path}: does not say where it lies, expected NIfTI")
    values = read_array(path)
    if np.iscomplexobj(values):
        raise InputError(f"{path}: holds complex numbers, expected real ones")
    values = values.reshape([n for n in values.shape if n > 1] or [1])
    axes = _require_axes_of(like, values.shape, path)
    image = np.asarray(arrange(values, axes, path)[..., 0], np.float32)
    said = f"{path.name} is taken to lie on the voxels of the scan, with the axes {axes}."
    return ArrayVolume(path, like.shape, like.placement, (said,)), image


def _require_axes_of(like: Placed, shape: tuple[int, ...], path: Path) -> str:
    """The axes longer than one voxel of `like`; MismatchError if the shape is not theirs."""
    named = getattr(like, "axes", "") or SPACE
    expected = {axis: n for axis, n in zip(SPACE, like.shape, strict=True) if n > 1}
    axes = "".join(axis for axis in named if axis in expected)
    wanted = tuple(map(expected.__getitem__, axes))
    if shape != wanted or len(axes) != len(expected):
        raise MismatchError(
            f"{path}: has the sizes {sizes(shape)}, expected {sizes(wanted)} (axes {axes}) as the "
            "scan"
        )
    return axes
