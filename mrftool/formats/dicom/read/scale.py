"""From stored integers to the signal: the scaling attributes of the standard and of vendors, and
the unit of phases.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import BoolArray
from mrftool.errors import InputError
from mrftool.formats.dicom.read.plane import Component, Layout, Plane, shown

_RADIANS_PER = {  # RescaleType and UCUM units of phase images, as vendors write them
    **dict.fromkeys(("RAD", "RADIAN", "RADIANS"), 1.0),
    **dict.fromkeys(("MRAD", "MILLIRADIAN", "MILLIRADIANS", "MILLIRADIALS"), 1e-3),
    **dict.fromkeys(("DEG", "DEGREE", "DEGREES"), np.pi / 180),
}


@dataclass(frozen=True)
class Scale:
    """value = slope x stored + intercept. origin: which attributes said so. low, high: what values
    may be.
    """

    slope: float
    intercept: float
    origin: str
    low: float = -np.inf
    high: float = np.inf


def scale_of(plane: Plane, component: Component, layout: Layout) -> Scale:
    """From stored integers to the signal, or to radians for phase.

    The first that the header has counts: Philips' private scaling, (stored x RS + RI) / (RS x SS)
    (Chenevert et al., Transl Oncol 2014;7:65-71), whoever is named as manufacturer, since their
    Real World Values are those on display; Real World Value Mapping (PS3.3 C.7.6.16.2.11); rescale
    slope and intercept, which are 1 and 0 where missing.

    Raises InputError if the mapping is no straight line, or if the unit of a phase is not known.
    """
    scale = _phase_scale(plane, layout) if component == "phase" else _signal_scale(plane)
    if not (np.isfinite(scale.slope) and np.isfinite(scale.intercept)) or scale.slope == 0:
        raise InputError(
            f"{plane.name}: {scale.origin} is 0 or not finite, "
            "expected finite numbers and a slope that is not 0"
        )
    if component == "magnitude":
        return replace(scale, low=0.0)
    return scale


@dataclass(frozen=True)
class Padding:
    """Stored numbers from `low` to `high` that fill the image where nothing was measured."""

    low: int
    high: int

    def covers(self, stored: NDArray[np.integer[Any]]) -> BoolArray:
        """True where a stored number is padding."""
        return np.asarray((stored >= self.low) & (stored <= self.high))


def padding_of(plane: Plane, layout: Layout) -> Padding | None:
    """Padding of the pixels, if the image states it (PixelPaddingValue, PS3.3 C.7.5.1.1.2)."""
    ends = [
        _with_sign(plane.values[key], layout)
        for key in ("PixelPaddingValue", "PixelPaddingRangeLimit")
        if isinstance(plane.values.get(key), int)
    ]
    if "PixelPaddingValue" not in plane.values or not ends:
        return None
    return Padding(min(ends), max(ends))


def _with_sign(bits: int, layout: Layout) -> int:
    """16 bits as the number that they mean in the pixels of the image."""
    if layout.signed and bits >= 1 << 15:
        return bits - (1 << 16)
    return bits


def _signal_scale(plane: Plane) -> Scale:
    rescale = _rescale(plane)
    precise = plane.values.get("PhilipsScaleSlope")
    if precise:
        return Scale(
            1 / precise,
            rescale.intercept / (rescale.slope * precise),
            "Philips' private scale slope",
        )
    if "RealWorld" in plane.values:
        slope, intercept, _ = _real_world(plane)
        return Scale(slope, intercept, "Real World Value Mapping")
    return rescale


def _rescale(plane: Plane) -> Scale:
    slope, intercept = plane.values.get("RescaleSlope"), plane.values.get("RescaleIntercept")
    origin = "rescale slope"
    if slope is None and intercept is None:
        origin = "no rescale slope (1 and 0 taken)"
    if slope is None:
        slope = 1
    try:
        return Scale(float(slope) or np.nan, float(intercept or 0), origin)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{plane.name}: RescaleSlope is {shown(slope)}, expected a number"
        ) from error


def _real_world(plane: Plane) -> tuple[float, float, str]:
    items = plane.values["RealWorld"]
    slope, intercept, unit = items[0]
    if not isinstance(slope, int | float) or not isinstance(intercept, int | float):
        raise InputError(
            f"{plane.name}: Real World Value Mapping is a lookup table, expected slope and "
            f"intercept"
        )
    if any(item != items[0] for item in items[1:]):
        raise InputError(
            f"{plane.name}: has {len(items)} different Real World Value Mappings, expected one"
        )
    return float(slope), float(intercept), str(unit)


def _phase_scale(plane: Plane, layout: Layout) -> Scale:
    """To radians: by the stated unit; GE's milliradians; or a stored range that the rescale makes
    one turn about 0.

    The last is what Siemens (-4096 to 4094 for 12 bits) and Philips (-3142 to 3142, or -pi to pi)
    write.
    """
    rescale = _rescale(plane)
    if "RealWorld" in plane.values:
        slope, intercept, unit = _real_world(plane)
        if unit.upper() in _RADIANS_PER:
            factor = _RADIANS_PER[unit.upper()]
            return Scale(slope * factor, intercept * factor, f"Real World Value Mapping in {unit}")
    named = _RADIANS_PER.get(str(plane.values.get("RescaleType", "")).strip().upper())
    maker = str(plane.values.get("Manufacturer", "")).upper()
    if named is None and maker.startswith("GE") and layout.signed:
        factor, most = 1e-3, 1.01 * np.pi
        return Scale(
            rescale.slope * factor,
            rescale.intercept * factor,
            "phase in GE's milliradians",
            -most,
            most,
        )
    if named is not None:
        return Scale(rescale.slope * named, rescale.intercept * named, "phase in radians")
    return _one_turn(plane, rescale, layout, maker)


def _one_turn(plane: Plane, rescale: Scale, layout: Layout, maker: str) -> Scale:
    steps = 2.0**layout.bits_stored
    as_stored = (rescale.slope, rescale.intercept) == (1, 0)
    if as_stored and maker.startswith("SIEMENS") and layout.bits_stored == 12 and not layout.signed:
        rescale = Scale(1.0, -steps / 2, "rescale slope")
    last = (steps - 1) * rescale.slope + rescale.intercept
    symmetric = abs(rescale.intercept + last) <= 1.01 * abs(rescale.slope)
    if rescale.origin == "rescale slope" and symmetric and not layout.signed:
        factor = np.pi / max(abs(rescale.intercept), abs(last))
        return Scale(
            rescale.slope * factor,
            rescale.intercept * factor,
            "phase, its stored range taken as one turn",
        )
    said = shown(plane.values.get("RescaleType"))
    raise InputError(
        f"{plane.name}: unit of the phase is not known (RescaleType {said}), expected rad, mrad "
        f"or deg",
        hint="convert the series to NIfTI and give its phase as a second file",
    )
