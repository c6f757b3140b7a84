"""The axes of an array: which of them are x, y, z and time."""

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import ArgumentError, InputError
from mrftool.formats.space import sizes

SPACE = "xyz"
TIME = "t"
PAIR = "i"  # real and imaginary part, of size 2
ONE = "1"  # an axis of size 1 that is dropped
_KNOWN = SPACE + TIME + PAIR + ONE
_BART_TIMES = (5, 10)  # BART counts inversion or echo times on axis 5, frames on axis 10


def arrange(values: Array, axes: str, name: object) -> Array:
    """The array with the axes `(x, y, z, time)`.

    Parameters
    ----------
    values : array
        As it is in the file.
    axes : str
        A letter for each axis: x, y, z, t, i (real and imaginary part), 1 (of size 1).
    name : object
        How messages call the array.

    Raises
    ------
    ArgumentError
        If the letters name no such axes.
    InputError
        If the array does not have them.
    """
    require_letters(axes)
    _require_axes(values.shape, axes, name)
    ones = tuple(number for number, axis in enumerate(axes) if axis == ONE)
    values, letters = values.squeeze(ones), axes.replace(ONE, "")
    if PAIR in letters:
        values = _as_complex(values, letters.index(PAIR))
        letters = letters.replace(PAIR, "")
    for letter in SPACE + TIME:
        if letter not in letters:
            values, letters = values[..., None], letters + letter
    return values.transpose([letters.index(letter) for letter in SPACE + TIME])


def _require_axes(shape: tuple[int, ...], axes: str, name: object) -> None:
    """Raise InputError unless an array of this shape can have these axes."""
    if len(axes) != len(shape):
        raise InputError(
            f"{name}: has the sizes {sizes(shape)}, expected {len(axes)} axes ({axes})",
            arguments=["axes"],
        )
    expected = {ONE: 1, PAIR: 2}
    if any(size != expected.get(axis, size) for axis, size in zip(axes, shape, strict=True)):
        raise InputError(
            f"{name}: has the sizes {sizes(shape)} on the axes {axes}, expected 1 for '1' "
            "and 2 for 'i'",
            arguments=["axes"],
        )


def _as_complex(values: Array, pair: int) -> Array:
    """The complex array whose real and imaginary parts lie on the axis `pair`."""
    parts = np.moveaxis(values, pair, -1)
    return np.asarray(parts[..., 0] + 1j * parts[..., 1])


def bart_axes(shape: tuple[int, ...]) -> str | None:
    """The axes of a BART array of frames: x, y, z first, time on axis 5 or 10; None for others."""
    longer = [axis for axis, length in enumerate(shape) if length > 1 and axis >= len(SPACE)]
    if len(longer) != 1 or longer[0] not in _BART_TIMES:
        return None
    letters = [*SPACE, *(ONE for _ in shape[len(SPACE) :])]
    letters[longer[0]] = TIME
    return "".join(letters)


def require_letters(axes: str) -> None:
    """Raise ArgumentError unless the letters name axes."""
    named = axes.replace(ONE, "")
    if len(set(named)) < len(named) or set(axes) - set(_KNOWN) or not axes:
        raise ArgumentError(
            f"axes {axes!r}, expected letters of {', '.join(_KNOWN)}, each but '1' once, as 'tyx'",
            arguments=["axes"],
        )
