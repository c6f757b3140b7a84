"""RawArray files (.ra), which snapMRF reads and writes.

Format: https://github.com/davidssmith/ra (64-bit header words, first axis fastest).
"""

import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.arrays.mapped import MAX_AXES, map_values
from mrftool.formats.regular_file import require_regular

_MAGIC = b"rawarray"
_BIG_ENDIAN = 1  # the only flag of data that we can read
_KINDS = {1: "i", 2: "u", 3: "f", 4: "c"}
_WIDTHS = (1, 2, 4, 8, 16)  # [bytes]
_HEAD = struct.Struct("<5Q")


class _Head(NamedTuple):
    """The numbers after the magic word, in their order in the file."""

    flags: int
    kind: int  # of an element
    width: int  # of an element [bytes]
    n_bytes: int  # of all elements
    n_axes: int

    @property
    def is_known(self) -> bool:
        """Whether the elements are uncompressed numbers."""
        is_plain = self.flags in (0, _BIG_ENDIAN)
        return is_plain and self.kind in _KINDS and self.width in _WIDTHS


def read_ra(path: Path) -> Array:
    """The array in a RawArray file.

    Raises
    ------
    InputError
        If it is damaged, compressed, or holds elements that are no numbers.
    """
    size = require_regular(path, "a RawArray file")
    head, sizes = _read_head(path)
    is_complete = 1 <= head.n_axes <= MAX_AXES and len(sizes) == 8 * head.n_axes
    if not head.is_known or not is_complete:
        raise InputError(
            f"{path}: flags {head.flags}, elements of kind {head.kind} and {head.width} bytes in "
            f"{head.n_axes} axes, expected uncompressed numbers"
        )
    shape = struct.unpack(f"<{head.n_axes}Q", sizes)
    dtype = _dtype(path, head)
    if head.n_bytes > size or max(shape) > size:
        raise InputError(f"{path}: claims {head.n_bytes} bytes of data, expected at most {size}")
    return map_values(path, shape, dtype, len(_MAGIC) + _HEAD.size + len(sizes), "F")


def _read_head(path: Path) -> tuple[_Head, bytes]:
    """The head of a file, and the bytes of the sizes of its axes."""
    with path.open("rb") as file:
        magic, head = file.read(len(_MAGIC)), file.read(_HEAD.size)
        if magic != _MAGIC or len(head) < _HEAD.size:
            raise InputError(f"{path}: is no RawArray file, expected one")
        unpacked = _Head(*_HEAD.unpack(head))
        return unpacked, file.read(8 * min(unpacked.n_axes, MAX_AXES))


def _dtype(path: Path, head: _Head) -> np.dtype[Any]:
    endian = "<>"[head.flags]
    try:
        return np.dtype(f"{endian}{_KINDS[head.kind]}{head.width}")
    except TypeError as error:
        raise InputError(f"{path}: elements of {head.width} bytes, expected numbers") from error
