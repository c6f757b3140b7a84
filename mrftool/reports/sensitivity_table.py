"""How far T1 and T2 of common tissues move when what is given is wrong, as a table."""

import numpy as np

from mrftool.design.precision import Precision
from mrftool.evaluation.text_tables import TextTable
from mrftool.manifold.sensitivity import NEGLIGIBLE, Sensitivity, combined
from mrftool.reports.precision_table import FIELD


def sensitivity_table(
    name: str, tissues: tuple[str, ...], found: Sensitivity, bound: Precision, snr: float
) -> TextTable:
    """Relative changes of T1 and T2 beside their smallest standard deviation.

    Parameters
    ----------
    name
        Of the sequence.
    tissues
        Names of the tissues of `found`.
    found
        Sensitivity to each given value, shown for its typical uncertainty.
    bound
        Cramer-Rao bound of the same tissues.
    snr
        At which the bound holds [1].
    """
    shifts = found.shifts()
    shown, hidden = np.flatnonzero(found.matters()), np.flatnonzero(~found.matters())
    labels = [f"{each.label} {each.shown}" for each in found.influences]
    headings = ["", *(labels[k] for k in shown), "all of these", f"noise, SNR {snr:g}"]
    together = combined(shifts)
    rows = []
    for voxel, tissue in enumerate(tissues):
        for k, parameter in enumerate(("T1", "T2")):
            changes = [change_text(shifts[index, voxel, k]) for index in shown]
            sizes = [size_text(together[voxel, k]), size_text(bound.relative[voxel, k])]
            rows.append([f"{parameter} of {tissue}", *changes, *sizes])
    title = f"{name}, {FIELD:g} T: change [%] of T1 and T2 where a given value is too high by as "
    title += "much as it is typically uncertain"
    if hidden.size:
        title += f"; no change by {', '.join(labels[k] for k in hidden)}"
    return TextTable(title, headings, rows)


def change_text(value: float) -> str:
    """A relative change in percent with its sign; a dash where it is not determined."""
    if not np.isfinite(value):
        return "-"
    if abs(value) < NEGLIGIBLE:
        return "0"
    return f"{100 * value:+.{_decimals(value)}f}"


def size_text(value: float) -> str:
    """A relative size in percent; a dash where it is not determined."""
    if not np.isfinite(value):
        return "-"
    return f"{100 * value:.{_decimals(value)}f}"


def _decimals(value: float) -> int:
    """One decimal below 10 %, none above."""
    return int(abs(value) < 0.0995)
