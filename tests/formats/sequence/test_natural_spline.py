"""The natural spline against scipy's."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from mrftool.formats.sequence.reading.natural_spline import natural_spline


@pytest.mark.parametrize("n_knots", [2, 3, 4, 50])
def test_the_natural_spline_is_that_of_scipy(n_knots: int) -> None:
    knots = np.random.default_rng(1).normal(size=n_knots)
    places = np.linspace(0, 1, 333)
    expected = CubicSpline(np.linspace(0, 1, n_knots), knots, bc_type="natural")(places)
    np.testing.assert_allclose(natural_spline(knots, 333), expected, atol=1e-12)
