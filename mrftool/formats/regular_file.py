"""The content of a file that a user names: bounded, and from no pipe or device, which might never
end.
"""

import stat
from pathlib import Path

from mrftool.errors import InputError


def require_regular(path: Path, expected: str) -> int:
    """Bytes of `path`. expected: what the file should be, for the message.

    Raises InputError if it is missing or no regular file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, expected {expected}") from error
    if not stat.S_ISREG(status.st_mode):
        what = "is a folder" if stat.S_ISDIR(status.st_mode) else "is no regular file"
        raise InputError(f"{path}: {what}, expected {expected}")
    return status.st_size


def read_regular(path: Path, most: int, expected: str) -> bytes:
    """All bytes of `path`.

    most: bytes that are read. expected: what the file should be, for the message.
    Raises InputError if it is missing, unreadable, no regular file or longer.
    """
    size = require_regular(path, expected)
    if size > most:
        raise InputError(f"{path}: {size} bytes, expected {expected} of at most {most}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, expected {expected}") from error
