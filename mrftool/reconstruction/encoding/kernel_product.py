"""The product of a K x K kernel with coefficient spectra: the native kernel, and its readable twin.

The native code is `native/toeplitz.c`, in a library of its own. Where it is missing, or where the
environment says MRFTOOL_ENGINE=reference, the twin serves: the same numbers to rounding, slower.
"""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from mrftool.arrays import Array, ComplexArray
from mrftool.environment.native import library_in_use
from mrftool.errors import ArgumentError

MAX_RANK = 32  # of the native kernel


class _Job(ctypes.Structure):
    """`job` of native/toeplitz.c, field by field."""

    _fields_ = (
        ("kernel", ctypes.c_void_p),
        ("x", ctypes.c_void_p),
        ("n_coils", ctypes.c_int64),
        ("rank", ctypes.c_int64),
        ("n_points", ctypes.c_int64),
        ("first", ctypes.c_int64),
        ("last", ctypes.c_int64),
        ("is_complex", ctypes.c_int32),
    )


def multiply_kernel(kernel: Array, spectra: ComplexArray, threads: int = 1) -> None:
    """Multiply `spectra` by `kernel` at every point of k-space, in place.

    Parameters
    ----------
    kernel
        Upper triangle of the kernel, row by row, `(K (K + 1) / 2, point)`: float32, or complex64
        for a complex temporal basis, where the lower triangle is the conjugate.
    spectra
        `(coil, K, point)` complex64, C-contiguous.
    threads
        Number of threads that share the points.

    Raises
    ------
    ArgumentError
        If shapes or types do not fit.
    """
    _check(kernel, spectra)
    library = library_in_use("toeplitz", _Job)
    if library is None:
        multiply_readably(kernel, spectra)
        return
    jobs = _jobs(kernel, spectra, threads)
    if len(jobs) == 1:
        library.toeplitz_multiply(ctypes.byref(jobs[0]))
        return

    def work(job: _Job, _: tuple[Array, ...] = (kernel, spectra)) -> None:
        library.toeplitz_multiply(ctypes.byref(job))  # Ctrl-C can leave it without a caller

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, jobs))


def multiply_readably(kernel: Array, spectra: ComplexArray) -> None:
    """What `multiply_kernel` does, in NumPy alone."""
    full = full_kernel(kernel, spectra.shape[1])
    for spectrum in spectra:
        spectrum[:] = np.einsum("klp,lp->kp", full, spectrum)


def full_kernel(kernel: Array, rank: int) -> Array:
    """The Hermitian kernel `(K, K, point)` whose upper triangle is `kernel`."""
    full = np.empty((rank, rank, kernel.shape[1]), kernel.dtype)
    for element, (row, column) in enumerate(triangle(rank)):
        full[row, column] = kernel[element]
        full[column, row] = kernel[element].conj()
    return full


def triangle(rank: int) -> list[tuple[int, int]]:
    """Rows and columns of the packed upper triangle, in order."""
    return [(row, column) for row in range(rank) for column in range(row, rank)]


def _check(kernel: Array, spectra: ComplexArray) -> None:
    rank = spectra.shape[1]
    elements = rank * (rank + 1) // 2
    if not 1 <= rank <= MAX_RANK:
        raise ArgumentError(f"rank {rank}, expected 1 to {MAX_RANK}")
    if kernel.shape != (elements, spectra.shape[2]):
        raise ArgumentError(
            f"the kernel has shape {kernel.shape}, expected {(elements, spectra.shape[2])}"
        )
    if kernel.dtype not in (np.float32, np.complex64) or spectra.dtype != np.complex64:
        raise ArgumentError("expected a kernel of float32 or complex64, and complex64 spectra")
    if not (kernel.flags.c_contiguous and spectra.flags.c_contiguous):
        raise ArgumentError("expected C-contiguous arrays")


def _jobs(kernel: Array, spectra: ComplexArray, threads: int) -> list[_Job]:
    """The points, shared out among the threads."""
    n_coils, rank, n_points = spectra.shape
    edges = np.linspace(0, n_points, threads + 1).astype(int)
    return [
        _Job(
            kernel.ctypes.data,
            spectra.ctypes.data,
            n_coils,
            rank,
            n_points,
            first,
            last,
            np.iscomplexobj(kernel),
        )
        for first, last in pairwise(edges)
    ]
