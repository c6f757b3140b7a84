"""NIfTI-1 and -2 files packed and unpacked field by field with struct: no reader or writer of ours,
nor nibabel.
"""

import struct

import numpy as np

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "c8": 32, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024,
         "u8": 1280, "c16": 1792}  # fmt: skip
FIELDS_1 = (
    "i:sizeof_hdr 36x:_ 8h:dim 3f:intent_p h:intent_code h:datatype h:bitpix h:slice_start "
    "8f:pixdim f:vox_offset "
    "f:scl_slope f:scl_inter h:slice_end b:slice_code B:xyzt_units 2f:cal f:slice_duration "
    "f:toffset 2i:gl "
    "80s:descrip 24s:aux_file h:qform_code h:sform_code 3f:quatern 3f:qoffset 12f:srow "
    "16s:intent_name 4s:magic"
)
FIELDS_2 = (
    "i:sizeof_hdr 8s:magic h:datatype h:bitpix 8q:dim 3d:intent_p 8d:pixdim q:vox_offset "
    "d:scl_slope d:scl_inter "
    "2d:cal d:slice_duration d:toffset q:slice_start q:slice_end 80s:descrip 24s:aux_file "
    "i:qform_code i:sform_code "
    "3d:quatern 3d:qoffset 12d:srow i:slice_code i:xyzt_units i:intent_code 16s:intent_name "
    "B:dim_info 15x:_"
)
SROW = (-2.0, 0.0, 0.0, 90.0, 0.0, 2.5, 0.0, -126.0, 0.0, 0.0, 3.0, -72.0)
AFFINE = np.array([*SROW, 0, 0, 0, 1]).reshape(4, 4)


def _fields(version):
    return [field.split(":") for field in (FIELDS_1 if version == 1 else FIELDS_2).split()]


def pack(data, order="<", version=1, pair=False, extension=b"", **changed):
    """(header bytes, data bytes): a legal file of `data` `(x, y, z, ...)`, but for the fields in
    `changed`.
    """
    data = np.asarray(data)
    size = 348 if version == 1 else 540
    code = CODES.get(data.dtype.str[1:], 128)
    magic = ("ni" if pair else "n+") + str(version)
    values = {
        "sizeof_hdr": size, "dim": [data.ndim, *data.shape, *[1] * (7 - data.ndim)], "datatype": code,
        "bitpix": data.itemsize * 8, "pixdim": [1, 2, 2.5, 3, 1, 1, 1, 1], "sform_code": 1, "srow": SROW,
        "vox_offset": 0 if pair else size + 4 + len(extension), "scl_slope": 0, "xyzt_units": 2,
        "magic": magic.encode() + (b"\0\r\n\x1a\n" if version == 2 else b"\0"), **changed,
    }  # fmt: skip
    header = b""
    for kind, name in _fields(version):
        n = 0 if kind.endswith("x") else 1 if kind.endswith("s") else int(kind[:-1] or 1)
        value = values.get(name, b"" if kind.endswith("s") else [0] * n)
        header += struct.pack(
            order + kind, *(value if isinstance(value, (list, tuple)) else [value])[:n]
        )
    assert len(header) == size
    if not pair:
        header += (b"\1\0\0\0" if extension else b"\0\0\0\0") + extension
    return header, data.astype(data.dtype.newbyteorder(order)).tobytes(order="F")


def nifti(data, **options):
    return b"".join(pack(data, **options))


def unpack(content):
    """(fields, data) of a single little-endian file."""
    version = 1 if content[:4] == struct.pack("<i", 348) else 2
    fields, at = {}, 0
    for kind, name in _fields(version):
        values = struct.unpack_from("<" + kind, content, at)
        fields[name] = values[0] if len(values) == 1 else values
        at += struct.calcsize("<" + kind)
    shape = fields["dim"][1 : fields["dim"][0] + 1]
    dtype = next(name for name, code in CODES.items() if code == fields["datatype"])
    data = np.frombuffer(content, "<" + dtype, int(np.prod(shape)), int(fields["vox_offset"]))
    return fields, data.reshape(shape, order="F")
