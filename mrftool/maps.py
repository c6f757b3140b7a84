"""Maps: what quantification says of every voxel of an image."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, BoolArray, ComplexArray, Float32Array
from mrftool.environment.notebook import ShownInNotebooks
from mrftool.errors import ArgumentError, InputError
from mrftool.quantities import FLAGS, Flag, quantity

_SIGNAL_PERCENTILE = 99.0  # of |M0| over the measured voxels
# Residual / signal from which a voxel is noise alone. The fit explains nothing of complex noise
# (0.98: an SNR below 0.3), and of magnitudes their mean: 0.46 of a Rayleigh distribution is left.
_COMPLEX_NOISE_RESIDUAL, _MAGNITUDE_NOISE_RESIDUAL = 0.98, 0.43
_SIGNAL_FRACTION = 0.1  # of that percentile, from which a voxel holds signal


@dataclass(frozen=True, eq=False)
class Maps(ShownInNotebooks):
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
    n_unexplained
        Number of voxels that hold signal, of which the fit explains no more than it would of noise.

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
    n_unexplained: int = 0

    def __post_init__(self) -> None:
        for name, image in self.images():
            quantity(name)
            if image.shape != self.t1.shape or image.ndim != 3:
                raise InputError(f"map {name} has shape {image.shape}, expected {self.t1.shape}")

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.t1.shape))
        names = ", ".join(name for name, _ in self.images())
        return f"Maps({size} voxels: {names})"

    def __getitem__(self, name: str) -> Array:
        """The map of that name, such as "sd_t1"."""
        images = dict(self.images())
        if name not in images:
            raise ArgumentError(f"there is no map {name!r}, expected one of {', '.join(images)}")
        return images[name]

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


def has_estimate(maps: Maps) -> BoolArray:
    """Voxels `(x, y, z)` that were fitted: neither masked nor without finite numbers."""
    return is_fitted(maps.flags)


def is_fitted(flags: Array) -> BoolArray:
    """Voxels that were fitted, by their flags of any shape."""
    return np.asarray((flags & int(Flag.MASKED | Flag.NON_FINITE)) == 0)


def with_signal(maps: Maps) -> BoolArray:
    """Voxels `(x, y, z)` that hold signal: |M0| of at least a tenth of its 99th percentile.

    The percentile is over all voxels that were measured, and of which the fit explains something:
    in air it explains noise alone, and leaves nearly all, whatever its M0.
    """
    size = np.abs(maps.m0)
    measured: BoolArray = np.isfinite(size) & (size > 0) & ((maps.flags & Flag.MASKED) == 0)
    if "residual" in maps.extra:
        most = _MAGNITUDE_NOISE_RESIDUAL
        if np.iscomplexobj(maps.m0):
            most = _COMPLEX_NOISE_RESIDUAL
        measured &= maps.extra["residual"] < most
    if not measured.any():
        return measured
    least = _SIGNAL_FRACTION * float(np.percentile(size[measured], _SIGNAL_PERCENTILE))
    return measured & (size >= least)
