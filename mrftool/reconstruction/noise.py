"""Noise of raw data: prewhitening by a noise scan, and its level from the data themselves."""

from collections.abc import Iterable

import numpy as np

from mrftool.arrays import Array, BoolArray, ComplexArray
from mrftool.errors import InputError
from mrftool.physics.noise import complex_noise
from mrftool.scan.kspace import KSpace

_LEAST_RATIO = 2  # noise samples over coils that a covariance of the coils needs
_OUTER = 0.5  # from where on samples tell the noise, of the radius covered


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


def residual_energy(kspace: KSpace, basis: Array, spectra: Iterable[ComplexArray]) -> float:
    """Mean squared modulus of what a reconstruction leaves of the samples far from the centre.

    Near the centre of k-space the signal is strongest, and what the temporal basis leaves out of it
    exceeds the noise; beyond half of the radius covered it does not.

    Parameters
    ----------
    basis
        `(time, K)`.
    spectra
        Coefficients along each arm, coil by coil `(K, arm, sample)`.
    """
    outer = _outer(kspace)
    rows = basis[kspace.repetition].astype(np.result_type(basis.dtype, np.float32))
    total = 0.0
    for coil, spectrum in enumerate(spectra):
        for arm in np.unique(kspace.arm):
            chosen = np.flatnonzero(kspace.arm == arm)
            places = outer[arm]
            predicted = rows[chosen] @ spectrum[:, arm, places]
            left = kspace.samples[chosen, coil][:, places] - predicted
            total += float(np.sum(abs(left) ** 2, dtype=np.float64))
    count = int(outer[kspace.arm].sum()) * kspace.n_coils
    if not count:
        raise InputError("no sample lies beyond half of the radius covered, expected some")
    return total / count


def like_noise(kspace: KSpace, random: np.random.Generator) -> KSpace:
    """Raw data of the same size that are white noise of sd 1 per channel."""
    noise = complex_noise(kspace.samples.shape, random)
    return KSpace(noise, kspace.trajectory, kspace.arm, kspace.repetition, kspace.matrix)


def _outer(kspace: KSpace) -> BoolArray:
    """Samples `(arm, sample)` in the image's square, beyond half of the radius covered."""
    trajectory = kspace.trajectory
    radius = np.hypot(trajectory.points[..., 0], trajectory.points[..., 1])
    reach = radius[trajectory.inside].max()
    return np.asarray(trajectory.inside & (radius > _OUTER * reach))
