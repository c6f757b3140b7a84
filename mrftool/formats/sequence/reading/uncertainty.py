"""The standard uncertainties that a sequence file states, and the keys with their units."""

from collections.abc import Mapping
from typing import Any

KEYS = {  # of a file: the name of the value, and the unit in SI units
    "b1_percent": ("b1", 0.01),
    "efficiency_percent": ("efficiency", 0.01),
    "ti_ms": ("ti", 1e-3),
    "te_ms": ("te", 1e-3),
    "adc_um2_per_s": ("adc", 1e-12),
    "off_resonance_hz": ("off_resonance", 1.0),
    "flip_exponent": ("flip_exponent", 1.0),
    "slice_profile_percent": ("slice_profile", 0.01),
}


def uncertainties_of(block: Any) -> dict[str, float]:
    """Of a file's block, by name [SI unit]."""
    found = {}
    for key, (name, unit) in KEYS.items():
        value = getattr(block, key, None)
        if value is not None:
            found[name] = value * unit
    return found


def uncertainty_block(uncertainty: Mapping[str, float]) -> dict[str, float]:
    """The block of a file. uncertainty: by name [SI unit]."""
    units = {name: (key, unit) for key, (name, unit) in KEYS.items()}
    block = {}
    for name, size in uncertainty.items():
        key, unit = units[name]
        block[key] = float(f"{size / unit:.9g}")
    return block
