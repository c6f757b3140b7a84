"""Tubes of known T1 and T2 across the plane, as on the plates of the ISMRM/NIST system phantom."""

from typing import Literal

import numpy as np

from mrftool.arrays import Float32Array, FloatArray
from mrftool.errors import InputError
from mrftool.phantoms.phantom import Phantom
from mrftool.tissue import Tissue

Plate = Literal["T1", "T2"]

# T1 and T2 [ms] of spheres 1 to 14 at 20 deg C: the T1 plate (NiCl2) and the T2 plate (MnCl2). K.
# F. Stupic et al., Magn Reson Med 86:1194 (2021), doi 10.1002/mrm.28779, supporting information.
_SPHERES: dict[tuple[str, float], tuple[list[float], list[float]]] = {
    ("T1", 1.5): (
        [
            2033,
            1489,
            1012,
            730.8,
            514.1,
            367.9,
            260.1,
            184.6,
            132.7,
            92.70,
            65.40,
            46.32,
            32.45,
            22.859,
        ],
        [1669, 1244, 859.3, 628.5, 446.3, 321.2, 227.7, 161.9, 117.1, 81.9, 57.7, 41.0, 28.7, 20.2],
    ),
    ("T2", 1.5): (
        [
            2736,
            2183,
            1870,
            1539,
            1237,
            1030,
            752.2,
            550.2,
            413.4,
            292.9,
            194.9,
            160.2,
            106.4,
            83.33,
        ],
        [
            939.4,
            594.3,
            416.5,
            267.0,
            184.9,
            140.6,
            91.76,
            64.84,
            45.28,
            30.62,
            19.76,
            15.99,
            10.47,
            8.15,
        ],
    ),
    ("T1", 3.0): (
        [
            1989,
            1454,
            984.1,
            706.0,
            496.7,
            351.5,
            247.13,
            175.3,
            125.9,
            89.00,
            62.70,
            44.53,
            30.84,
            21.719,
        ],
        [
            1465,
            1077,
            717.9,
            510.1,
            359.6,
            255.5,
            180.8,
            127.3,
            90.30,
            64.30,
            45.70,
            31.86,
            22.38,
            15.83,
        ],
    ),
    ("T2", 3.0): (
        [
            2480,
            2173,
            1907,
            1604,
            1332,
            1044,
            801.7,
            608.6,
            458.4,
            336.5,
            244.2,
            176.9,
            126.9,
            90.90,
        ],
        [
            581.3,
            403.5,
            278.1,
            190.94,
            133.27,
            96.89,
            64.07,
            46.42,
            31.97,
            22.56,
            15.81,
            11.24,
            7.91,
            5.59,
        ],
    ),
}
_RING = 50.0  # radius of the ring of ten tubes [mm]
_INNER = 20.0  # radius of the four inner tubes [mm]
_RADIUS = 7.5  # of a tube [mm]
_EXTENT = 130.0  # of the image [mm]
_FINE = 8  # points in x and y at which a voxel is sampled


def vials_phantom(
    shape: tuple[int, int, int],
    *,
    plate: Plate = "T2",
    b0: float = 3.0,
    slice_thickness: float = 5.0,
) -> Phantom:
    """Fourteen tubes across the plane, ten on a ring and four inside, in air.

    shape: matrix (x, y, z); all slices are alike. plate: "T1" (NiCl2) or "T2" (MnCl2). b0: 1.5 or 3
    [T].
    slice_thickness: [mm]. Classes are named after the spheres: "T2-1" relaxes slowest, "T2-14"
    fastest.

    Raises InputError if the shape or the thickness is no positive size, or the plate or the field
    is not known.
    """
    _require_possible(shape, slice_thickness, plate, b0)
    t1, t2 = (np.array(times) / 1e3 for times in _SPHERES[plate, b0])
    edge = _EXTENT / min(shape[:2])
    size = np.array([edge, edge, slice_thickness])
    affine = np.diag([*size, 1.0])
    affine[:3, 3] = -size * (np.array(shape) - 1) / 2
    axes = [_fine_positions(affine[axis, 3], shape[axis], edge) for axis in range(2)]
    plane = np.stack([_coverage(axes, centre, edge / _FINE) for centre in _centres()], axis=-1)
    fractions = np.repeat(plane[:, :, None], shape[2], axis=2)
    names = tuple(f"{plate}-{n + 1}" for n in range(14))
    return Phantom(fractions, names, Tissue(t1=t1, t2=t2), affine)


def _require_possible(
    shape: tuple[int, ...], slice_thickness: float, plate: str, b0: float
) -> None:
    if len(shape) != 3 or min(shape) < 1 or not slice_thickness > 0:
        raise InputError(
            f"phantom shape {shape} of {slice_thickness:g} mm slices, expected sizes of more than 0"
        )
    if (plate, b0) not in _SPHERES:
        raise InputError(f"plate {plate!r} at {b0:g} T, expected 'T1' or 'T2' at 1.5 or 3 T")


def _fine_positions(first: float, n_voxels: int, edge: float) -> FloatArray:
    """Positions of the points that sample the voxels along an axis [mm]."""
    points = (np.arange(n_voxels * _FINE) + 0.5) / _FINE
    return np.asarray(first + edge * (points - 0.5))


def _centres() -> FloatArray:
    """(x, y) of the fourteen tubes [mm]."""
    ring = np.pi / 2 - 2 * np.pi * np.arange(10) / 10
    inner = 3 * np.pi / 4 - 2 * np.pi * np.arange(4) / 4
    return np.concatenate([
        _RING * np.stack([np.cos(ring), np.sin(ring)], axis=1),
        _INNER * np.stack([np.cos(inner), np.sin(inner)], axis=1),
    ])  # fmt: skip


def _coverage(axes: list[FloatArray], centre: FloatArray, spacing: float) -> Float32Array:
    """Share of each voxel inside one tube `(x, y)`."""
    distance = np.hypot(axes[0][:, None] - centre[0], axes[1] - centre[1]) - _RADIUS
    inside = np.clip(0.5 - distance / spacing, 0, 1)
    nx, ny = len(axes[0]) // _FINE, len(axes[1]) // _FINE
    return np.asarray(inside.reshape(nx, _FINE, ny, _FINE).mean(axis=(1, 3)), np.float32)
