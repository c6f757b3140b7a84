"""The qform of a NIfTI header: a rotation by a quaternion, voxel sizes, and an offset.

Source: the comments of nifti1.h, NIfTI Data Format Working Group, https://nifti.nimh.nih.gov.
"""

from typing import Any

import numpy as np

from mrftool.arrays import FloatArray


def put_qform(record: Any, affine: FloatArray) -> None:
    """Write the qform that is closest to an affine `(4, 4)` [mm] into a header: without shears."""
    axes = affine[:3, :3]
    sizes = np.sqrt(np.square(axes).sum(axis=0))
    directions = axes / sizes
    handedness = 1.0
    if np.linalg.det(directions) <= 0:
        handedness = -1.0
        directions = directions * [1.0, 1.0, -1.0]
    left, _, right = np.linalg.svd(directions)
    record["pixdim"][:4] = [handedness, *sizes]
    for name, value in zip("bcd", quaternion(left @ right)[1:], strict=True):
        record[f"quatern_{name}"] = value
    for name, value in zip("xyz", affine[:3, 3], strict=True):
        record[f"qoffset_{name}"] = value


def quaternion(rotation: FloatArray) -> FloatArray:
    """The unit quaternion (a, b, c, d) of a rotation matrix `(3, 3)`, with a >= 0 [1].

    The matrix of products of its four numbers, `4 q q^T`, is linear in the rotation: q is the
    eigenvector of its largest eigenvalue. I. Y. Bar-Itzhack, J. Guidance Control Dynamics 23:1085,
    2000.
    """
    trace = np.trace(rotation)
    products = np.empty((4, 4))
    products[0, 0] = 1 + trace
    products[1:, 1:] = rotation + rotation.T + (1 - trace) * np.eye(3)
    turns = [rotation[2, 1], rotation[0, 2], rotation[1, 0]]
    opposite = [rotation[1, 2], rotation[2, 0], rotation[0, 1]]
    products[0, 1:] = products[1:, 0] = np.subtract(turns, opposite)
    found = np.linalg.eigh(products)[1][:, -1]
    if found[0] < 0:
        found = -found
    return np.asarray(found)
