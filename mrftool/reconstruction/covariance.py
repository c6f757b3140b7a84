"""The covariance of coefficient images, by replicas.

Noise is added to the right side, and the difference to the reconstruction without it is what noise
does there. Iterations that stop early treat the sum of signal and noise otherwise than noise alone:
replicas of noise alone give error bars that are too small.
Source of replicas: P. M. Robson et al., Magn Reson Med 60:895 (2008), doi 10.1002/mrm.21728.
"""

from collections.abc import Iterable

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.reconstruction.encoding.kernel_product import triangle

_SMOOTHING = 4.0  # of the products of replicas over the image, sd [pixel]
_LEAST_SHARE = 1e-3  # of the window that lies in the support


def replica_covariance(
    differences: Iterable[Array], is_real: bool, support: BoolArray | None = None
) -> Array:
    """Covariance `(x, y, K, K)` per channel from differences of replicas `(K, x, y)`.

    The mean of x x^H / 2 over replicas, smoothed over the image.

    Parameters
    ----------
    differences
        One for each replica.
    is_real
        Whether to keep the real part only: with a real basis the covariance is real but for the
        coils' part in it, which few replicas do not tell.
    support
        Pixels that may hold an object `(x, y)`, elsewhere differences are 0; by default all.
    """
    total: Array = np.zeros(0)
    count = 0
    for difference in differences:
        products = _products(difference, is_real)
        total = products if count == 0 else total + products
        count += 1
    smooth = _smooth(total / (2 * count))
    if support is not None:
        share = _smooth(support[None].astype(np.float64))[0]
        smooth = smooth * (support / np.maximum(share, _LEAST_SHARE))
    return _filled(smooth, is_real)


def noise_amplification(covariance: Array, ideal_variance: float) -> FloatArray:
    """Root mean square over the coefficients of sd over that of perfect encoding `(x, y)` [1].

    Perfect encoding: as many samples, each frame on the image's own grid.
    """
    mean = np.trace(covariance, axis1=-2, axis2=-1).real / covariance.shape[-1]
    return np.asarray(np.sqrt(mean / ideal_variance))


def _products(images: Array, is_real: bool) -> Array:
    """Upper triangle of x x^H `(pair, x, y)`."""
    pairs = [images[row] * images[column].conj() for row, column in triangle(len(images))]
    products = np.stack(pairs)
    if is_real:
        return np.asarray(products.real)
    return products


def _smooth(products: Array) -> Array:
    from scipy.ndimage import gaussian_filter

    widths = (0, _SMOOTHING, _SMOOTHING)
    real = gaussian_filter(products.real, widths, mode="reflect")
    if not np.iscomplexobj(products):
        return np.asarray(real)
    return np.asarray(real + 1j * gaussian_filter(products.imag, widths, mode="reflect"))


def _filled(products: Array, is_real: bool) -> Array:
    """Matrices `(x, y, K, K)` of their upper triangles `(pair, x, y)`."""
    rank = int(np.sqrt(2 * len(products)))
    dtype = np.float32 if is_real else np.complex64
    full = np.empty((*products.shape[1:], rank, rank), dtype)
    for product, (row, column) in zip(products, triangle(rank), strict=True):
        full[..., row, column] = product
        full[..., column, row] = product.conj()
    return full
