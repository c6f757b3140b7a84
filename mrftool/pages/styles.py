"""How pictures show each map: title, colours and window.

Windows and colours are the same in every picture, so that pictures can be laid beside each other.
Only M0 and standard deviations, whose size depends on the scan, have windows that fit what they
hold, as their colour bars tell.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, FloatArray, Range
from mrftool.pages.colours import colour_table
from mrftool.quantities import FLAGS, UNFLAGGED, FlagDescription, quantity

_LEAST_STEP = 1e-300  # between ticks: powers of ten of less are rounded to nothing


@dataclass(frozen=True)
class Style:
    """How a picture shows numbers.

    Parameters
    ----------
    title
        With the unit that is shown.
    table
        256 rows of RGB from 0 to 1.
    window
        Ends of the colour scale, in the unit that is shown.
    scale
        Number in the unit that is shown / number in memory.

    """

    title: str
    table: FloatArray
    window: Range
    scale: float = 1.0


ERROR_STYLE = Style("error [%]", colour_table("coolwarm"), (-20, 20))


def style_of(name: str, image: Array | None = None) -> Style:
    """How to show the map `name`.

    The window of a quantity that has none of its own ends at a round number, not below the 95th
    percentile of the magnitude of `image`.

    Raises
    ------
    ArgumentError
        If there is no map of that name.

    """
    shown = quantity(name)
    window = shown.window
    if window is None:
        window = (0.0, _round_up(_largest(image) * shown.unit.factor))
    return Style(shown.title, colour_table(shown.colours), window, shown.unit.factor)


def _largest(image: Array | None) -> float:
    """The 95th percentile of the magnitude of what is finite and not 0; 1 without such voxels."""
    if image is None:
        return 1.0
    size = np.abs(image[np.isfinite(image) & (image != 0)])
    if not size.size:
        return 1.0
    return float(np.percentile(size, 95))


def _round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 7 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    steps = [step * power for step in (1, 1.5, 2, 3, 5, 7, 10)]
    return float(min(step for step in steps if step >= value * (1 - 1e-9)))


def flags_in(flags: Array) -> list[FlagDescription]:
    """What the legend of a picture of these flags lists: unflagged, then the flags that occur."""
    return [UNFLAGGED, *(each for flag, each in FLAGS.items() if (flags & flag).any())]


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from low to high, at most about `most` of them; none where no float tells the
    ends apart.
    """
    raw = (high - low) / most
    if not _LEAST_STEP < raw < np.inf:
        return []
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * min(m for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(n * step) + 0.0 for n in np.arange(first, last + 1)]  # + 0.0: no negative zero
