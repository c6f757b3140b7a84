"""A mapped file that becomes shorter while it is in use: one line in place of a crash."""

import ctypes
from contextlib import suppress
from pathlib import Path

import mrftool
from mrftool.errors import InputError

_LIBRARY = "_bus_error.so"


def tell_bus_errors() -> None:
    """From here on SIGBUS ends this process with one line that names the file.

    Does nothing where mrftool was installed without its native libraries.
    """
    for folder in mrftool.__path__:
        path = Path(folder, _LIBRARY)
        if path.is_file():
            with suppress(OSError):
                ctypes.CDLL(str(path)).bus_error_in_one_line(InputError.exit_code)
            return
