"""Noise of raw data: prewhitening by a noise scan, and its level from the data themselves."""

import numpy as np

from mrftool.arrays import Array, ComplexArray
from mrftool.errors import InputError
from mrftool.kspace import KSpace

_LEAST_RATIO = 2  # noise samples over coils that a covariance of the coils needs


def whitening(noise: ComplexArray) -> Array:
    """Matrix `(coil, coil)` that makes the coils' noise white, of sd 1 per channel.

    Parameters
    ----------
    noise
        Samples without signal `(coil, sample)` [scanner's unit].

    Raises
    ------
    InputError
        If there are too few samples, or a coil holds no noise.
    """
    n_coils, count = noise.shape
    if count < _LEAST_RATIO * n_coils:
        raise InputError(
            f"the noise scan has {count} samples, expected at least {_LEAST_RATIO * n_coils} for "
            f"{n_coils} coils"
        )
    exact = noise.astype(np.complex128)
    covariance = exact @ exact.conj().T / (2 * count)
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise InputError("the noise scan has a coil without noise of its own") from error
    return np.asarray(np.linalg.inv(factor))


def whitened(kspace: KSpace, matrix: Array) -> KSpace:
    """Raw data whose coils are combined by `matrix` `(coil, coil)`."""
    single = matrix.astype(np.complex64)
    samples = np.stack([single @ readout for readout in kspace.samples])
    return KSpace(samples, kspace.trajectory, kspace.arm, kspace.repetition, kspace.matrix)


def noise_level(kspace: KSpace, right_side: Array, images: Array, normal_images: Array) -> float:
    """Standard deviation of the noise per channel, from what the reconstruction leaves.

    |y - A c|^2 = |y|^2 - 2 Re b^H c + c^H N c, over twice the number of samples less the number of
    coefficients. Sums are in double precision: a small difference of large ones is wanted.

    Parameters
    ----------
    right_side
        b = A^H y `(K, x, y)`.
    images
        c `(K, x, y)`.
    normal_images
        N c `(K, x, y)`.
    """
    energy, count = _energy(kspace)
    residual = energy - 2 * _inner(right_side, images) + _inner(images, normal_images)
    degrees = 2 * (count - images.size)
    if degrees <= 0:
        raise InputError(
            f"{count} samples for {images.size} coefficients, expected more samples than that"
        )
    return float(np.sqrt(max(residual, 0.0) / degrees))


def _energy(kspace: KSpace) -> tuple[float, int]:
    """Sum of |y|^2 of the samples that count, and their number."""
    inside = kspace.trajectory.inside[kspace.arm]
    energy = 0.0
    for readout, chosen in zip(kspace.samples, inside, strict=True):
        values = readout[:, chosen].astype(np.complex128)
        energy += float(np.vdot(values, values).real)
    return energy, int(inside.sum()) * kspace.n_coils


def _inner(a: Array, b: Array) -> float:
    return float(np.vdot(a.astype(np.complex128), b.astype(np.complex128)).real)
