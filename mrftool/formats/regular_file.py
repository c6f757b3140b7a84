"""Contents of a file that a user names: of bounded size, and from no pipe or device.

Those might never end. What a small file expands to is bounded too.
"""

import stat
from pathlib import Path

from mrftool.errors import InputError

ALWAYS_EXPANDED = 256 << 20  # what any file may become in memory [bytes]
MOST_EXPANDED = 64  # times its size on disk; images without noise shrink by less
_BLOCK = 512  # unit of `st_blocks` [bytes]


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


def require_plausible_size(path: Path, n_bytes: int, expected: str) -> None:
    """Refuse a small file that would fill the memory: one compressed from zeros, or with holes.

    Parameters
    ----------
    path
        The file.
    n_bytes
        What it takes in memory, as far as it tells [bytes].
    expected
        What the file should be, for the message.

    Raises
    ------
    InputError
        If that is more than any file may take, and many times what the file has on disk.
    """
    stored = _size_on_disk(path)
    if n_bytes > max(ALWAYS_EXPANDED, MOST_EXPANDED * stored):
        raise InputError(
            f"{path}: {stored} bytes on disk expand to {n_bytes}, expected {expected} of at most "
            f"{MOST_EXPANDED} times its size"
        )


def _size_on_disk(path: Path) -> int:
    """Bytes of a file without its holes."""
    status = path.stat()
    blocks = getattr(status, "st_blocks", None)  # Windows does not tell
    if blocks is None:
        return status.st_size
    return min(status.st_size, _BLOCK * int(blocks))
