"""What maps are called in DICOM, and how their numbers are stored as 16-bit integers.

Image types: DICOM PS3.3 C.8.3.1.1.1. Quantities: PS3.16 CID 7180 and 7469. Units: UCUM.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Float32Array
from mrftool.errors import InputError

MOST = 65_535  # the largest 16-bit number
Code = tuple[str, str, str]  # value, scheme, meaning


@dataclass(frozen=True)
class Quantity:
    """label: for people. image_type: third value of ImageType. code: of the quantity, if there is
    one.

    window: what is shown of it at first, from and to, in the unit of the file; None: up to the 99th
    percentile.
    """

    label: str
    image_type: str = "OTHER"
    code: Code | None = None
    window: tuple[float, float] | None = None


_SD: Code = ("113061", "DCM", "Standard Deviation")
_QUANTITIES = {
    "t1": Quantity("T1", "T1 MAP", ("113063", "DCM", "T1"), (0.0, 3000.0)),
    "t2": Quantity("T2", "T2 MAP", ("113065", "DCM", "T2"), (0.0, 300.0)),
    "m0": Quantity("M0", "DENSITY MAP", ("113058", "DCM", "Proton Density")),
    "sd_t1": Quantity("SD of T1", code=_SD, window=(0.0, 300.0)),
    "sd_t2": Quantity("SD of T2", code=_SD, window=(0.0, 30.0)),
    "residual": Quantity("Residual", window=(0.0, 1.0)),
    "flags": Quantity("Flags", window=(0.0, 63.0)),
}
_UNITS: dict[str, tuple[float, str, Code]] = {  # in memory: factor, name in the file, UCUM code
    "s": (1000.0, "ms", ("ms", "UCUM", "millisecond")),
    "ms": (1.0, "ms", ("ms", "UCUM", "millisecond")),
    "1": (1.0, "1", ("1", "UCUM", "no units")),
    "arbitrary": (1.0, "a.u.", ("[arb'U]", "UCUM", "arbitrary unit")),
}


@dataclass(frozen=True, eq=False)
class Quantified:
    """A map as it goes into a file. values: `(x, y, z)` float32 in `unit`, of which NaN and
    infinities are 0.

    counts: voxels whose number could not be kept, by what happened to it.
    """

    name: str
    quantity: Quantity
    unit: str
    unit_code: Code
    values: Float32Array
    counts: dict[str, int]

    def with_values(self, values: Float32Array) -> "Quantified":
        """The same map with its voxels in another order."""
        return replace(self, values=values)

    @property
    def title(self) -> str:
        """The quantity with its unit: `T1 [ms]`."""
        return f"{self.quantity.label} [{self.unit}]"

    @property
    def window(self) -> tuple[float, float]:
        """Centre and width of what is shown, the same for all slices."""
        low, high = self.quantity.window or (0.0, float(np.percentile(self.values, 99)))
        return (low + high) / 2, (high - low) or 1.0

    @property
    def has_narrow_window(self) -> bool:
        """True for windows so narrow that the plain linear function, whose width is one less, fails
        (PS3.3 C.11.2).
        """
        return self.window[1] < 10


def quantified(name: str, image: NDArray[np.generic], unit: str) -> Quantified:
    """A map `(x, y, z)` in the unit of its file: times in milliseconds, of a complex map the
    modulus.

    Raises InputError if it has no three dimensions, or a unit that is not known.
    """
    if unit not in _UNITS:
        raise InputError(f"map {name}: unit {unit!r}, expected one of {', '.join(_UNITS)}")
    if image.ndim != 3 or not image.size:
        raise InputError(f"map {name}: has shape {image.shape}, expected three dimensions")
    factor, unit_name, code = _UNITS[unit]
    values = np.asarray(np.abs(image) if np.iscomplexobj(image) else image, np.float64) * factor
    finite = np.isfinite(values)
    kept = np.where(finite, values, 0).astype(np.float32)
    counts = {"not finite, stored as 0": int(np.count_nonzero(~finite))}
    return Quantified(name, _QUANTITIES.get(name, Quantity(name)), unit_name, code, kept, counts)


def as_integers(entry: Quantified) -> tuple[NDArray[np.uint16], float, dict[str, int]]:
    """Stored integers, what one of them is worth, and the counts of what could not be kept.

    Times are whole milliseconds, flags whole numbers; of anything else one step is the power of ten
    that the largest number needs. What lies below 0 is stored as 0, what lies above 65,535 steps as
    65,535.
    """
    step = 1.0
    if entry.unit != "ms" and entry.name != "flags":
        largest = float(entry.values.max())
        step = 10.0 ** math.ceil(math.log10(largest / MOST)) if largest > 0 else 1.0
    steps = np.rint(entry.values / np.float64(step))
    counts = entry.counts | {
        "below 0, stored as 0": int(np.count_nonzero(steps < 0)),
        f"above {MOST * step:g} {entry.unit}, stored as that": int(np.count_nonzero(steps > MOST)),
    }
    return np.clip(steps, 0, MOST).astype(np.uint16), step, counts
