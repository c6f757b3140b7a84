"""The columns of a sequence file in SI units. Loads no schema."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray

COLUMNS = {
    "flip_angle_deg": "flip_angle",
    "rf_phase_deg": "rf_phase",
    "tr_ms": "tr",
    "te_ms": "te",
}
OPTIONAL = {"receiver_phase_deg": "receiver_phase", "spoiler_cycles": "spoiler_cycles"}
LATER = "later_echoes_ms"


def column_fields(columns: Mapping[str, FloatArray]) -> dict[str, Any]:
    """The columns in SI units; those that are missing do no harm."""
    n = len(next(iter(columns.values())))
    harmless = {"flip_angle_deg": 0.0, "rf_phase_deg": 0.0, "tr_ms": 60e3, "te_ms": 0.0}
    filled = {key: columns.get(key, np.full(n, value)) for key, value in harmless.items()}
    fields = {
        "flip_angle": np.deg2rad(filled["flip_angle_deg"]),
        "rf_phase": np.deg2rad(filled["rf_phase_deg"]),
        "tr": filled["tr_ms"] * 1e-3,
        "te": filled["te_ms"] * 1e-3,
    }
    if LATER in columns:
        fields["later_echoes"] = columns[LATER] * 1e-3
    if "receiver_phase_deg" in columns:
        fields["receiver_phase"] = np.deg2rad(columns["receiver_phase_deg"])
    if "spoiler_cycles" in columns:
        fields["spoiler_cycles"] = columns["spoiler_cycles"]
    return fields
