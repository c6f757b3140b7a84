"""Maps: what quantification says of every voxel of an image."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, ComplexArray, Float32Array
from mrftool.errors import InputError
from mrftool.quantities import FLAGS, Flag, quantity

__all__ = ["Flag", "Maps"]


@dataclass(frozen=True, eq=False)
class Maps:
    """Images `(x, y, z)` of one scan, all of the same shape.

    Masked voxels are 0 in every map, voxels whose input is not finite are NaN.

    Parameters
    ----------
    t1, t2
        Relaxation times [s].
    m0
        Equilibrium magnetisation, complex or real [scanner's unit].
    flags
        Sums of `Flag`.
    extra
        Further maps by their key in `mrftool.quantities`, in the unit that stands there.
    assumptions
        Sentences, one for each thing that no file says and that was taken for granted.

    Raises
    ------
    InputError
        If the shapes differ.
    ArgumentError
        If `extra` holds a map that `mrftool.quantities` does not know.

    """

    t1: Float32Array
    t2: Float32Array
    m0: ComplexArray
    flags: NDArray[np.uint8]
    extra: dict[str, Float32Array] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, image in self.images():
            quantity(name)
            if image.shape != self.t1.shape or image.ndim != 3:
                raise InputError(f"map {name} has shape {image.shape}, expected {self.t1.shape}")

    def images(self) -> Iterator[tuple[str, Array]]:
        """All maps by name, flags last."""
        yield "t1", self.t1
        yield "t2", self.t2
        yield "m0", self.m0
        yield from self.extra.items()
        yield "flags", self.flags

    def counts(self) -> dict[str, int]:
        """Voxels in all, and with each flag, by what it means."""
        counts = {"voxels": int(self.flags.size)}
        for flag in Flag:
            counts[FLAGS[flag].text] = int(np.count_nonzero(self.flags & flag))
        return counts
