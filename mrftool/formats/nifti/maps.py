"""Images with one number per voxel in NIfTI files: masks, B1 maps, maps of given parameters."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from mrftool.arrays import BoolArray, Float32Array
from mrftool.errors import InputError, MismatchError
from mrftool.formats.arrays.array_file import is_array_file
from mrftool.formats.arrays.volume import ArrayVolume, read_array_volume
from mrftool.formats.bids import read_sidecar
from mrftool.formats.nifti.header import NiftiHeader, read_header
from mrftool.formats.nifti.resample import on_voxels_of
from mrftool.formats.nifti.stored.frames import map_frames
from mrftool.formats.regular_file import require_plausible_size
from mrftool.formats.space import Placed, require_same_voxels, sizes
from mrftool.manifold.parameters import B1, parameter_named
from mrftool.plausibility import doubt

MOST_VOXELS = 1 << 26  # of an image on another grid than the scan's: about 400 x 400 x 400
_PER_FRACTION = {"1": 1.0, "fraction": 1.0, "ratio": 1.0, "%": 1e-2, "percent": 1e-2}
_PER_HERTZ = {"Hz": 1.0, "rad/s": 1 / (2 * np.pi)}
# Medians that each unit can explain; the gap between them is ambiguous.
_B1_MEDIANS = ((0.3, 2.0, "fraction", 1.0), (30.0, 200.0, "percent", 1e-2))


def read_volume(
    path: str | Path, like: Placed | None = None
) -> tuple[NiftiHeader | ArrayVolume, Float32Array]:
    """A real image `(x, y, z)`, with its header. Raises InputError if it is malformed, complex, not
    3-D, or of far more voxels than `like`: a small compressed file can hold any number.

    An array file does not say where it lies: on the voxels of `like`.
    """
    if is_array_file(Path(path)):
        return read_array_volume(Path(path), like)
    header = read_header(path)
    if len(header.dims) > 3:
        raise InputError(
            f"{header.path}: has {sizes(header.dims)} values, expected three dimensions"
        )
    if header.dtype.kind == "c":
        raise InputError(f"{header.path}: holds complex numbers, expected real ones")
    _require_bounded(header, like)
    frames = map_frames(header)
    return header, frames.values(slice(None), slice(None)).reshape(header.shape, order="F")


def _require_bounded(header: NiftiHeader, like: Placed | None) -> None:
    """Raise InputError for more voxels than memory may hold, unless the scan has as many."""
    most = MOST_VOXELS
    if like is not None:
        most = max(most, math.prod(like.shape))
    if math.prod(header.shape) > most:
        raise InputError(
            f"{header.path}: has {sizes(header.shape)} voxels, expected at most {most} in all"
        )
    require_plausible_size(header.data_path, header.n_bytes, "an image")


def open_mask(
    path: str | Path, like: Placed, like_name: str = "the series"
) -> tuple[BoolArray, tuple[str, ...]]:
    """The mask `(x, y, z)` in a file of zeros and one other number, on the voxels of `like`, and a
    sentence if it had to be resampled.

    Raises InputError if it is no mask or empty, MismatchError if it does not lie where `like` does.
    """
    header, image = read_volume(path, like)
    values = np.unique(image)
    if not np.isfinite(values).all() or np.count_nonzero(values) > 1 or values[0] < 0:
        raise InputError(
            f"{header.path}: holds {len(values)} different values "
            f"from {values[0]:g} to {values[-1]:g}, expected 0 and one other",
            hint="turn probabilities or labels into a mask first",
        )
    if not values.any():
        raise InputError(f"{header.path}: is empty, expected at least one voxel that is not 0")
    there, said = _placed(header, image, like, like_name, "nearest")
    mask = np.nan_to_num(there) != 0
    if not mask.any():
        raise MismatchError(f"{header.path}: no voxel of the mask lies in {like_name}")
    return mask, said


def _placed(
    header: NiftiHeader | ArrayVolume,
    image: Float32Array,
    like: Placed,
    like_name: str,
    method: Literal["nearest", "linear"],
) -> tuple[Float32Array, tuple[str, ...]]:
    """The image on the voxels of `like`; array files, which say no place, are not resampled."""
    if isinstance(header, ArrayVolume):
        require_same_voxels(header.path, header, like_name, like)
        return image, ()
    return on_voxels_of(str(header.path), image, header, like, like_name, method)


def open_b1(
    path: str | Path, like: Placed, mask: BoolArray | None = None, like_name: str = "the series"
) -> tuple[Float32Array, tuple[str, ...]]:
    """The B1 map `(x, y, z)` [1] on the voxels of `like`, and sentences of what was assumed; NaN
    where there is none.

    It may hold fractions or percents: its median inside `mask` tells, or Units in its sidecar.

    Raises InputError if neither tells, MismatchError if it does not lie where `like` does.
    """
    header, image = read_volume(path, like)
    with np.errstate(invalid="ignore"):
        known = np.where(image > 0, image, np.float32(np.nan))
    there, said = _placed(header, known, like, like_name, "linear")
    inside = mask
    if inside is None:
        inside = np.ones(like.shape, bool)
    b1, unit = in_unit(header, "b1", there, inside, _PER_FRACTION, _B1_MEDIANS)
    return b1, (*said, *unit)


def open_given(
    name: str, path: str | Path, like: Placed, mask: BoolArray | None, like_name: str
) -> tuple[Float32Array, tuple[str, ...]]:
    """The map `(x, y, z)` of a given parameter on the voxels of `like`, in its unit, and sentences
    of what was assumed; see `open_b1` for B1.

    Raises ArgumentError for an unknown parameter, MismatchError if it does not lie where `like`
    does.
    """
    parameter = parameter_named(name)
    if parameter is B1:
        return open_b1(path, like, mask, like_name)
    header, image = read_volume(path, like)
    there, said = _placed(header, image, like, like_name, "linear")
    return there, (*said, f"{header.path}: taken as {parameter.label} in {parameter.unit}")


def open_off_resonance(
    path: str | Path, like: Placed, like_name: str
) -> tuple[Float32Array, tuple[str, ...]]:
    """The off-resonance `(x, y, z)` [Hz] on the voxels of `like`, and what was assumed in words.

    Units in a sidecar are Hz or rad/s; without a sidecar, the numbers are taken as Hz.

    Raises InputError for another unit, MismatchError if the map does not lie where `like` does.
    """
    header, image = read_volume(path, like)
    stated = (read_sidecar(header.path) or {}).get("Units")
    factor = _PER_HERTZ.get(str(stated or "Hz"))
    if factor is None:
        raise InputError(f"{header.path}: in {stated}, expected {' or '.join(_PER_HERTZ)}")
    there, said = _placed(header, image, like, like_name, "linear")
    if not stated:
        said = (*said, f"{header.path}: taken as off-resonance in Hz")
    return np.asarray(there * np.float32(factor), np.float32), said


def in_unit(
    header: NiftiHeader | ArrayVolume,
    name: str,
    image: Float32Array,
    inside: BoolArray,
    units: dict[str, float],
    medians: Iterable[tuple[float, float, str, float]],
) -> tuple[Float32Array, tuple[str, ...]]:
    """The image in our unit, NaN where it is not above 0; and a sentence, unless a sidecar names
    the unit. name: a key of `PLAUSIBLE`.
    """
    with np.errstate(invalid="ignore"):
        image = np.where(np.isfinite(image) & (image > 0), image, np.float32(np.nan))
    values = image[inside & np.isfinite(image)]
    if not values.size:
        raise InputError(f"{header.path}: has no value above 0 inside the mask, expected a map")
    median = float(np.median(values))
    stated = (read_sidecar(header.path) or {}).get("Units")
    if stated is not None and stated != "":
        factor = _stated_factor(header.path, stated, units)
        unlikely = doubt(name, median * factor)
        if unlikely:
            raise InputError(
                f"{header.path}: in {stated}, as its sidecar says, its median is {unlikely}"
            )
        return image * np.float32(factor), ()
    unit, factor = _likely_unit(header.path, median, units, medians)
    said = f"{header.path.name} is taken as {unit}, since its median is {median:.3g}."
    return image * np.float32(factor), (said,)


def _likely_unit(
    path: Path,
    median: float,
    units: dict[str, float],
    medians: Iterable[tuple[float, float, str, float]],
) -> tuple[str, float]:
    """The unit that a median fits, and what it is worth. Raises InputError if none fits."""
    for low, high, unit, factor in medians:
        if low <= median <= high:
            return unit, factor
    expected = " or ".join(f"{low:g} to {high:g} {unit}" for low, high, unit, _ in medians)
    raise InputError(
        f"{path}: its median is {median:.3g}, expected {expected}",
        hint=f'state "Units" in its sidecar: {", ".join(units)}',
    )


def _stated_factor(path: Path, stated: object, units: dict[str, float]) -> float:
    """What a unit that a sidecar states is worth. Raises InputError for any other unit."""
    factor = units.get(str(stated).strip().lower())
    if factor is None:
        raise InputError(
            f"{path}: its sidecar states the unit {stated!r}, expected one of {', '.join(units)}"
        )
    return factor
