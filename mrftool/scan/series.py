"""Series: a fingerprint image that is read block by block and never held whole, whatever file it
lies in.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrftool.arrays import BoolArray, FloatArray, IndexArray
from mrftool.errors import InputError, MismatchError
from mrftool.grid import Placement

Form = Literal["complex", "magnitude"]
Voxels = NDArray[np.intp]
Signal = NDArray[np.inexact[Any]]  # complex64 or float32


@dataclass(frozen=True, eq=False)
class Series:
    """A fingerprint of `n_time` samples in every voxel of an `(x, y, z)` image. Valid once built.

    Parameters
    ----------
    read
        Gives the signal of voxels, `(voxel, time)`, complex64 or float32 as `form` says [scanner's
        unit]. It takes their positions in file order (x fastest), ascending. Most callers want
        `blocks`.
    form
        "complex", or "magnitude" if the phase is not known.
    assumptions
        Sentences, one for each thing that the file does not say and the reader took for granted.
    sidecar
        What a JSON file beside the image says, or None.
    granule
        Voxels that are read together at no more cost than one of them, in file order (a slice, for
        DICOM). Blocks end at its edges.
    name
        How messages call the series.
    axes
        Letters of the axes in the file, where the caller named them ("tyx").
    frame_time
        Time between frames, where the file states it [s].
    frames
        Index in the file of each sample `(time,)`, where some are left out; else None.

    Raises
    ------
    InputError
        If the sizes are no 4-D series.
    """

    shape: tuple[int, int, int]
    placement: Placement
    n_time: int
    form: Form
    read: Callable[[Voxels], Signal] = field(repr=False)
    assumptions: tuple[str, ...] = ()
    sidecar: Mapping[str, Any] | None = None
    granule: int = 1
    name: str = "series"
    axes: str = ""
    frame_time: float | None = None
    frames: IndexArray | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1 or self.n_time < 1 or self.granule < 1:
            raise InputError(
                f"{self.name}: has {self.shape} voxels and {self.n_time} samples, expected a 4-D "
                f"series"
            )
        if self.form not in ("complex", "magnitude"):
            raise InputError(f"{self.name}: form {self.form!r}, expected 'complex' or 'magnitude'")

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        return f"Series({self.name!r}, {size} voxels, {self.n_time} {self.form} samples)"

    @property
    def affine(self) -> FloatArray:
        """Voxel index to millimetres in RAS+, `(4, 4)` [mm]."""
        return self.placement.affine

    @property
    def n_voxels(self) -> int:
        """Voxels of the whole image."""
        return math.prod(self.shape)

    @property
    def sequence_id(self) -> str | None:
        """Of the sequence that made the series, where the sidecar says so."""
        value = (self.sidecar or {}).get("sequence_id")
        return value if isinstance(value, str) else None

    def axis_fault(self, n_time: int) -> str:
        """In words, if time, of which `n_time` samples are expected, seems to be the first axis."""
        if self.shape[0] != n_time:
            return ""
        return f"; the first axis has {n_time}: time must be the last axis"

    def blocks(
        self, mask: BoolArray | None = None, *, max_bytes: int = 32 << 20
    ) -> Iterator[tuple[Voxels, Signal]]:
        """The voxels of `mask` `(x, y, z)` (all by default) in pieces: (voxels, signal), in one
        pass over the file.

        voxels: `(voxel,)` indices into the flat image in C order, so `image.reshape(-1)[voxels]`
        are these voxels.
        signal: `(voxel, time)` C-contiguous, complex64 or float32, at most about `max_bytes` (but
        one granule).

        Raises MismatchError if the mask has another shape than the series.
        """
        size = max(1, max_bytes // (self.n_time * (8 if self.form == "complex" else 4)))
        for chunk in self.pieces(mask, size):
            yield c_order(chunk, self.shape), self.read(chunk)

    def pieces(self, mask: BoolArray | None, n_voxels: int) -> Iterator[Voxels]:
        """Positions in file order of the voxels of `mask` `(x, y, z)`, in pieces of about
        `n_voxels` as `blocks` reads them.

        Raises MismatchError if the mask has another shape than the series.
        """
        if mask is None:
            positions = np.arange(self.n_voxels)
        elif mask.shape != self.shape:
            raise MismatchError(
                f"the mask has shape {mask.shape}, expected {self.shape} as {self.name}"
            )
        else:
            positions = np.flatnonzero(np.asarray(mask, bool).ravel(order="F"))
        yield from _chunks(positions, n_voxels, self.granule)


def series_from_array(
    image: ArrayLike, affine: ArrayLike | None = None, *, name: str = "array"
) -> Series:
    """A series of an array in memory `(x, y, z, time)`: complex, or real for magnitude. affine
    [mm]: 1 mm voxels.
    """
    values = np.asarray(image)
    if values.ndim != 4:
        raise InputError(f"{name}: has {values.ndim} dimensions, expected 4 (x, y, z, time)")
    is_complex = np.iscomplexobj(values)
    *space, n_time = values.shape
    table = values.reshape(math.prod(space), n_time, order="F").astype(
        np.complex64 if is_complex else np.float32
    )
    return Series(
        (space[0], space[1], space[2]),
        Placement(np.eye(4) if affine is None else np.asarray(affine, np.float64)),
        n_time,
        "complex" if is_complex else "magnitude",
        lambda positions: table[positions],
        name=name,
    )


def c_order(positions: Voxels, shape: tuple[int, int, int]) -> Voxels:
    """Positions in file order (x fastest) as indices into the flat image in C order (z fastest)."""
    n_x, n_y, n_z = shape
    plane, x = np.divmod(positions, n_x)
    z, y = np.divmod(plane, n_y)
    return (x * n_y + y) * n_z + z


def file_order(voxels: Voxels, shape: tuple[int, int, int]) -> Voxels:
    """The reverse of `c_order`."""
    return c_order(voxels, shape[::-1])


def _chunks(positions: Voxels, size: int, granule: int) -> Iterator[Voxels]:
    """Pieces of about `size` positions, none of which splits a granule."""
    start = 0
    while start < len(positions):
        stop = min(start + size, len(positions))
        if granule > 1 and stop < len(positions):
            edge = positions[stop] // granule * granule
            whole = int(np.searchsorted(positions, edge))
            stop = whole if whole > start else int(np.searchsorted(positions, edge + granule))
        yield positions[start:stop]
        start = stop
