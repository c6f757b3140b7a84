"""Ratios of images as smooth surfaces."""

import numpy as np

from mrftool.reconstruction.coil_maps import _dominant, _low_pass, estimate_coils
from mrftool.reconstruction.local_fit import local_ratios
from mrftool.reconstruction.simulated.raw_data import ring_coils

SIZE = 64


def object_with_edges():
    """A disc whose halves differ in brightness."""
    x, y = np.meshgrid(*2 * [np.linspace(-1, 1, SIZE)], indexing="ij")
    inside = np.hypot(x, y) < 0.7
    return inside * np.where(x > 0.1, 5.0, 1.0) * np.exp(1j * x), inside


def test_quadratic_surfaces_are_found_exactly():
    reference, inside = object_with_edges()
    x, y = np.meshgrid(*2 * [np.linspace(-1, 1, SIZE)], indexing="ij")
    surface = (0.4 + 0.2 * x - 0.3j * y + 0.1 * x * y - 0.2 * y**2).astype(np.complex64)
    found = local_ratios((surface * reference)[None], reference, 4.0)[0]
    assert abs(found - surface)[inside].max() < 0.005


def test_empty_images_give_finite_maps():
    empty = np.zeros((2, SIZE, SIZE), np.complex64)
    assert np.isfinite(local_ratios(empty, empty[0], 3.0)).all()
    assert np.isfinite(estimate_coils(empty)).all()


def test_coil_maps_are_right_at_edges_of_the_object():
    reference, inside = object_with_edges()
    coils = ring_coils(8, (SIZE, SIZE))
    images = (coils * reference).astype(np.complex64)
    surfaces, means = estimate_coils(images), _dominant(_low_pass(images))
    assert error_of(surfaces, coils)[inside].max() < 0.5 * error_of(means, coils)[inside].max()


def error_of(found, coils):
    """Distance of unit vectors, whatever their phase."""
    return np.sqrt(np.maximum(1 - abs((found * coils.conj()).sum(axis=0)) ** 2, 0))
