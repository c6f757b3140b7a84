"""Maps in the units of DICOM files, and their numbers as 16-bit integers.

What each map is called, its codes and its units stand in `mrftool.quantities`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Float32Array
from mrftool.errors import InputError
from mrftool.quantities import SECOND, Quantity, quantity

MOST = 65_535  # the largest 16-bit number
_MIDDLE = 32_768  # the stored integer that stands for 0 where numbers can be negative


@dataclass(frozen=True, eq=False)
class Quantified:
    """A map as it goes into a file.

    Parameters
    ----------
    quantity
        What the map shows.
    values
        Image `(x, y, z)` in the shown unit of the quantity, in which NaN and infinities are 0.
    counts
        Voxels whose number could not be kept, by what happened to it.

    """

    quantity: Quantity
    values: Float32Array
    counts: dict[str, int]

    def with_values(self, values: Float32Array) -> "Quantified":
        """The same map with its voxels in another order."""
        return replace(self, values=values)

    @property
    def name(self) -> str:
        """Of the files and folders of the map."""
        return self.quantity.key

    @property
    def title(self) -> str:
        """The quantity with its unit: `T1 [ms]`."""
        return f"{self.quantity.label} [{self.quantity.unit.symbol}]"

    @property
    def window(self) -> tuple[float, float]:
        """Centre and width of the window, the same for all slices."""
        low, high = self.quantity.window or (0.0, float(np.percentile(self.values, 99)))
        return (low + high) / 2, (high - low) or 1.0

    @property
    def has_narrow_window(self) -> bool:
        """Whether the window is too narrow for the function LINEAR, which takes 1 from its width
        (PS3.3 C.11.2).
        """
        return self.window[1] < 10


@dataclass(frozen=True, eq=False)
class StoredImage:
    """A map as 16-bit integers: number in the file's unit = slope * integer + intercept.

    counts: voxels whose number could not be kept, by what happened to it.
    """

    integers: NDArray[np.uint16]
    slope: float
    intercept: float
    counts: dict[str, int]


def quantified(name: str, image: NDArray[np.generic], unit: str) -> Quantified:
    """A map in the unit of its file; of a complex map the modulus.

    Parameters
    ----------
    name
        Key of the map in `mrftool.quantities`.
    image
        `(x, y, z)` [unit].
    unit
        Of the image: that of the quantity in memory, or "ms" for times.

    Raises
    ------
    ArgumentError
        If there is no map of that name.
    InputError
        If the image has no three dimensions, or a unit that the quantity does not have.

    """
    shown = quantity(name)
    factors = {shown.unit.name: shown.unit.factor}
    if shown.unit == SECOND:
        factors["ms"] = 1.0
    if unit not in factors:
        raise InputError(f"map {name}: unit {unit!r}, expected one of {', '.join(factors)}")
    if image.ndim != 3 or not image.size:
        raise InputError(f"map {name}: has shape {image.shape}, expected three dimensions")
    if np.iscomplexobj(image):
        image = np.abs(image)
    values = np.asarray(image, np.float64) * factors[unit]
    finite = np.isfinite(values)
    counts = {"not finite, stored as 0": int(np.count_nonzero(~finite))}
    return Quantified(shown, np.where(finite, values, 0).astype(np.float32), counts)


def stored_image(entry: Quantified) -> StoredImage:
    """A map as 16-bit integers; numbers beyond the ends of their range are stored as the ends."""
    middle = 0
    if entry.quantity.dicom.signed:
        middle = _MIDDLE
    step = entry.quantity.dicom.step or _step_for(entry.values, MOST - middle)
    integers = np.rint(entry.values / np.float64(step)) + middle
    counts = {
        **entry.counts,
        **_ends(integers, -middle * step, (MOST - middle) * step, entry.quantity.unit.symbol),
    }
    kept = np.clip(integers, 0, MOST).astype(np.uint16)
    return StoredImage(kept, step, -middle * step, counts)


def _step_for(values: Float32Array, most: int) -> float:
    """The smallest power of ten in steps of which at most `most` reach the largest number."""
    largest = float(np.abs(values).max())
    if largest <= 0:
        return 1.0
    return float(10.0 ** math.ceil(math.log10(largest / most)))


def _ends(integers: NDArray[np.float64], low: float, high: float, unit: str) -> dict[str, int]:
    """How many numbers lie beyond either end of what the integers can hold."""
    lowest = "0"
    if low:
        lowest = f"{low:g} {unit}"
    return {
        f"below {lowest}, stored as {lowest}": int(np.count_nonzero(integers < 0)),
        f"above {high:g} {unit}, stored as that": int(np.count_nonzero(integers > MOST)),
    }
