"""Contents of a file that a user names: of bounded size, and from no pipe or device.

Those might never end.
"""

import stat
from pathlib import Path

from mrftool.errors import InputError


def require_regular(path: Path, expected: str) -> int:
    """Size of a regular file [bytes]. `expected` says in the message what the file should be.

    Raises
    ------
    InputError
        If it is missing or no regular file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}, expected {expected}") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: is a folder, expected {expected}")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is no regular file, expected {expected}")
    return status.st_size


def read_regular(path: Path, most: int, expected: str) -> bytes:
    """All bytes of a regular file of at most `most` bytes.

    Raises
    ------
    InputError
        If it is missing, unreadable, no regular file, or larger.
    """
    size = require_regular(path, expected)
    if size > most:
        raise InputError(f"{path}: {size} bytes, expected {expected} of at most {most}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, expected {expected}") from error
