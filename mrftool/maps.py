"""Maps: what quantification says of every voxel of an image."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, ComplexArray, Float32Array
from mrftool.errors import InputError


class Flag(IntFlag):
    """Bits of the quality map; 0 is a voxel without complaint."""

    OUT_OF_RANGE = 1
    MISFIT = 2
    T1_UNDETERMINED = 4
    T2_UNDETERMINED = 8
    MASKED = 16
    NON_FINITE = 32


FLAG_TEXT = {
    Flag.OUT_OF_RANGE: "outside the model's range",
    Flag.MISFIT: "residual too large for noise",
    Flag.T1_UNDETERMINED: "T1 not determined by this sequence",
    Flag.T2_UNDETERMINED: "T2 not determined by this sequence",
    Flag.MASKED: "masked, or no signal at all",
    Flag.NON_FINITE: "not a finite number in the input",
}


@dataclass(frozen=True, eq=False)
class Maps:
    """Images `(x, y, z)`: t1, t2 [s], m0 (complex or real) [scanner's unit], and, where the model
    gives them,
    sd_t1, sd_t2 [s], residual (norm of what is unexplained / norm of the fingerprint) [1].

    flags: sums of `Flag`. Masked voxels are 0 in every map, voxels with non-finite input are NaN.
    assumptions: sentences, one for each thing that no file says and that was taken for granted.

    Raises InputError if the shapes differ.
    """

    t1: Float32Array
    t2: Float32Array
    m0: ComplexArray
    flags: NDArray[np.uint8]
    extra: dict[str, Float32Array] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, image in self.images():
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
        for flag, text in FLAG_TEXT.items():
            counts[text] = int(np.count_nonzero(self.flags & flag))
        return counts
