"""The fields of a NIfTI header, version 1 and 2, in the order in which they lie in a file.

Source: nifti1.h and nifti2.h, NIfTI Data Format Working Group, https://nifti.nimh.nih.gov.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

_FIRST = """
    sizeof_hdr:i4 data_type:S10 db_name:S18 extents:i4 session_error:i2 regular:S1 dim_info:u1
    dim:8i2 intent_p1:f4 intent_p2:f4 intent_p3:f4 intent_code:i2 datatype:i2 bitpix:i2
    slice_start:i2 pixdim:8f4 vox_offset:f4 scl_slope:f4 scl_inter:f4 slice_end:i2 slice_code:u1
    xyzt_units:u1 cal_max:f4 cal_min:f4 slice_duration:f4 toffset:f4 glmax:i4 glmin:i4 descrip:S80
    aux_file:S24 qform_code:i2 sform_code:i2 quatern_b:f4 quatern_c:f4 quatern_d:f4 qoffset_x:f4
    qoffset_y:f4 qoffset_z:f4 srow_x:4f4 srow_y:4f4 srow_z:4f4 intent_name:S16 magic:S4
"""
_SECOND = """
    sizeof_hdr:i4 magic:S4 eol_check:4i1 datatype:i2 bitpix:i2 dim:8i8 intent_p1:f8 intent_p2:f8
    intent_p3:f8 pixdim:8f8 vox_offset:i8 scl_slope:f8 scl_inter:f8 cal_max:f8 cal_min:f8
    slice_duration:f8 toffset:f8 slice_start:i8 slice_end:i8 descrip:S80 aux_file:S24 qform_code:i4
    sform_code:i4 quatern_b:f8 quatern_c:f8 quatern_d:f8 qoffset_x:f8 qoffset_y:f8 qoffset_z:f8
    srow_x:4f8 srow_y:4f8 srow_z:4f8 slice_code:i4 xyzt_units:i4 intent_code:i4 intent_name:S16
    dim_info:u1 unused_str:S15
"""


@dataclass(frozen=True)
class Version:
    """A version of the format.

    Parameters
    ----------
    fields
        Names and types.
    magic, magic_of_pair
        The mark of a single file, and that of a .hdr/.img pair.
    offset
        Where the numbers of a single file begin at least [byte].
    eol_check
        Bytes that show whether a transfer of text changed the file.
    """

    fields: str
    magic: bytes
    magic_of_pair: bytes
    offset: int
    eol_check: bytes = b""

    def dtype(self, byte_order: Literal["<", ">"]) -> np.dtype[Any]:
        """The fields as a structured type; `<` or `>`."""
        pairs = (field.split(":") for field in self.fields.split())
        return np.dtype([(name, kind) for name, kind in pairs]).newbyteorder(byte_order)

    def empty(self) -> Any:
        """A header, little-endian, that says nothing yet of an image."""
        record = np.zeros((), self.dtype("<"))
        record["sizeof_hdr"] = record.nbytes
        record["magic"] = self.magic
        record["dim"][1:] = 1
        record["pixdim"] = 1
        record["scl_slope"] = 1
        record["vox_offset"] = self.offset
        if self.eol_check:
            record["eol_check"] = np.frombuffer(self.eol_check, np.int8)
        return record


NIFTI_1 = Version(_FIRST, b"n+1", b"ni1", 352)
NIFTI_2 = Version(_SECOND, b"n+2", b"ni2", 544, b"\r\n\x1a\n")
VERSIONS = (NIFTI_1, NIFTI_2)
