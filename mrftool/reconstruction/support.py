"""Where an image may hold an object: the convex hull of what clearly does, and a margin.

Coefficients outside are taken to be 0. Fewer unknowns carry less noise, and coil maps need no
values where nothing tells them.
"""

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray

_SMOOTHING = 1 / 64  # of the energy, sd [field of view]
_MARGIN = 1 / 48  # beyond the hull [field of view]
_BRIGHT = 99.0  # percentile
_LEAST = 0.1**2  # of the energy of bright pixels
_DARK = 1.0  # percentile, of what holds noise alone
_ABOVE_NOISE = 8.0  # times the energy of dark pixels
_FEWEST = 10  # pixels that a hull is made of


def object_support(images: Array) -> BoolArray:
    """Pixels `(x, y)` in which an object may lie; all of them where none stands out.

    Parameters
    ----------
    images
        Of every coil and contrast `(..., x, y)` [scanner's unit].
    """
    from scipy.ndimage import gaussian_filter

    energy = np.square(abs(images)).reshape(-1, *images.shape[-2:]).sum(axis=0)
    smooth = gaussian_filter(energy, [_SMOOTHING * n for n in energy.shape], mode="nearest")
    dark, bright = np.percentile(smooth, [_DARK, _BRIGHT])
    limit = max(_LEAST * bright, _ABOVE_NOISE * dark)
    places = np.argwhere(smooth > limit)
    if len(places) < _FEWEST:
        return np.ones(energy.shape, bool)
    return _near_hull(places.astype(np.float64), energy.shape)


def _near_hull(places: FloatArray, shape: tuple[int, ...]) -> BoolArray:
    """Pixels inside the convex hull of `places`, or less than the margin beyond it."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        sides = ConvexHull(places).equations
    except QhullError:
        return np.ones(shape, bool)
    inside = np.ones(shape, bool)
    x, y = np.indices(shape)
    margin = _MARGIN * max(shape)
    for normal_x, normal_y, offset in sides:
        inside &= normal_x * x + normal_y * y + offset <= margin
    return inside
