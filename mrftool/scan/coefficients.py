"""CoefficientImages: a scan as a few images, each the share of one temporal vector."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, ComplexArray
from mrftool.errors import InputError, MismatchError
from mrftool.grid import Placement

_ORTHONORMAL = 1e-3  # largest difference from it [1]


@dataclass(frozen=True, eq=False)
class CoefficientImages:
    """Coefficient images of a subspace reconstruction, as the estimators take them.

    Parameters
    ----------
    images
        `(x, y, z, K)` complex64 [scanner's unit]. Frame t is the sum over k of images[..., k] times
        basis[t, k].
    basis
        Orthonormal temporal vectors `(time, K)`, real or complex [1].
    placement
        Where the image lies.
    covariance
        Of the noise in the real part, and as much in the imaginary part, of the coefficients
        `(x, y, z, K, K)`, or `(K, K)` for all voxels [scanner's unit squared]; None where it is not
        known. For complex coefficients e of noise alone, E[e e^H] = 2 covariance.
    mask
        Voxels that hold an object `(x, y, z)`; None for all.
    sequence_id
        Of the sequence that made the data, where known.
    name
        How messages call the images.
    assumptions
        Sentences, one for each thing that no file says and that was taken for granted.

    Raises
    ------
    InputError
        If shapes do not fit, the basis is not orthonormal, or the covariance not positive.
    """

    images: ComplexArray
    basis: Array
    placement: Placement
    covariance: Array | None = None
    mask: BoolArray | None = None
    sequence_id: str | None = None
    name: str = "coefficients"
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 4:
            raise InputError(
                f"{self.name}: has {self.images.ndim} dimensions, expected 4 (x, y, z, coefficient)"
            )
        _check_basis(self.basis, self.rank, self.name)
        if self.covariance is not None:
            _check_covariance(self.covariance, self.images.shape, self.name)
        if self.mask is not None and self.mask.shape != self.shape:
            raise MismatchError(
                f"the mask has shape {self.mask.shape}, expected {self.shape} as {self.name}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y and z."""
        x, y, z = self.images.shape[:3]
        return x, y, z

    @property
    def rank(self) -> int:
        """Number of coefficients."""
        return int(self.images.shape[-1])

    @property
    def n_time(self) -> int:
        """Repetitions of the sequence."""
        return len(self.basis)


def _check_basis(basis: Array, rank: int, name: str) -> None:
    if basis.ndim != 2 or basis.shape[1] != rank:
        raise MismatchError(
            f"{name}: {rank} coefficients, and a basis of shape {basis.shape}, expected "
            f"(time, {rank})"
        )
    if not np.isfinite(basis).all():
        raise InputError(f"{name}: the basis has values that are not finite numbers")
    gram = basis.conj().T @ basis
    if abs(gram - np.eye(rank)).max() > _ORTHONORMAL:
        raise InputError(f"{name}: the basis is not orthonormal, expected orthonormal columns")


def _check_covariance(covariance: Array, shape: tuple[int, ...], name: str) -> None:
    rank = shape[-1]
    if covariance.shape not in ((rank, rank), (*shape, rank)):
        raise MismatchError(
            f"{name}: a covariance of shape {covariance.shape}, expected {(rank, rank)} or "
            f"{(*shape, rank)}"
        )
    if not np.isfinite(covariance).all():
        raise InputError(f"{name}: the covariance has values that are not finite numbers")
    variances = np.diagonal(covariance, axis1=-2, axis2=-1).real
    if not (variances >= 0).all() or not variances.any():
        raise InputError(f"{name}: the covariance has no positive diagonal, expected variances")
