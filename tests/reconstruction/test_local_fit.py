"""Ratios of images as smooth surfaces."""

import numpy as np

from mrftool.reconstruction.coil_maps import _dominant, _low_pass, estimate_coils
from mrftool.reconstruction.local_fit import local_ratios
from mrftool.reconstruction.simulated.raw_data import ring_coils
from mrftool.reconstruction.support import object_support

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
    found = local_ratios((surface * reference)[None, None], reference[None], 4.0)[0]
    assert abs(found - surface)[inside].max() < 0.005


def test_empty_images_give_finite_maps():
    empty = np.zeros((2, SIZE, SIZE), np.complex64)
    assert np.isfinite(local_ratios(empty[:, None], empty[:1], 3.0)).all()
    assert np.isfinite(estimate_coils(empty[:, None])).all()


def test_coil_maps_are_right_at_edges_of_the_object():
    reference, inside = object_with_edges()
    coils = ring_coils(8, (SIZE, SIZE))
    images = (coils * reference).astype(np.complex64)
    surfaces, means = estimate_coils(images[:, None]), _dominant(_low_pass(images))
    assert error_of(surfaces, coils)[inside].max() < 0.5 * error_of(means, coils)[inside].max()


def error_of(found, coils):
    """Distance of unit vectors, whatever their phase."""
    return np.sqrt(np.maximum(1 - abs((found * coils.conj()).sum(axis=0)) ** 2, 0))


def test_support_is_the_hull_of_what_stands_out_and_a_margin():
    reference, inside = object_with_edges()
    images = np.stack([reference, 1j * reference])
    found = object_support(images)
    assert found[inside].all()
    assert not found[:4, :4].any()
    assert found.mean() < inside.mean() + 0.25


def test_support_is_everything_where_nothing_stands_out():
    noise = np.random.default_rng(0).normal(size=(3, SIZE, SIZE))
    assert object_support(noise).all()
    assert object_support(np.zeros((1, SIZE, SIZE))).all()
