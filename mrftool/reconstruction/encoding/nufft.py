"""Non-uniform Fourier transforms between images and samples. Home of finufft.

Source: A. H. Barnett, J. F. Magland, L. af Klinteberg, SIAM J Sci Comput 41:C479 (2019), doi
10.1137/18M120885X.
"""

from typing import Any

import numpy as np

from mrftool.arrays import Array, ComplexArray, FloatArray

_ERROR = 1e-5  # relative, in single precision
_KERNEL_ERROR = 1e-7  # of the kernels of the normal operator, in double precision


class Nufft:
    """Transforms of several images at a time at the same points; a plan is held open.

    points: `(point, 2)` [rad/pixel]. matrix: size of the images. n_images: how many at a time.
    """

    def __init__(
        self, points: FloatArray, matrix: tuple[int, int], n_images: int, threads: int = 1
    ) -> None:
        self._points = [np.ascontiguousarray(points[:, axis], np.float32) for axis in (0, 1)]
        self._sizes = (matrix, n_images)
        self._threads = threads
        self._plans: dict[int, Any] = {}

    def forward(self, images: ComplexArray) -> ComplexArray:
        """Samples `(image, point)` of images `(image, x, y)`: sum of rho(r) exp(-i k . r)."""
        values = self._plan(2, -1).execute(np.ascontiguousarray(images, np.complex64))
        return np.asarray(values).reshape(len(images), -1)

    def adjoint(self, samples: ComplexArray) -> ComplexArray:
        """Images `(image, x, y)` of samples `(image, point)`: sum of y(k) exp(i k . r)."""
        values = self._plan(1, 1).execute(np.ascontiguousarray(samples, np.complex64))
        matrix, n_images = self._sizes
        return np.asarray(values).reshape(n_images, *matrix)

    def _plan(self, kind: int, sign: int) -> Any:
        """The plan of a type of transform, made at its first use."""
        if kind not in self._plans:
            import finufft

            matrix, n_images = self._sizes
            options = {
                "isign": sign,
                "dtype": "complex64",
                "nthreads": self._threads,
                "showwarn": 0,
            }
            plan = finufft.Plan(kind, matrix, n_trans=n_images, eps=_ERROR, **options)
            plan.setpts(*self._points)
            self._plans[kind] = plan
        return self._plans[kind]


def point_spread(
    points: FloatArray, weights: FloatArray | Array, matrix: tuple[int, int], threads: int = 1
) -> Array:
    """Sums of weights times exp(i k . d) for lags d from -n/2, in double precision.

    Parameters
    ----------
    points
        `(point, 2)` [rad/pixel].
    weights
        `(image, point)`, real or complex.
    matrix
        Number of lags along each axis.

    Returns
    -------
    `(image, *matrix)` complex128.
    """
    import finufft

    x, y = (np.ascontiguousarray(points[:, axis], np.float64) for axis in (0, 1))
    strengths = np.ascontiguousarray(weights, np.complex128)
    spread = finufft.nufft2d1(
        x, y, strengths, matrix, isign=1, eps=_KERNEL_ERROR, nthreads=threads, showwarn=0
    )
    return np.asarray(spread).reshape(len(strengths), *matrix)
