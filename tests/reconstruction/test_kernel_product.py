import numpy as np
import pytest

from mrftool.errors import ArgumentError
from mrftool.reconstruction.encoding.kernel_product import (
    full_kernel,
    multiply_kernel,
    multiply_readably,
    triangle,
)


def _spectra(rng, coils=3, rank=5, points=301):
    values = rng.normal(size=(coils, rank, points, 2)).astype(np.float32)
    return values.view(np.complex64)[..., 0].copy()


def _kernel(rng, rank, points, is_complex):
    kernel = rng.normal(size=(rank * (rank + 1) // 2, points)).astype(np.float32)
    if not is_complex:
        return kernel
    imaginary = rng.normal(size=kernel.shape)
    imaginary[[row == column for row, column in triangle(rank)]] = 0
    return (kernel + 1j * imaginary).astype(np.complex64)


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rank", [1, 2, 5, 8])
def test_native_product_equals_the_readable_one(is_complex, threads, rank):
    rng = np.random.default_rng(rank)
    spectra = _spectra(rng, rank=rank)
    kernel = _kernel(rng, rank, spectra.shape[2], is_complex)
    expected = spectra.copy()
    multiply_readably(kernel, expected)
    multiply_kernel(kernel, spectra, threads)
    np.testing.assert_allclose(spectra, expected, rtol=1e-4, atol=1e-5)


def test_product_equals_a_matrix_product_at_each_point():
    rng = np.random.default_rng(1)
    spectra = _spectra(rng, coils=1, rank=3, points=7)
    kernel = _kernel(rng, 3, 7, is_complex=True)
    before = spectra.copy()
    multiply_kernel(kernel, spectra)
    for point in range(7):
        matrix = np.zeros((3, 3), complex)
        for element, (row, column) in enumerate(triangle(3)):
            matrix[row, column] = kernel[element, point]
            matrix[column, row] = np.conj(kernel[element, point])
        np.testing.assert_allclose(
            spectra[0, :, point], matrix @ before[0, :, point], rtol=1e-4, atol=1e-5
        )


def test_lower_triangle_is_the_conjugate_of_the_upper_one():
    kernel = np.array([[1.0], [2 + 1j], [3.0]], np.complex64)
    full = full_kernel(kernel, 2)
    assert full[1, 0, 0] == np.conj(full[0, 1, 0])


def test_shapes_that_do_not_fit_are_refused():
    spectra = np.zeros((1, 3, 5), np.complex64)
    with pytest.raises(ArgumentError, match="expected"):
        multiply_kernel(np.zeros((5, 5), np.float32), spectra)
    with pytest.raises(ArgumentError, match="float32"):
        multiply_kernel(np.zeros((6, 5)), spectra)


def test_readable_engine_can_be_chosen(monkeypatch):
    rng = np.random.default_rng(2)
    kernel, spectra = rng.normal(size=(1, 4)).astype(np.float32), _spectra(rng, 1, 1, 4)
    expected = spectra * kernel[None]
    monkeypatch.setenv("MRFTOOL_ENGINE", "reference")
    multiply_kernel(kernel, spectra)
    np.testing.assert_allclose(spectra, expected, rtol=1e-6)
