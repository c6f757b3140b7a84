"""Whether a file is DICOM, told from its first bytes."""

import os
import stat
import struct
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from mrftool.errors import InputError

Found = TypeVar("Found")

HEAD = 132  # the preamble and the letters DICM
_PREAMBLE = 128
DICOM_HEAD = bytes(_PREAMBLE) + b"DICM"
_FIRST_TAGS = {  # of old files, which begin with their data set
    (group, element)
    for group in (0x0002, 0x0008)
    for element in (0x0000, 0x0001, 0x0002, 0x0005, 0x0008, 0x0010, 0x0012, 0x0016)
}
_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US UT".split())
_MOST_VALUE_BYTES = 1 << 12  # of the values at the beginning of a data set


def has_preamble(head: bytes) -> bool:
    """True for a DICOM file in the form of PS3.10: the letters DICM after 128 bytes."""
    return head[_PREAMBLE:HEAD] == b"DICM"


def is_dicom(head: bytes) -> bool:
    """True for the first `HEAD` bytes of a DICOM file: with the preamble, or (old files) a data set
    whose first two elements make sense.
    """
    return has_preamble(head) or _begins_a_data_set(head)


def read_head(path: str) -> bytes:
    """The first bytes of a regular file; none of a pipe or device, which could block.

    Raises FileNotFoundError for a link that leads nowhere, InputError for other faults.
    """
    return from_start(path, lambda file, _: file.read(HEAD)) or b""


def from_start(path: str, read: Callable[[BinaryIO, int], Found]) -> Found | None:
    """What `read` makes of a regular file and its size; None for a pipe or device, which could
    block.

    Raises as `read_head`.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  (Path is slow for thousands of files)
        if not stat.S_ISREG(status.st_mode):
            return None
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return read(file, status.st_size)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error


def _begins_a_data_set(head: bytes) -> bool:
    """True if two elements follow each other, the tag of the second above that of the first."""
    first = _element(head, 0)
    if first is None or first[0] not in _FIRST_TAGS:
        return False
    tag, end = first
    if end + 8 > len(head):  # the first value is long: its tag and length must do
        return True
    second = _element(head, end)
    return second is not None and second[0] > tag and second[0][0] <= 0x0010


def _element(head: bytes, place: int) -> tuple[tuple[int, int], int] | None:
    """Tag of the element at `place` and where it ends; None if its value has no sensible length."""
    if place + 8 > len(head):
        return None
    group, element, length = struct.unpack_from("<HHI", head, place)
    if head[place + 4 : place + 6] in _VRS:
        length >>= 16
    if length % 2 or length > _MOST_VALUE_BYTES:
        return None
    return (group, element), place + 8 + length
