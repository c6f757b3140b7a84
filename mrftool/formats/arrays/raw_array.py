"""RawArray files (.ra), which snapMRF reads and writes.

Format: https://github.com/davidssmith/ra (64-bit header words, first axis fastest).
"""

import struct
from pathlib import Path

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.arrays.mapped import MAX_AXES, map_values
from mrftool.formats.regular_file import require_regular

_MAGIC = b"rawarray"
_BIG_ENDIAN = 1  # the only flag of data that we can read
_KINDS = {1: "i", 2: "u", 3: "f", 4: "c"}
_HEAD = struct.Struct("<5Q")  # flags, kind of element, its bytes, bytes of data, number of axes


def read_ra(path: Path) -> Array:
    """The array in a RawArray file.

    Raises
    ------
    InputError
        If it is damaged, compressed, or holds elements that are no numbers.
    """
    size = require_regular(path, "a RawArray file")
    with path.open("rb") as file:
        magic, head = file.read(len(_MAGIC)), file.read(_HEAD.size)
        if magic != _MAGIC or len(head) < _HEAD.size:
            raise InputError(f"{path}: is no RawArray file, expected one")
        flags, kind, width, n_bytes, n_axes = _HEAD.unpack(head)
        sizes = file.read(8 * min(n_axes, MAX_AXES))
    offset = len(_MAGIC) + _HEAD.size + len(sizes)
    is_known = flags in (0, _BIG_ENDIAN) and kind in _KINDS and width in (1, 2, 4, 8, 16)
    if not is_known or not 1 <= n_axes <= MAX_AXES or len(sizes) != 8 * n_axes:
        raise InputError(
            f"{path}: flags {flags}, elements of kind {kind} and {width} bytes in {n_axes} axes, "
            "expected uncompressed numbers"
        )
    shape = struct.unpack(f"<{n_axes}Q", sizes)
    endian = "<>"[flags]
    try:
        dtype = np.dtype(f"{endian}{_KINDS[kind]}{width}")
    except TypeError as error:
        raise InputError(f"{path}: elements of {width} bytes, expected numbers") from error
    if n_bytes > size or any(length > size for length in shape):
        raise InputError(f"{path}: claims {n_bytes} bytes of data, expected at most {size}")
    return map_values(path, shape, dtype, offset, "F")
