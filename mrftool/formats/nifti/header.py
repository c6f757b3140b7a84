"""NIfTI headers, read with every fault named and built for writing. The home of nibabel.

Source: the comments of nifti1.h and nifti2.h, NIfTI Data Format Working Group,
https://nifti.nimh.nih.gov.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from numpy.typing import DTypeLike

from mrftool.errors import InputError
from mrftool.formats.nifti.files import find_files, read_start
from mrftool.formats.nifti.placement import placement_of
from mrftool.grid import Placement

_DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 32: "c8", 64: "f8",
    256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8", 1792: "c16",
}  # fmt: skip
_REFUSED = {
    0: "no data type",
    1: "one bit per voxel",
    128: "RGB colours",
    1536: "128-bit floats, which differ from machine to machine",
    2048: "256-bit complex numbers, which differ from machine to machine",
    2304: "RGBA colours",
}
_KINDS: tuple[Any, ...] = (Nifti1Header, Nifti2Header)
_TIME_UNITS = {8: 1.0, 16: 1e-3, 24: 1e-6}  # of xyzt_units [s]


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """What a NIfTI file says of its numbers, checked.

    path: as the user named it. data_path: the file that holds the numbers.
    dims: `(x, y, z, ...)`, at least three, ones at the end left out. dtype: as stored, with its
    byte order.
    offset: where the numbers begin [byte]. Values are slope x stored + inter. frame_time: from one
    frame to the next, where the header states it with its unit [s].
    """

    path: Path
    data_path: Path
    dims: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    intent: int
    placement: Placement
    assumptions: tuple[str, ...]
    frame_time: float | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size of the image in space."""
        return self.dims[0], self.dims[1], self.dims[2]

    @property
    def n_bytes(self) -> int:
        """Size of the data file, as the header claims it."""
        return self.offset + math.prod(self.dims) * self.dtype.itemsize


def read_header(path: str | Path) -> NiftiHeader:
    """The header of a `.nii`, `.nii.gz` or `.hdr`/`.img` pair: NIfTI-1 or -2, either byte order.

    Raises InputError naming all that is wrong with it.
    """
    path = Path(path)
    header_path, data_path = find_files(path)
    raw = _parse(header_path, read_start(header_path, 540))
    is_pair = header_path != data_path
    faults = [
        *_dim_faults(raw),
        *_type_faults(raw),
        *_scale_faults(raw),
        *_offset_faults(raw, is_pair),
    ]
    if faults:
        raise InputError(f"{path}: " + "; ".join(faults))
    dims = tuple(int(n) for n in raw["dim"][1 : raw["dim"][0] + 1])
    slope, inter = float(raw["scl_slope"]), float(raw["scl_inter"])
    dims = _tidy(dims)
    placement, assumptions = placement_of(raw, (dims[0], dims[1], dims[2]), path)
    return NiftiHeader(
        path,
        data_path,
        dims,
        np.dtype(raw.endianness + _DTYPES[int(raw["datatype"])]),
        int(raw["vox_offset"]) or (0 if is_pair else raw.single_vox_offset),
        *((1.0, 0.0) if math.isnan(slope) or slope == 0 else (slope, inter)),
        int(raw["intent_code"]),
        placement,
        tuple(assumptions),
        _frame_time(raw),
    )


def _frame_time(raw: Any) -> float | None:
    """Time from one frame to the next [s]; None where the header states no unit of time."""
    unit = _TIME_UNITS.get(int(raw["xyzt_units"]) & 0x38)
    if unit is None or raw["dim"][0] < 4:
        return None
    value = float(raw["pixdim"][4])
    if not math.isfinite(value) or value <= 0:
        return None
    return round(value * unit, 9)


def header_bytes(
    dims: tuple[int, ...], dtype: DTypeLike, placement: Placement, description: str
) -> bytes:
    """A header for one `.nii` file, up to its first number; NIfTI-2 where a dimension is too long
    for NIfTI-1.
    """
    header = _KINDS[max(dims) > np.iinfo(np.int16).max]()
    header.set_data_shape(dims)
    header.set_data_dtype(dtype)
    header.set_slope_inter(1, 0)
    header.set_xyzt_units("mm")
    qform = placement.affine if placement.qform is None else placement.qform
    header.set_qform(qform, placement.codes[0])
    header.set_sform(placement.affine, placement.codes[1])
    header["descrip"] = description.encode("ascii", "replace")[:79]
    header["vox_offset"] = header.single_vox_offset
    return bytes(header.binaryblock).ljust(header.single_vox_offset, b"\0")


def _parse(path: Path, start: bytes) -> Any:
    """A nibabel header of the first bytes of `path`; nothing in it is checked but its kind."""
    if start[:2] == b"\x1f\x8b":
        raise InputError(f"{path}: is gzip-compressed, expected the name to end in .gz")
    for endianness in "<>":
        for kind in _KINDS:
            size = kind.template_dtype.itemsize
            if start[:4] == struct.pack(f"{endianness}i", size) and len(start) >= size:
                raw = kind(start[:size], endianness, check=False)
                _require_magic(raw, path)
                return raw
    raise InputError(
        f"{path}: is no NIfTI file, expected one to begin with a header of 348 or 540 bytes"
    )


def _require_magic(raw: Any, path: Path) -> None:
    magic, wanted = raw["magic"].item(), raw.single_magic
    if path.name.lower().endswith((".hdr", ".hdr.gz")):
        wanted = raw.pair_magic
    if magic != wanted:
        what = {raw.single_magic: "of a single file", raw.pair_magic: "of a .hdr/.img pair"}.get(
            magic, "unknown"
        )
        hint = None if magic else "an Analyze 7.5 file says too little; convert it to NIfTI"
        raise InputError(
            f"{path}: has the NIfTI mark {magic!r} ({what}), expected {wanted!r}", hint=hint
        )


def _dim_faults(raw: Any) -> list[str]:
    n, *sizes = (int(d) for d in raw["dim"])
    if not 1 <= n <= 7:
        return [f"has {n} dimensions, expected 1 to 7"]
    return [
        f"dimension {i + 1} has size {d}, expected at least 1"
        for i, d in enumerate(sizes[:n])
        if d < 1
    ]


def _type_faults(raw: Any) -> list[str]:
    code = int(raw["datatype"])
    if code in _DTYPES:
        return []
    return [
        f"holds {_REFUSED.get(code, f'data of unknown type {code}')}, expected real or complex "
        f"numbers"
    ]


def _scale_faults(raw: Any) -> list[str]:
    slope, inter = float(raw["scl_slope"]), float(raw["scl_inter"])
    if math.isnan(slope) or slope == 0 or (math.isfinite(slope) and math.isfinite(inter)):
        return []
    return [f"has scl_slope {slope:g} and scl_inter {inter:g}, expected finite numbers"]


def _offset_faults(raw: Any, is_pair: bool) -> list[str]:
    offset, least = float(raw["vox_offset"]), 0 if is_pair else raw.single_vox_offset
    if offset == 0 or (math.isfinite(offset) and offset >= least and offset == int(offset)):
        return []
    return [
        f"says that its numbers begin at byte {offset:g}, expected a whole number of at least "
        f"{least}"
    ]


def _tidy(dims: tuple[int, ...]) -> tuple[int, ...]:
    """At least three dimensions, and no ones at the end beyond them."""
    dims = dims + (1,) * (3 - len(dims))
    while len(dims) > 3 and dims[-1] == 1:
        dims = dims[:-1]
    return dims
