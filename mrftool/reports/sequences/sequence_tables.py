"""The precision and the sensitivity of a sequence in common tissues, as tables."""

import numpy as np

from mrftool.design.precision import REFERENCE_NOISE, Precision
from mrftool.evaluation.text_tables import TextTable
from mrftool.manifold.sensitivity import NEGLIGIBLE, Sensitivity, combined
from mrftool.phantoms.tissues import class_tissue
from mrftool.tissue import Tissue

FIELD = 3.0  # [T]
_CLASSES = {"WM": "white_matter", "GM": "grey_matter", "CSF": "csf", "fat": "fat"}


def common_tissue() -> tuple[tuple[str, ...], Tissue]:
    """White and grey matter, CSF and fat at 3 T: names, and tissue of m0 = 1. Sources:
    `mrftool.phantoms.tissues`.
    """
    found = class_tissue(_CLASSES.values(), FIELD)
    return tuple(_CLASSES), Tissue(found.t1, found.t2)


def precision_table(
    name: str, found: Precision, snr: float, other: Precision | None = None, than: str = ""
) -> TextTable:
    """Cramer-Rao bounds of the common tissues under a sequence, and how another one compares.

    Parameters
    ----------
    name
        Of the sequence.
    found
        Its precision in the tissues of `common_tissue`.
    snr
        At which the bounds hold [1].
    other
        Precision of another sequence in the same tissues.
    than
        The name of that sequence.
    """
    names, _ = common_tissue()
    headings = ["", "T1 [ms]", "T2 [ms]", "signal [% M0]", "sd T1 [%]", "sd T2 [%]"]
    headings += ["T1 eff.", "T2 eff."]
    columns = [1e3 * found.tissue.t1, 1e3 * found.tissue.t2, 100 * found.level]
    columns += [*(100 * found.relative.T), *found.efficiency.T]
    title = f"{name}, {FIELD:g} T: smallest sd at SNR {snr:g}; "
    title += "efficiency T / sd / sqrt(scan time) [1/sqrt(s)] "
    title += f"at noise of {100 * REFERENCE_NOISE:g} % of M0"
    if other is not None:
        headings += [f"T1 / {than}", f"T2 / {than}"]
        with np.errstate(invalid="ignore"):
            columns += [*(found.efficiency / other.efficiency).T]
        title += f", and its ratio to that of {than}"
    numbers = np.stack(columns, axis=1)
    rows = [[text, *map(_number_text, row)] for text, row in zip(names, numbers, strict=True)]
    return TextTable(title, headings, rows)


def _number_text(value: float) -> str:
    """Three digits, and no exponent for thousands."""
    if value < 1000:
        return f"{value:.3g}"
    return f"{value:.0f}"


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
