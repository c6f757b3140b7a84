"""Fingerprints: signals over time, one row per voxel, and the sequence that they belong to."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import ComplexArray
from mrftool.errors import InputError

CHANNELS = {"complex": 2, "magnitude": 1}  # real numbers with noise in a sample, by form


@dataclass(frozen=True)
class Fingerprints:
    """signal: `(voxel, time)` complex64 [m0]. sequence_id: of the sequence that made them, or None
    if unknown.

    Raises InputError if the signal is not two-dimensional.
    """

    signal: ComplexArray
    sequence_id: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "signal", np.asarray(self.signal, np.complex64))
        if self.signal.ndim != 2:
            raise InputError(f"the signal has shape {self.signal.shape}, expected (voxel, time)")

    def __repr__(self) -> str:
        voxels, time = self.signal.shape
        return f"Fingerprints({voxels} voxels, {time} samples, sequence {self.sequence_id})"

    def __len__(self) -> int:
        return len(self.signal)
