"""How the channels of a scanner make one signal: real and imaginary part, magnitude and phase. For
every format.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import InputError

_TURN = 2 * np.pi * 1.001


@dataclass(frozen=True)
class PhaseUnit:
    """phase [rad] = (value - zero) x radians. Legal values are low to high. sentence: what was
    assumed, or None.
    """

    radians: float
    zero: float
    low: float
    high: float
    sentence: str | None

    def to_radians(self, values: Array, name: object) -> Array:
        """Phase [rad]; NaN stays. Raises InputError for values outside the range that the unit was
        detected from.
        """
        with np.errstate(invalid="ignore"):
            bad = values[(values < self.low) | (values > self.high)]
        if bad.size:
            raise InputError(
                f"{name}: has a phase of {bad[0]:g}, expected {self.low:g} to {self.high:g} as "
                f"elsewhere"
            )
        return np.asarray((values - np.float32(self.zero)) * np.float32(self.radians), values.dtype)


RADIANS = PhaseUnit(1.0, 0.0, -np.inf, np.inf, None)
_WRAPPED = PhaseUnit(
    1.0, 0.0, -_TURN, _TURN, "the phase is taken as radians, since it spans up to one turn of 2 pi"
)
_UNSIGNED = PhaseUnit(
    np.pi / 2048, 2048.0, 0.0, 4096.0, "the phase is taken as 0..4095 for -pi..pi (Siemens)"
)
_SIGNED = PhaseUnit(
    np.pi / 4096, 0.0, -4096.0, 4096.0, "the phase is taken as -4096..4095 for -pi..pi (Siemens)"
)


def detect_phase_unit(sample: Array, units: str | None, name: object) -> PhaseUnit:
    """The unit of a phase image, from the range of some of its values, or from `units` if a sidecar
    says "rad".

    Noise fills the whole range of a phase, so a range that is not filled is ambiguous.

    Raises InputError if it is ambiguous.
    """
    if units in ("rad", "radian", "radians"):
        return RADIANS
    values = sample[np.isfinite(sample)]
    low, high = 0.0, 0.0
    if values.size:
        low, high = float(values.min()), float(values.max())
    if np.array_equal(values, np.rint(values)):
        unit = _integer_unit(low, high)
    else:
        unit = _fractional_unit(low, high)
    if unit is not None:
        return unit
    raise InputError(
        f"{name}: its phase spans {low:g} to {high:g}, "
        "expected -pi..pi or 0..2 pi, or integers of 0..4095 or -4096..4095",
        hint='convert it to radians, or state "Units": "rad" in the sidecar if that is what it is',
    )


def _integer_unit(low: float, high: float) -> PhaseUnit | None:
    """The unit of whole numbers that fill this range, or None if it is ambiguous."""
    if not 3500 <= high <= 4096:
        return None
    if low >= 0:
        return _UNSIGNED
    if -4096 <= low <= -3500:
        return _SIGNED
    return None


def _fractional_unit(low: float, high: float) -> PhaseUnit | None:
    """The unit of other numbers that fill this range, or None if it is ambiguous."""
    is_within = max(-low, high) <= _TURN
    if is_within and 0.95 * np.pi <= high - low <= _TURN:
        return _WRAPPED
    return None


def from_parts(real: Array, imag: Array) -> Array:
    """Complex64 of two real images."""
    out = np.empty(real.shape, np.complex64)
    out.real, out.imag = real, imag
    return out


def from_polar(
    name: object, phase_name: object, unit: PhaseUnit, lengths: Array, phase: Array
) -> Array:
    """Complex64 of a magnitude image and a phase image. Raises InputError if they are not what they
    should be.
    """
    angle = unit.to_radians(phase, phase_name)
    lengths = magnitude(name, lengths)
    return from_magnitude_and_phase(lengths, angle)


def from_magnitude_and_phase(lengths: Array, angle: Array) -> Array:
    """Complex64 of magnitudes and phases [rad]."""
    return from_parts(lengths * np.cos(angle), lengths * np.sin(angle))


def magnitude(name: object, values: Array) -> Array:
    """The values, if none of them is negative; NaN may be. Raises InputError otherwise."""
    with np.errstate(invalid="ignore"):
        bad = values[values < 0]
    if bad.size:
        raise InputError(
            f"{name}: holds the negative number {bad[0]:g}, expected magnitudes",
            hint="if these are real parts, give the imaginary part too, or form 'real' if there "
            "is none",
        )
    return values
