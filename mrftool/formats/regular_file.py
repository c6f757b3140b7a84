"""The content of a file that a user names: bounded, and from no pipe or device, which might never end."""

from pathlib import Path

from mrftool.errors import InputError


def read_regular(path: Path, most: int, expected: str) -> bytes:
    """All bytes of `path`.

    most: bytes that are read. expected: what the file should be, for the message.
    Raises InputError if it is missing, unreadable, no regular file or longer.
    """
    try:
        size = path.stat().st_size
        if not path.is_file() and not path.is_dir():
            raise InputError(f"{path}: is no regular file, expected {expected}")
        if size > most:
            raise InputError(f"{path}: {size} bytes, expected {expected} of at most {most}")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, expected {expected}") from error
