"""The precision of a sequence in common tissues, as a table."""

import numpy as np

from mrftool.design.precision import REFERENCE_NOISE, Precision
from mrftool.evaluation.text_tables import TextTable
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
