"""The energy that noise hardly ever exceeds."""

import pytest
from scipy.special import chdtri

from mrftool.inference.assessment.misfit import _RARELY, _rarely_exceeded


@pytest.mark.parametrize("degrees", [0.5, 2, 57.3, 2000, 1e5])
def test_rarely_exceeded_value_is_the_quantile_of_scipy(degrees: float) -> None:
    assert _rarely_exceeded(degrees) == pytest.approx(float(chdtri(degrees, _RARELY)), rel=1e-6)
