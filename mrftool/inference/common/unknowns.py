"""Values that all voxels share, and that a scan can tell beside T1 and T2: a factor on B1 or a
smooth field of it, and the efficiency of the inversion.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mrftool.arrays import Array, Float32Array, FloatArray, IndexArray
from mrftool.manifold.influences import B1, EFFICIENCY, Influence

Shape = Literal["factor", "smooth"]

_DEGREE = 6  # of the polynomials of a smooth field
_FIELD_SD = 0.2  # expected size of each of their coefficients times its degree [1]


@dataclass(frozen=True, eq=False)
class Unknown:
    """A given value that is fitted: its change is a sum of known shapes over the voxels.

    Parameters
    ----------
    influence
        The value.
    shapes
        Shape of each coefficient at voxels `(voxel,)`, by their flat indices: `(voxel,
        coefficient)` [unit of the value].
    prior_sd
        Expected standard deviation of each coefficient about 0 `(coefficient,)` [1]; inf where
        nothing is expected.
    text
        What is fitted, in words.
    """

    influence: Influence
    shapes: Callable[[IndexArray], FloatArray]
    prior_sd: FloatArray
    text: str


def b1_unknown(shape: Shape, image: Float32Array, inside: Array) -> Unknown:
    """B1 as a map times one factor, or times a polynomial over the voxels.

    Parameters
    ----------
    shape
        Of what is fitted.
    image
        The map that is known, or ones `(x, y, z)` [1].
    inside
        Voxels that are estimated `(x, y, z)`.
    """
    exponents = np.zeros((1, 3), int)
    text = "one factor"
    if shape == "smooth":
        exponents = _exponents(inside)
        text = f"a smooth field of {len(exponents)} polynomials"
    prior = np.full(len(exponents), np.inf)
    prior[1:] = _FIELD_SD / exponents[1:].sum(axis=1)
    known = image.reshape(-1).astype(np.float64)
    start, width = _box(inside)

    def shapes(voxels: IndexArray) -> FloatArray:
        indices = np.stack(np.unravel_index(voxels, image.shape), axis=1)
        places: FloatArray = np.clip(2 * (indices - start) / width - 1, -1, 1)
        return known[voxels, None] * _polynomials(places, exponents)

    return Unknown(B1, shapes, prior, text)


def efficiency_unknown(uncertainty: float) -> Unknown:
    """The efficiency of the inversion. uncertainty: its standard uncertainty before the fit [1]."""

    def shapes(voxels: IndexArray) -> FloatArray:
        return np.ones((len(voxels), 1))

    return Unknown(EFFICIENCY, shapes, np.array([uncertainty]), "one value")


def _box(inside: Array) -> tuple[FloatArray, FloatArray]:
    """Lowest index of the voxels along each axis, and the width of their box [voxels]."""
    places = np.argwhere(inside)
    low, high = places.min(axis=0), places.max(axis=0)
    return low.astype(float), np.maximum(high - low, 1).astype(float)


def _exponents(inside: Array) -> Array:
    """Degrees along each axis `(polynomial, 3)`, the constant first; of axes with a single voxel
    none.
    """
    extent = np.ptp(np.argwhere(inside), axis=0)
    degrees = np.argwhere(np.ones((_DEGREE + 1,) * 3))
    total = degrees.sum(axis=1)
    kept = degrees[(total <= _DEGREE) & (degrees <= extent).all(axis=1)]
    return np.asarray(kept[np.argsort(kept.sum(axis=1), kind="stable")])


def _polynomials(places: FloatArray, exponents: Array) -> FloatArray:
    """Products of Legendre polynomials `(voxel, polynomial)` at places from -1 to 1
    `(voxel, 3)`.
    """
    values = np.polynomial.legendre.legvander(places, _DEGREE)
    product = np.ones((len(places), len(exponents)))
    for axis in range(3):
        product *= values[:, axis, exponents[:, axis]]
    return product
