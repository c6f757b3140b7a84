"""The normal operator of subspace reconstruction, without a non-uniform transform in it.

N c = sum over coils of S^H [T * (S c)], where T is a K x K kernel over twice the image's grid: the
point spread function of every pair of coefficients. The convolution is a product in k-space.

Sources: J. A. Fessler et al., IEEE Trans Signal Process 53:3393 (2005), doi
10.1109/TSP.2005.853152 (Toeplitz operators); J. I. Tamir et al., Magn Reson Med 77:180 (2017), doi
10.1002/mrm.26102 (temporal kernels). Home of ducc0.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray, ComplexArray
from mrftool.reconstruction.encoding.kernel_product import multiply_kernel, triangle
from mrftool.reconstruction.encoding.nufft import point_spread
from mrftool.reconstruction.encoding.off_resonance import TimeSegments
from mrftool.scan.kspace import Trajectory

_TOGETHER = 8  # kernel elements that are computed at a time

Box = tuple[slice, slice]


class NormalOperator:
    """N = A^H A on coefficient images `(K, x, y)`; holds the kernel and buffers.

    kernel: of `toeplitz_kernel`, for the size of the box. coils: `(coil, x, y)`. phases: of the
    time segments `(segment, x, y)`, or None without off-resonance. threads: share the coils. box:
    of `coil_box`, outside of which coils are 0; by default the whole image.
    """

    def __init__(
        self,
        kernel: Array,
        coils: ComplexArray,
        phases: ComplexArray | None = None,
        threads: int = 1,
        box: Box = (slice(None), slice(None)),
    ) -> None:
        self._kernel, self._box = kernel, box
        self._coils = np.ascontiguousarray(coils[:, *box])
        self._phases = None if phases is None else np.ascontiguousarray(phases[:, *box])
        self._jobs = min(threads, len(coils))
        self._threads = threads // self._jobs  # of each job
        self._buffers = [np.empty(0, np.complex64)] * self._jobs

    def __call__(self, images: ComplexArray) -> ComplexArray:
        """N times `images` `(K, x, y)`."""
        expanded = _expanded(images[:, *self._box], self._phases)

        def share(job: int) -> ComplexArray:
            total = np.zeros_like(expanded)
            for coil in self._coils[job :: self._jobs]:
                total += coil.conj() * self._convolved(job, expanded, coil)
            return total

        result = np.zeros_like(images)
        result[:, *self._box] = _collapsed(np.asarray(sum(self._shared(share))), self._phases)
        return result

    def convolved(self, images: ComplexArray) -> ComplexArray:
        """Images `(coil, K, x, y)` convolved with the kernel."""
        result = np.empty_like(images)

        def share(job: int) -> None:
            for index in range(job, len(images), self._jobs):
                result[index] = self._convolved(job, images[index])

        self._shared(share)
        return result

    def _shared(self, work: Callable[[int], Any]) -> list[Any]:
        """What every job returns."""
        if self._jobs == 1:
            return [work(0)]
        with ThreadPoolExecutor(self._jobs) as pool:
            return list(pool.map(work, range(self._jobs)))

    def _convolved(
        self, job: int, images: ComplexArray, factor: ComplexArray | float = 1.0
    ) -> ComplexArray:
        """Images `(K, x, y)` times a factor `(x, y)`, convolved; lies in the buffer of the job.

        Rows of zeros are not transformed: the padding along x is empty before the first transform,
        and not needed after the last.
        """
        from ducc0.fft import c2c

        rank, n_x, n_y = images.shape
        padded = self._padded(job, (rank, 2 * n_x, 2 * n_y))
        rows = padded[:, :n_x]
        np.multiply(images, factor, out=rows[:, :, :n_y])
        rows[:, :, n_y:] = 0
        padded[:, n_x:] = 0
        c2c(rows, axes=(2,), out=rows, nthreads=self._threads)
        c2c(padded, axes=(1,), out=padded, nthreads=self._threads)
        multiply_kernel(self._kernel, padded.reshape(1, rank, -1), self._threads)
        c2c(padded, axes=(1,), forward=False, out=padded, nthreads=self._threads)
        c2c(rows, axes=(2,), forward=False, out=rows, nthreads=self._threads)
        return rows[:, :, :n_y]

    def _padded(self, job: int, shape: tuple[int, ...]) -> ComplexArray:
        """The buffer of a job, kept between calls."""
        size = int(np.prod(shape))
        if self._buffers[job].size < size:
            self._buffers[job] = np.empty(size, np.complex64)
        return self._buffers[job][:size].reshape(shape)


def normal_operator(
    trajectory: Trajectory,
    grams: Array,
    coils: ComplexArray,
    segments: TimeSegments | None = None,
    threads: int = 1,
) -> NormalOperator:
    """The normal operator of a trajectory, on the part of the image that the coils see.

    Parameters
    ----------
    grams
        Of `gram_matrices`.
    coils
        Sensitivities `(coil, x, y)`.
    """
    box = coil_box(coils)
    n_x, n_y = coils[0][box].shape
    kernel = toeplitz_kernel(trajectory, grams, (n_x, n_y), segments, threads)
    phases = None if segments is None else segments.phases
    return NormalOperator(kernel, coils, phases, threads, box)


def coil_box(coils: ComplexArray) -> Box:
    """Pixels that hold all that the coils `(coil, x, y)` see, of a size whose FFT is fast."""
    seen: BoolArray = coils != 0
    return _span(np.asarray(seen.any(axis=(0, 2)))), _span(np.asarray(seen.any(axis=(0, 1))))


def _span(seen: BoolArray) -> slice:
    """The pixels seen along one axis, and some beside them for a good size."""
    from ducc0.fft import good_size

    places = np.flatnonzero(seen)
    if not places.size:
        return slice(0, len(seen))
    width = int(np.ptp(places)) + 1
    width = min(good_size(width), len(seen))
    start = min(int(places[0]), len(seen) - width)
    return slice(start, start + width)


def gram_matrices(basis: Array, arm: Array, repetition: Array, n_arms: int) -> Array:
    """Sum over the readouts of each arm of conj(phi) phi^T, `(arm, K, K)`."""
    rows = basis[repetition]
    grams = np.zeros((n_arms, basis.shape[1], basis.shape[1]), basis.dtype)
    np.add.at(grams, arm, rows.conj()[:, :, None] * rows[:, None, :])
    return grams


def toeplitz_kernel(
    trajectory: Trajectory,
    grams: Array,
    matrix: tuple[int, int],
    segments: TimeSegments | None = None,
    threads: int = 1,
) -> Array:
    """The kernel over the padded grid: its packed upper triangle `(K (K + 1) / 2, point)`.

    float32 for a real basis; complex64 for a complex one, or with time segments, where segment and
    coefficient together take the place of the coefficient (segment-major).

    Parameters
    ----------
    grams
        Of `gram_matrices`.
    matrix
        Size of the image.
    """
    padded = (2 * matrix[0], 2 * matrix[1])
    points = trajectory.points.reshape(-1, 2)
    pairs = triangle(grams.shape[1] * _n_segments(segments))
    is_real = segments is None and not np.iscomplexobj(grams)
    kernel = np.empty((len(pairs), padded[0] * padded[1]), np.float32 if is_real else np.complex64)
    for start in range(0, len(pairs), _TOGETHER):
        chosen = pairs[start : start + _TOGETHER]
        weights = np.stack([_weights(trajectory, grams, segments, pair) for pair in chosen])
        spread = point_spread(points, weights, padded, threads)
        spectrum = _spectrum(spread, threads)
        kernel[start : start + len(chosen)] = spectrum.real if is_real else spectrum
    return kernel


def _n_segments(segments: TimeSegments | None) -> int:
    return 1 if segments is None else len(segments.weights)


def _weights(
    trajectory: Trajectory, grams: Array, segments: TimeSegments | None, pair: tuple[int, int]
) -> Array:
    """Weight of every sample `(arm x sample,)` in one element of the kernel."""
    rank = grams.shape[1]
    (first, row), (second, column) = (divmod(index, rank) for index in pair)
    weights = grams[:, row, column, None] * trajectory.inside
    if segments is not None:
        weights = weights * (segments.weights[first].conj() * segments.weights[second])
    return np.asarray(weights).ravel()


def _spectrum(spread: Array, threads: int) -> Array:
    """Spectra `(image, point)` of point spread functions whose lags run from -n to n - 1.

    A lag of n joins no two pixels; without it the functions are Hermitian, their spectra real.
    """
    from ducc0.fft import c2c

    spread[:, 0] = 0
    spread[:, :, 0] = 0
    spectrum = c2c(np.fft.ifftshift(spread, axes=(1, 2)), axes=(1, 2), nthreads=threads)
    return np.asarray(spectrum.reshape(len(spread), -1) / spread[0].size)


def _expanded(images: ComplexArray, phases: ComplexArray | None) -> ComplexArray:
    """Images `(K, x, y)` at the time of each segment `(segment x K, x, y)`."""
    if phases is None:
        return images
    return (phases[:, None] * images[None]).reshape(-1, *images.shape[1:])


def _collapsed(images: ComplexArray, phases: ComplexArray | None) -> ComplexArray:
    """The adjoint of `_expanded`."""
    if phases is None:
        return images
    apart = images.reshape(len(phases), -1, *images.shape[1:])
    return np.asarray(np.einsum("lxy,lkxy->kxy", phases.conj(), apart))
