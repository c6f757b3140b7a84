"""Between raw data and coefficient images: the adjoint of the encoding, also of noise."""

from collections.abc import Iterator

import numpy as np

from mrftool.arrays import Array, ComplexArray
from mrftool.physics.noise import complex_noise
from mrftool.reconstruction.encoding.nufft import Nufft
from mrftool.reconstruction.encoding.off_resonance import TimeSegments
from mrftool.scan.kspace import KSpace, Trajectory


def adjoint(
    kspace: KSpace,
    basis: Array,
    coils: ComplexArray,
    segments: TimeSegments | None = None,
    threads: int = 1,
) -> ComplexArray:
    """A^H y: coefficient images `(K, x, y)` of raw data.

    Readouts of one arm are combined before the transform: it then costs as much as K frames.

    Parameters
    ----------
    basis
        `(time, K)`.
    coils
        Sensitivities `(coil, x, y)`.
    """
    combined = (_combined(kspace, basis, coil) for coil in range(kspace.n_coils))
    return _gathered(combined, kspace.trajectory, coils, segments, threads)


def coil_spectra(
    images: ComplexArray,
    trajectory: Trajectory,
    coils: ComplexArray,
    segments: TimeSegments | None = None,
    threads: int = 1,
) -> Iterator[ComplexArray]:
    """Coefficients along each arm `(K, arm, sample)`, of images `(K, x, y)`, coil by coil."""
    points = trajectory.points.reshape(-1, 2)
    transform = Nufft(points, (images.shape[1], images.shape[2]), len(images), threads)
    shape = (len(images), trajectory.n_arms, trajectory.n_samples)
    for coil in coils:
        seen = images * coil
        if segments is None:
            yield transform.forward(seen).reshape(shape)
            continue
        parts = [
            transform.forward(seen * phase).reshape(shape) * weight
            for phase, weight in zip(segments.phases, segments.weights, strict=True)
        ]
        yield np.asarray(sum(parts))


def adjoint_noise(
    trajectory: Trajectory,
    grams: Array,
    coils: ComplexArray,
    random: np.random.Generator,
    segments: TimeSegments | None = None,
    threads: int = 1,
) -> ComplexArray:
    """A^H n of white noise of sd 1 per channel: coefficient images `(K, x, y)`.

    Noise of all readouts of an arm combines to noise of covariance `grams[arm]`, so it is drawn arm
    by arm.
    """
    roots = _square_roots(grams)
    shape = (grams.shape[1], trajectory.n_arms, trajectory.n_samples)
    drawn = (
        np.einsum("akl,las->kas", roots, complex_noise(shape, random)) * trajectory.inside
        for _ in coils
    )
    return _gathered(drawn, trajectory, coils, segments, threads)


def coil_images(kspace: KSpace, basis: Array, threads: int = 1) -> ComplexArray:
    """Adjoint images `(coil, K, x, y)` in a temporal basis `(time, K)`, of each coil alone."""
    rank = basis.shape[1]
    transform = Nufft(kspace.trajectory.points.reshape(-1, 2), kspace.matrix, rank, threads)
    images = [
        transform.adjoint(_combined(kspace, basis, coil).reshape(rank, -1))
        for coil in range(kspace.n_coils)
    ]
    return np.stack(images)


def _combined(kspace: KSpace, basis: Array, coil: int) -> ComplexArray:
    """Readouts of one coil, combined into coefficients along each arm `(K, arm, sample)`."""
    trajectory = kspace.trajectory
    result = np.zeros((basis.shape[1], trajectory.n_arms, trajectory.n_samples), np.complex64)
    rows = basis[kspace.repetition].conj().astype(np.result_type(basis.dtype, np.float32))
    order = np.argsort(kspace.arm, kind="stable")
    edges = np.searchsorted(kspace.arm[order], np.arange(trajectory.n_arms + 1))
    for arm in range(trajectory.n_arms):
        chosen = order[edges[arm] : edges[arm + 1]]
        result[:, arm] = rows[chosen].T @ kspace.samples[chosen, coil]
    result *= trajectory.inside
    return result


def _gathered(
    combined: Iterator[ComplexArray],
    trajectory: Trajectory,
    coils: ComplexArray,
    segments: TimeSegments | None,
    threads: int,
) -> ComplexArray:
    """Sum over coils of S^H F^H, of samples `(K, arm, sample)` coil by coil."""
    transform: Nufft | None = None
    total: Array = np.zeros(0)
    for coil, samples in zip(coils, combined, strict=True):
        if transform is None:
            points = trajectory.points.reshape(-1, 2)
            transform = Nufft(points, (coil.shape[0], coil.shape[1]), len(samples), threads)
            total = np.zeros((len(samples), *coil.shape), np.complex64)
        total += coil.conj() * _images(transform, samples, segments)
    return total


def _images(transform: Nufft, samples: ComplexArray, segments: TimeSegments | None) -> ComplexArray:
    """Images `(K, x, y)` of samples `(K, arm, sample)`, precession taken back."""
    if segments is None:
        return transform.adjoint(samples.reshape(len(samples), -1))
    parts = [
        phase.conj() * transform.adjoint((samples * weight.conj()).reshape(len(samples), -1))
        for phase, weight in zip(segments.phases, segments.weights, strict=True)
    ]
    return np.asarray(sum(parts))


def _square_roots(grams: Array) -> Array:
    """Hermitian square roots `(arm, K, K)`, also of singular matrices."""
    values, vectors = np.linalg.eigh(grams)
    scaled = vectors * np.sqrt(np.maximum(values, 0))[:, None, :]
    roots = scaled @ vectors.conj().swapaxes(1, 2)
    single = np.complex64 if np.iscomplexobj(roots) else np.float32
    return np.asarray(roots, single)
