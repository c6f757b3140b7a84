"""Quantiles against scipy's."""

import pytest
from scipy.special import chdtri, fdtri

from mrftool.physics.quantiles import chi_square_exceeded, f_exceeded


@pytest.mark.parametrize("degrees", [1, 1.5, 2, 8, 17.3, 500, 1996, 1e5])
@pytest.mark.parametrize("probability", [0.5, 0.1, 1e-3, 1e-6])
def test_chi_square_quantiles_are_those_of_scipy(degrees: float, probability: float) -> None:
    expected = float(chdtri(degrees, probability))
    assert chi_square_exceeded(degrees, probability) == pytest.approx(expected, rel=1e-7)


def test_half_a_degree_of_freedom_is_enough() -> None:
    assert chi_square_exceeded(0.5, 1e-3) == pytest.approx(float(chdtri(0.5, 1e-3)), rel=1e-7)


@pytest.mark.parametrize("above", [1, 2, 8, 26, 2000])
@pytest.mark.parametrize("below", [1, 5, 974, 1e5])
@pytest.mark.parametrize("probability", [0.25, 1e-3, 1e-6])
def test_f_quantiles_are_those_of_scipy(above: float, below: float, probability: float) -> None:
    expected = float(fdtri(above, below, 1 - probability))
    assert f_exceeded(above, below, probability) == pytest.approx(expected, rel=1e-7)
