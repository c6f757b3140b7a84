"""A mapped file that becomes shorter while it is in use: one line in place of a crash."""

import ctypes
from contextlib import suppress

from mrftool.environment.native import library_path
from mrftool.errors import InputError


def tell_bus_errors() -> None:
    """From here on SIGBUS ends this process with one line that names the file.

    Does nothing where mrftool was installed without its native libraries.
    """
    path = library_path("bus_error")
    if path is not None:
        with suppress(OSError):
            ctypes.CDLL(str(path)).bus_error_in_one_line(InputError.exit_code)
