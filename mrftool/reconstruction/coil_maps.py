"""Coil sensitivities from the data themselves.

D. O. Walsh, A. F. Gmitro, M. W. Marcellin, Magn Reson Med 43:682 (2000): the dominant eigenvector
of the local covariance of the coils. A mean over a window is drawn to the side where the object
is bright, and the sensitivities with it: these maps are only the start. They combine the coils to
one image, and smooth surfaces are fitted to the ratio of each coil's image to it.
"""

import numpy as np

from mrftool.arrays import Array, ComplexArray
from mrftool.reconstruction.conjugate_gradient import conjugate_gradient
from mrftool.reconstruction.encoding.adjoint import coil_images
from mrftool.reconstruction.encoding.toeplitz import (
    NormalOperator,
    gram_matrices,
    toeplitz_kernel,
)
from mrftool.reconstruction.local_fit import local_ratios
from mrftool.scan.kspace import KSpace

_WIDTH = 30.0  # of the Gaussian filter in k-space [cycles per field of view]
_SMOOTHING = 1 / 64  # of the coil covariance, sd [field of view]
_SURFACE = 1 / 20  # width of the windows that surfaces are fitted in, sd [field of view]
_POWER_STEPS = 20  # of the power method; it gains a decade in each or so
_ITERATIONS = 16  # of the image of each coil


def coils_of(kspace: KSpace, vector: Array, threads: int = 1) -> ComplexArray:
    """Sensitivities `(coil, x, y)` of raw data, from the first temporal vector `(time,)`.

    Each coil's image in that contrast is a least-squares reconstruction of its own: the adjoint
    alone, blurred by the density of the samples, would mix the sensitivities of distant places.
    """
    if kspace.n_coils == 1:
        return np.ones((1, *kspace.matrix), np.complex64)
    basis = vector[:, None]
    grams = gram_matrices(basis, kspace.arm, kspace.repetition, kspace.trajectory.n_arms)
    kernel = toeplitz_kernel(kspace.trajectory, grams, kspace.matrix, threads=threads)
    operator = NormalOperator(kernel, np.ones((1, *kspace.matrix), np.complex64), threads=threads)
    solution = conjugate_gradient(
        lambda images: operator.convolved(images[:, None])[:, 0].copy(),
        coil_images(kspace, vector, threads),
        _ITERATIONS,
    )
    return estimate_coils(solution.x)


def estimate_coils(images: ComplexArray) -> ComplexArray:
    """Sensitivities `(coil, x, y)`, sum of squares 1, the phase of the first coil 0.

    Parameters
    ----------
    images
        Of each coil alone `(coil, x, y)`, in one contrast.
    """
    first = _dominant(_low_pass(images))
    first = first * np.exp(-1j * np.angle(first[:1]))
    combined = (first.conj() * images).sum(axis=0)
    width = _SURFACE * max(images.shape[1:])
    maps = local_ratios(images, combined, width)
    size = np.sqrt((abs(maps) ** 2).sum(axis=0)) + np.finfo(np.float32).tiny
    phase = np.exp(-1j * np.angle(maps[:1]))
    return np.asarray(maps / size * phase, np.complex64)


def _low_pass(images: ComplexArray) -> ComplexArray:
    """Images filtered by exp(-(k / width)^2), k in cycles per field of view."""
    from ducc0.fft import c2c

    frequencies = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in images.shape[1:]), indexing="ij")
    radius2 = frequencies[0] ** 2 + frequencies[1] ** 2
    window = np.exp(-radius2 / _WIDTH**2).astype(np.float32)
    spectrum = c2c(np.ascontiguousarray(images, np.complex64), axes=(1, 2))
    return np.asarray(c2c(spectrum * window, axes=(1, 2), forward=False, inorm=2))


def _dominant(images: ComplexArray) -> ComplexArray:
    """Dominant eigenvector `(coil, x, y)` of the smoothed products of all pairs of coils."""
    from scipy.ndimage import gaussian_filter

    products = images[:, None] * images[None].conj()
    widths = (0, 0, *(_SMOOTHING * n for n in images.shape[1:]))
    smooth = gaussian_filter(products.real, widths, mode="nearest") + 1j * gaussian_filter(
        products.imag, widths, mode="nearest"
    )
    vectors = images + np.finfo(np.float32).tiny
    for _ in range(_POWER_STEPS):
        vectors = np.einsum("cdxy,dxy->cxy", smooth, vectors)
        vectors /= np.sqrt((abs(vectors) ** 2).sum(axis=0)) + np.finfo(np.float32).tiny
    return vectors
