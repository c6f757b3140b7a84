"""NIfTI headers, read with every fault named and built for writing.

Source: the comments of nifti1.h and nifti2.h, NIfTI Data Format Working Group,
https://nifti.nimh.nih.gov.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from mrftool.errors import InputError
from mrftool.formats.nifti.files import find_files, read_start
from mrftool.formats.nifti.placement import placement_of
from mrftool.formats.nifti.record.layout import NIFTI_1, NIFTI_2, VERSIONS, Version
from mrftool.formats.nifti.record.qform import put_qform
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
_CODES = {kind: code for code, kind in _DTYPES.items()}
_MM = 2  # of xyzt_units
_BYTE_ORDERS: tuple[Literal["<", ">"], ...] = ("<", ">")
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
    raw, version = _parse(header_path, read_start(header_path, 540))
    is_pair = header_path != data_path
    least_offset = version.offset
    if is_pair:
        least_offset = 0
    faults = [
        *_dim_faults(raw),
        *_type_faults(raw),
        *_scale_faults(raw),
        *_offset_faults(raw, least_offset),
    ]
    if faults:
        raise InputError(f"{path}: " + "; ".join(faults))
    slope, inter = float(raw["scl_slope"]), float(raw["scl_inter"])
    dims = _tidy(tuple(int(n) for n in raw["dim"][1 : raw["dim"][0] + 1]))
    placement, assumptions = placement_of(raw, (dims[0], dims[1], dims[2]), path)
    return NiftiHeader(
        path,
        data_path,
        dims,
        np.dtype(_DTYPES[int(raw["datatype"])]).newbyteorder(raw.dtype["datatype"].byteorder),
        int(raw["vox_offset"]) or least_offset,
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
    version = NIFTI_1
    if max(dims) > np.iinfo(np.int16).max:
        version = NIFTI_2
    record, kind = version.empty(), np.dtype(dtype)
    record["dim"][: len(dims) + 1] = [len(dims), *dims]
    record["datatype"], record["bitpix"] = _CODES[kind.str[1:]], 8 * kind.itemsize
    record["xyzt_units"] = _MM
    qform = placement.affine
    if placement.qform is not None:
        qform = placement.qform
    put_qform(record, qform)
    for name, row in zip("xyz", placement.affine, strict=False):
        record[f"srow_{name}"] = row
    record["qform_code"], record["sform_code"] = placement.codes
    record["descrip"] = description.encode("ascii", "replace")[:79]
    return bytes(record.tobytes().ljust(version.offset, b"\0"))


def _parse(path: Path, start: bytes) -> tuple[Any, Version]:
    """The fields in the first bytes of `path`; nothing in them is checked but their kind."""
    if start[:2] == b"\x1f\x8b":
        raise InputError(f"{path}: is gzip-compressed, expected the name to end in .gz")
    for byte_order in _BYTE_ORDERS:
        for version in VERSIONS:
            fields = version.dtype(byte_order)
            size = fields.itemsize
            if start[:4] == struct.pack(f"{byte_order}i", size) and len(start) >= size:
                raw = np.frombuffer(start[:size], fields)[0]
                _require_magic(raw, version, path)
                return raw, version
    raise InputError(
        f"{path}: is no NIfTI file, expected one to begin with a header of 348 or 540 bytes"
    )


def _require_magic(raw: Any, version: Version, path: Path) -> None:
    magic, wanted = raw["magic"].item(), version.magic
    if path.name.lower().endswith((".hdr", ".hdr.gz")):
        wanted = version.magic_of_pair
    if magic != wanted:
        known = {version.magic: "of a single file", version.magic_of_pair: "of a .hdr/.img pair"}
        hint = None
        if not magic:
            hint = "an Analyze 7.5 file says too little; convert it to NIfTI"
        raise InputError(
            f"{path}: has the NIfTI mark {magic!r} ({known.get(magic, 'unknown')}), expected "
            f"{wanted!r}",
            hint=hint,
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


def _offset_faults(raw: Any, least: int) -> list[str]:
    offset = float(raw["vox_offset"])
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
