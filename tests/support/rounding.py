"""Comparing maps that differ by rounding in single precision alone."""

from collections.abc import Mapping

import numpy as np

from mrftool.arrays import Array

TIMES = 1e-4  # relative difference of T1, T2 and M0
MISFIT = 2e-6  # difference of squared residuals: they are 1 less a number near 1


def assert_equal_to_rounding(
    found: Mapping[str, Array], expected: Mapping[str, Array], message: str = ""
) -> None:
    """Both hold the same maps; standard deviations inherit the rounding of the residual."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        text = f"{name} {message}"
        if name == "flags":
            np.testing.assert_array_equal(found[name], values, err_msg=text)
        elif name == "residual":
            np.testing.assert_allclose(found[name] ** 2, values**2, atol=MISFIT, err_msg=text)
        elif name.startswith("sd_"):
            share = np.nanmax(MISFIT / np.square(expected["residual"]))
            np.testing.assert_allclose(found[name], values, rtol=float(share), err_msg=text)
        else:
            np.testing.assert_allclose(found[name], values, rtol=TIMES, err_msg=text)
