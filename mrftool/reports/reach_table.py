"""What a sequence can reach in common tissues, as rows of a table."""

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


def reach_table(
    name: str, found: Precision, snr: float, other: Precision | None = None, than: str = ""
) -> TextTable:
    """Bounds of the common tissues under the sequence `name`; and how they compare with those under
    `than`.
    """
    names, _ = common_tissue()
    headings = [
        "",
        "T1 [ms]",
        "T2 [ms]",
        "signal [% M0]",
        "sd T1 [%]",
        "sd T2 [%]",
        "T1 eff.",
        "T2 eff.",
    ]
    columns = [1e3 * found.tissue.t1, 1e3 * found.tissue.t2, 100 * found.level]
    columns += [*(100 * found.relative.T), *found.efficiency.T]
    if other is not None:
        headings += [f"T1 / {than}", f"T2 / {than}"]
        with np.errstate(invalid="ignore"):
            columns += [*(found.efficiency / other.efficiency).T]
    rows = [
        [text, *(f"{value:.3g}" if value < 1000 else f"{value:.0f}" for value in row)]
        for text, row in zip(names, np.stack(columns, axis=1), strict=True)
    ]
    title = (
        f"{name}, {FIELD:g} T: smallest sd at SNR {snr:g}; efficiency T / sd / sqrt(scan time) [1/sqrt(s)] "
        f"at noise of {100 * REFERENCE_NOISE:g} % of M0"
        + (f", and its ratio to that of {than}" if than else "")
    )
    return TextTable(title, headings, rows)
