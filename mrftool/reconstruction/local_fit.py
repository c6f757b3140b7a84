"""Smooth ratios of images by local polynomials.

Each pixel's value is that of the quadratic surface that fits the ratio best in a Gaussian window,
weighted by the signal: unlike a mean over the window, it is not drawn to the side where the object
is bright. Source: W. S. Cleveland, S. J. Devlin, J Am Stat Assoc 83:596 (1988), doi
10.1080/01621459.1988.10478639 (local regression).
"""

import numpy as np

from mrftool.arrays import Array, ComplexArray, FloatArray

_POWERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))  # of x and y, in units of the width
_HIGHEST = 4  # power of the moments
_RADIUS = 3.0  # of the window, in units of its width
_RIDGE = 1e-3  # that holds slope and curvature to 0 where the window holds too little of the object


def local_ratios(images: ComplexArray, reference: ComplexArray, width: float) -> ComplexArray:
    """Smooth maps s `(image, x, y)` for which images = s times reference, nearly.

    Parameters
    ----------
    images
        `(image, contrast, x, y)`.
    reference
        What they have in common `(contrast, x, y)`.
    width
        Standard deviation of the Gaussian window [pixel].
    """
    weight: FloatArray = np.square(np.abs(reference).astype(np.float64)).sum(axis=0)
    kernels = _kernels(width)
    moments = {
        (i, j): _windowed(weight, kernels[i], kernels[j])
        for i in range(_HIGHEST + 1)
        for j in range(_HIGHEST + 1 - i)
    }
    rows = [[moments[a + c, b + d] for c, d in _POWERS] for a, b in _POWERS]
    matrices: Array = np.moveaxis(np.array(rows), (0, 1), (-2, -1))
    held = np.diag([0.0] + [1.0] * (len(_POWERS) - 1))
    matrices = matrices + (_RIDGE * moments[0, 0] + _floor(weight))[..., None, None] * held
    matrices[..., 0, 0] += _floor(weight)
    weights = np.linalg.inv(matrices)[..., 0, :]
    products = ((image * reference.conj()).sum(axis=0) for image in images)
    return np.stack([_value(product, kernels, weights) for product in products])


def _value(product: Array, kernels: FloatArray, weights: Array) -> ComplexArray:
    """The surface at the centre of each window `(x, y)`."""
    total = np.zeros(product.shape, np.complex128)
    for power, (i, j) in enumerate(_POWERS):
        total += weights[..., power] * _windowed(product, kernels[i], kernels[j])
    return total.astype(np.complex64)


def _kernels(width: float) -> FloatArray:
    """A Gaussian times each power of the distance over its width `(power, point)`."""
    reach = int(np.ceil(_RADIUS * width))
    distance = np.arange(-reach, reach + 1) / width
    window = np.exp(-(distance**2) / 2)
    powers = np.arange(_HIGHEST + 1)
    return np.asarray(window / window.sum() * distance ** powers[:, None])


def _windowed(image: Array, along_x: FloatArray, along_y: FloatArray) -> Array:
    """Sums over the window; zero beyond the image."""
    from scipy.ndimage import correlate1d

    if np.iscomplexobj(image):
        real = _windowed(image.real, along_x, along_y)
        return np.asarray(real + 1j * _windowed(image.imag, along_x, along_y))
    first = correlate1d(image.astype(np.float64), along_x, axis=0, mode="constant")
    return np.asarray(correlate1d(first, along_y, axis=1, mode="constant"))


def _floor(weight: FloatArray) -> float:
    """What keeps the matrices of empty windows regular."""
    return float(1e-9 * weight.max() + np.finfo(np.float64).tiny)
