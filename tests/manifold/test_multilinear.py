"""Linear interpolation on a grid against scipy's."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from mrftool.manifold.multilinear import interpolate_linearly, nodes_around


@pytest.mark.parametrize("sizes", [(7,), (2, 5), (4, 3, 6)])
def test_values_are_those_of_scipy_also_beside_nan_and_beyond_the_ends(
    sizes: tuple[int, ...],
) -> None:
    random = np.random.default_rng(0)
    axes = [np.sort(random.random(n)) for n in sizes]
    values = random.random((*sizes, 3))
    values[(0,) * len(sizes)] = np.nan
    points = random.uniform(-0.1, 1.1, (500, len(sizes)))
    inside = np.stack([np.clip(x, a[0], a[-1]) for x, a in zip(points.T, axes, strict=True)], 1)
    expected = RegularGridInterpolator(axes, values)(inside)
    assert np.isnan(expected).any()
    np.testing.assert_allclose(interpolate_linearly(axes, values, points), expected, atol=1e-13)


def test_nodes_around_the_points_are_all_that_is_taken() -> None:
    random = np.random.default_rng(0)
    axes = [np.sort(random.random(n)) for n in (6, 5)]
    values, points = random.random((6, 5)), random.uniform(-0.1, 0.5, (9, 2))
    around = nodes_around(axes, points)
    known = np.where(around, values, np.nan)
    expected = interpolate_linearly(axes, values, points)
    assert 4 <= np.count_nonzero(around) < values.size
    assert np.array_equal(interpolate_linearly(axes, known, points), expected)
