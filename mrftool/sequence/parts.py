"""Parts of a sequence that stay the same from pulse to pulse: its spoiler and its slice."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mrftool.arrays import FloatArray

Spoiling = Literal["gradient", "none"]


@dataclass(frozen=True, eq=False)
class Spoiler:
    """The gradient waveform that plays after each echo, as constant pieces; it says how strongly
    diffusion acts.

    gradient: amplitude of each piece `(piece,)`, or on each of several axes `(axis, piece)` [T/m].
    duration: of each piece `(piece,)` [s]. Zero gradient fills the rest of TR.
    """

    gradient: FloatArray
    duration: FloatArray

    def __post_init__(self) -> None:
        freeze_columns(self, "gradient", "duration")

    @property
    def axes(self) -> FloatArray:
        """Amplitudes `(axis, piece)` [T/m]."""
        return np.atleast_2d(self.gradient)

    @property
    def moment(self) -> FloatArray:
        """Net moment on each axis `(axis,)` [T s/m]."""
        return np.asarray(self.axes @ self.duration)


@dataclass(frozen=True, eq=False)
class SliceProfile:
    """The slice as a weighted sum of positions that see a fraction of the nominal flip angle.

    flip_factor: actual / nominal flip angle at each position `(position,)` [1].
    weight: share of each position in the signal `(position,)`, sums to 1 [1].
    """

    flip_factor: FloatArray
    weight: FloatArray

    def __post_init__(self) -> None:
        freeze_columns(self, "flip_factor", "weight")


def freeze_columns(noun: object, *keys: str) -> None:
    """Replace the fields `keys` by float64 arrays of their own that nobody can write to."""
    for key in keys:
        column = np.array(getattr(noun, key), np.float64)
        column.setflags(write=False)
        object.__setattr__(noun, key, column)
