"""Sequences side by side, as a table: a row for each number, a column for each sequence."""

from collections.abc import Sequence

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.design.comparison import NOISE, RANK, Characteristics
from mrftool.evaluation.text_tables import TextTable

_NAMES = ("T1", "T2")


def comparison_table(
    found: Sequence[Characteristics], tissues: Sequence[str], arms: int
) -> TextTable:
    """Precision, sensitivities, energy and time of each sequence.

    Parameters
    ----------
    found
        Numbers of each sequence.
    tissues
        Names of the tissues that they are given for.
    arms
        Of the trajectory.
    """
    rows = [
        _row("duration [s]", [each.duration for each in found]),
        _row("sum of squared flip angles [rad2]", [each.energy for each in found]),
        _row("largest flip angle [deg]", [np.rad2deg(each.largest_flip) for each in found]),
        _row("largest step [deg]", [np.rad2deg(each.largest_step) for each in found]),
    ]
    for title, key, factor in (
        ("sd {} of {} [%]", "relative_sd", 100.0),
        (f"sd {{}} of {{}}, one of {arms} arms [%]", "arm_sd", 100.0),
        ("{} of {} per 1 % of B1 [%]", "by_b1", 1.0),
        ("{} of {} per 1 % of inversion efficiency [%]", "by_efficiency", 1.0),
    ):
        values = np.stack([factor * getattr(each, key) for each in found])
        rows += _tissue_rows(title, tissues, values)
    rows.append(_row(f"left out by {RANK} coefficients [%]", [100 * x.left_out for x in found]))
    title = f"smallest sd of T1 and T2 at noise of {100 * NOISE:g} % of M0, and errors of what a"
    title += " fit takes for granted"
    return TextTable(title, ["", *(each.name for each in found)], rows)


def _tissue_rows(title: str, tissues: Sequence[str], values: FloatArray) -> list[list[str]]:
    """Rows of numbers `(sequence, tissue, 2)`, those without any number left out."""
    rows = []
    for tissue, name in enumerate(tissues):
        for column, parameter in enumerate(_NAMES):
            numbers = values[:, tissue, column]
            if np.isfinite(numbers).any():
                rows.append(_row(title.format(parameter, name), numbers))
    return rows


def _row(title: str, numbers: Sequence[float] | FloatArray) -> list[str]:
    return [title, *map(_number, numbers)]


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.3g}"
