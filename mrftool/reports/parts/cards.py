"""The pictures of a report's page, each with its title, scale and texts, as the template takes
them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.evaluation.residuals import FitResiduals
from mrftool.maps import Maps
from mrftool.pages.styles import flags_in, ticks
from mrftool.pages.views import View, slices_text
from mrftool.quantities import QUANTITIES, SECOND, Flag, quantity
from mrftool.reports.parts.pictures import (
    Picture,
    bars,
    curve,
    flag_picture,
    gradient,
    hex_colour,
    map_picture,
)
from mrftool.reports.parts.statistics import window_of
from mrftool.reports.parts.tables import percent, quantiles_text
from mrftool.sequence import PulseSequence

Card = dict[str, Any]

_COARSE = 400  # width below which the pixels of a picture are shown as squares
_EMPTY = {"counts": [0], "below": 0, "above": 0}  # the histogram of no voxel


def map_cards(maps: Maps, statistics: Mapping[str, Any], view: View) -> list[Card]:
    """Every map in the order of `mrftool.quantities`: picture, colour bar, histogram.

    statistics: of `report.json`.
    """
    masked = (maps.flags & Flag.MASKED) != 0
    images = dict(maps.images())
    cards = []
    for name in QUANTITIES:
        if name == "flags":
            cards.append(_flag_card(maps.flags, view))
        elif name in images:
            cards.append(_map_card(name, images[name], masked, view, statistics[name]))
    return cards


def _map_card(
    name: str, image: Array, masked: BoolArray, view: View, statistics: Mapping[str, Any]
) -> Card:
    style, _, _ = window_of(name, image)
    low, high = style.window
    histogram = statistics.get("histogram", _EMPTY)
    text = quantiles_text(statistics, style)
    alt = f"{style.title}, {slices_text(image.shape, view)}, "
    alt += f"colours from {low:.3g} to {high:.3g}; {text}"
    return {
        "name": name,
        "title": style.title,
        "picture": _picture(map_picture(image, masked, view, style)),
        "alt": alt,
        "gradient": Markup(gradient(style.table)),  # noqa: S704 - made of our own colours
        "ticks": [(100 * (tick - low) / (high - low), f"{tick:g}") for tick in ticks(low, high)],
        "large": _is_relaxation_time(name),  # two in a row, the others three
        "bars": Markup(bars(histogram["counts"])),  # noqa: S704 - numbers
        "text": text,
        "beyond": _beyond_text(histogram["below"] + histogram["above"], statistics["n"]),
    }


def _is_relaxation_time(name: str) -> bool:
    return quantity(name).is_bids and quantity(name).unit == SECOND


def _beyond_text(n_beyond: int, n: int) -> str:
    """How many voxels lie outside the histogram; empty for none."""
    if not n_beyond:
        return ""
    return f"{n_beyond} ({percent(n_beyond / n)}) are beyond the scale"


def _flag_card(flags: Array, view: View) -> Card:
    legend = [(hex_colour(each.colour), each.label) for each in flags_in(flags)]
    alt = f"Flags, {slices_text(flags.shape, view)}; {', '.join(text for _, text in legend)}"
    return {
        "name": "flags",
        "title": quantity("flags").caption,
        "picture": _picture(flag_picture(flags, view)),
        "alt": alt,
        "legend": legend,
        "large": False,
    }


def _picture(picture: Picture) -> dict[str, Any]:
    return {
        **vars(picture),
        "uri": Markup(picture.uri),  # noqa: S704 - base64
        "style": f"aspect-ratio:{picture.aspect:.4f}",
        "coarse": picture.width < _COARSE,
    }


def sequence_plots(sequence: PulseSequence | None) -> list[Card]:
    """Flip angle, and what else changes from one repetition to the next."""
    if sequence is None:
        return []
    columns = [
        ("RF phase [deg]", np.rad2deg(sequence.rf_phase) % 360),
        ("TR [ms]", sequence.tr * 1e3),
        ("TE [ms]", sequence.te * 1e3),
    ]
    changing = [column for column in columns if np.ptp(column[1]) > 1e-6]
    columns = [("flip angle [deg]", np.rad2deg(sequence.flip_angle)), *changing]
    return [plot_over_repetitions(title, {"": values}) for title, values in columns]


def fit_plots(residuals: FitResiduals | None) -> list[Card]:
    """The average residual over time, and the fits of a typical and of the worst voxel."""
    if residuals is None:
        return []
    average = residuals.average
    size = residuals.over_frames(100 * average.size)
    noise = np.full(len(size), 100 * average.noise)
    title = f"average residual of {average.n_voxels} voxels [% of the signal]"
    plots = [plot_over_repetitions(title, {"residual": size, "noise": noise})]
    for name, fit in (("typical", residuals.typical), ("worst", residuals.worst)):
        x, y, z = (index + 1 for index in fit.voxel)
        title = f"{name} voxel ({x}, {y}, {z}), residual {percent(fit.residual)}"
        curves = {"measured": fit.measured, "fitted": fit.fitted}
        shown = {name: residuals.over_frames(values) for name, values in curves.items()}
        plots.append(plot_over_repetitions(title, shown))
    return plots


def _vertical_range(curves: Mapping[str, FloatArray]) -> tuple[float, float]:
    """Ends of the vertical axis: all values and 0, with a little room."""
    lowest = min(float(values.min()) for values in curves.values())
    highest = max(float(values.max()) for values in curves.values())
    low, high = min(0.0, 1.05 * lowest), max(1.05 * highest, 1e-3)
    if lowest < 0:
        high = max(high, -1e-3 * low)
    return low, high


def plot_over_repetitions(title: str, curves: Mapping[str, FloatArray]) -> Card:
    """Curves with a value for each repetition `(repetition,)`, by their name in the legend."""
    low, high = _vertical_range(curves)
    first = next(iter(curves.values()))
    n = len(first)
    across = [(100 * (tick - 0.5) / n, f"{tick:g}") for tick in ticks(1, n, 6) if tick >= 1]
    up = [(100 * (high - tick) / (high - low), f"{tick:g}") for tick in ticks(low, high, 4)]
    return {
        "title": title,
        "curves": [
            (name, Markup(curve(values, low, high)))  # noqa: S704 - numbers
            for name, values in curves.items()
        ],
        "x": across or [(50.0, "1")],
        "y": up,
        "text": f"{title} of {n} repetitions, {first.min():.4g} to {first.max():.4g}",
    }
