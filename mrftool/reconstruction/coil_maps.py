"""Coil sensitivities from the data themselves.

D. O. Walsh, A. F. Gmitro, M. W. Marcellin, Magn Reson Med 43:682 (2000): the dominant eigenvector
of the local covariance of the coils. A mean over a window is drawn to the side where the object
is bright, and the sensitivities with it: these maps are only the start. They combine the coils to
one image, and smooth surfaces are fitted to the ratio of each coil's image to it. Where no object
lies, nothing tells a sensitivity: the maps are 0 there, and so are the coefficients. Arbitrary
values would make the normal operator ill-conditioned, and the noise in the object larger.
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
from mrftool.reconstruction.support import object_support
from mrftool.scan.kspace import KSpace, Trajectory

_WIDTH = 30.0  # of the Gaussian filter in k-space [cycles per field of view]
_SMOOTHING = 1 / 64  # of the coil covariance, sd [field of view]
_SURFACE = 1 / 20  # width of the windows that surfaces are fitted in, sd [field of view]
_POWER_STEPS = 20  # of the power method; it gains a decade in each or so
_CONTRASTS = 5  # temporal vectors of the images of each coil
_ITERATIONS = 16  # of those images
_FEWEST_PIXELS = 64  # along each axis of those images, where the image has as many
_SPLINE = 3  # order of the splines between their pixels
_BEYOND = 1.5 * np.pi  # a place outside the square of the image [rad/pixel]
_HALF = 0.5


def coils_of(kspace: KSpace, basis: Array, threads: int = 1) -> ComplexArray:
    """Sensitivities `(coil, x, y)` of raw data; 0 where no object lies.

    Each coil's images are least-squares reconstructions of their own, at half the resolution: the
    adjoint alone, blurred by the density of the samples, would mix the sensitivities of distant
    places, and a single contrast would take in what the others alias into it.

    Parameters
    ----------
    basis
        Temporal vectors `(time, K)`; the first few of them are used.
    """
    if kspace.n_coils == 1:
        return np.ones((1, *kspace.matrix), np.complex64)
    vectors = basis[:, :_CONTRASTS]
    coarse = central_part(kspace, tuple(_coarse(n) for n in kspace.matrix))
    grams = gram_matrices(vectors, coarse.arm, coarse.repetition, coarse.trajectory.n_arms)
    kernel = toeplitz_kernel(coarse.trajectory, grams, coarse.matrix, threads=threads)
    everywhere = np.ones((kspace.n_coils, *coarse.matrix), np.complex64)
    operator = NormalOperator(kernel, everywhere, threads=threads)
    solution = conjugate_gradient(
        operator.convolved, coil_images(coarse, vectors, threads), _ITERATIONS
    )
    maps = estimate_coils(solution.x)
    support = object_support(solution.x)
    finer = _resampled(maps, kspace.matrix) * (_resampled(support[None], kspace.matrix)[0] > _HALF)
    return _normalised(finer)


def estimate_coils(images: ComplexArray) -> ComplexArray:
    """Sensitivities `(coil, x, y)`, sum of squares 1, the phase of the first coil 0.

    Parameters
    ----------
    images
        Of each coil alone `(coil, contrast, x, y)`.
    """
    first = _normalised(_dominant(_low_pass(images[:, 0])))
    combined = (first.conj()[:, None] * images).sum(axis=0)
    width = _SURFACE * max(images.shape[2:])
    return _normalised(local_ratios(images, combined, width))


def central_part(kspace: KSpace, matrix: tuple[int, ...]) -> KSpace:
    """Raw data of an image of the same field of view with fewer pixels."""
    n_x, n_y = matrix
    points = kspace.trajectory.points * (np.array(kspace.matrix) / (n_x, n_y))
    near = kspace.trajectory.inside & (abs(points) <= np.pi).all(axis=-1)
    used = near.any(axis=0)
    beyond = np.where(near[..., None], points, _BEYOND)[:, used]
    samples = np.ascontiguousarray(kspace.samples[:, :, used])
    return KSpace(samples, Trajectory(beyond), kspace.arm, kspace.repetition, (n_x, n_y))


def _coarse(size: int) -> int:
    """Pixels of the images that coil maps are estimated from, for an image of `size` pixels."""
    return min(size, max(2 * ((size + 3) // 4), _FEWEST_PIXELS))


def _resampled(maps: Array, matrix: tuple[int, int]) -> Array:
    """Smooth maps `(map, x, y)` on a finer grid whose centre is pixel n // 2 as well."""
    from scipy.ndimage import map_coordinates

    if maps.shape[1:] == matrix:
        return maps
    axes = [
        (np.arange(fine) - fine // 2) * coarse / fine + coarse // 2
        for fine, coarse in zip(matrix, maps.shape[1:], strict=True)
    ]
    places = np.meshgrid(*axes, indexing="ij")
    exact = maps.astype(np.complex128)
    fine = [map_coordinates(each, places, order=_SPLINE, mode="nearest") for each in exact]
    return np.stack(fine)


def _normalised(maps: ComplexArray) -> ComplexArray:
    """Maps `(coil, x, y)` scaled to a sum of squares of 1, the phase of the first coil 0."""
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
