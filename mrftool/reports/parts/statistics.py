"""Statistics and histograms of maps, in the windows of their pictures."""

from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.maps import Maps
from mrftool.pages.styles import Style, style_of
from mrftool.quantities import quantity

_N_BINS = 60  # of a histogram
_PERCENTILES = {"p1": 1, "p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95, "p99": 99}


def window_of(name: str, image: Array) -> tuple[Style, float, float]:
    """How a map is shown, and the ends of its window in the unit in memory."""
    style = style_of(name, image)
    return style, style.window[0] / style.scale, style.window[1] / style.scale


def map_statistics(maps: Maps) -> dict[str, Any]:
    """Of every map but the flags, by name."""
    images = {name: image for name, image in maps.images() if name != "flags"}
    return {name: _statistics(name, image, maps.flags == 0) for name, image in images.items()}


def _statistics(name: str, image: Array, unflagged: BoolArray) -> dict[str, Any]:
    """Of the unflagged voxels, in the unit of the map's file; of a complex map the modulus."""
    values = image[unflagged]
    if np.iscomplexobj(values):
        values = np.abs(values)
    values = values[np.isfinite(values)].astype(np.float64)
    statistics: dict[str, Any] = {"unit": quantity(name).unit.name, "n": int(values.size)}
    if not values.size:
        return statistics
    percentiles = np.percentile(values, list(_PERCENTILES.values())).tolist()
    _, low, high = window_of(name, image)
    return {
        **statistics,
        "mean": float(values.mean()),
        "min": float(values.min()),
        "max": float(values.max()),
        **dict(zip(_PERCENTILES, percentiles, strict=True)),
        "histogram": _histogram(values, low, high),
    }


def _histogram(values: FloatArray, low: float, high: float) -> dict[str, Any]:
    inside = values[(values >= low) & (values <= high)]
    counts, _ = np.histogram(inside, _N_BINS, (low, high))
    return {
        "from": low,
        "to": high,
        "counts": counts.tolist(),
        "below": int(np.count_nonzero(values < low)),
        "above": int(np.count_nonzero(values > high)),
    }
