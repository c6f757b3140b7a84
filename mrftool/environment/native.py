"""The native libraries of mrftool, where they were built: finding and loading them."""

import ctypes
import os
from functools import cache
from pathlib import Path

import mrftool

WIDTHS = {"baseline": 0, "avx2": 1, "avx512": 2}  # of registers, as the libraries number them


def is_reference() -> bool:
    """Whether the environment asks for readable code in place of native code:
    MRFTOOL_ENGINE=reference.
    """
    return os.environ.get("MRFTOOL_ENGINE") == "reference"


def library_path(name: str) -> Path | None:
    """The file of a native library; None where it was not built.

    It lies beside the package, or where an editable install keeps it.
    """
    places = (Path(folder, f"_{name}.so") for folder in mrftool.__path__)
    return next((path for path in places if path.is_file()), None)


def library_in_use(name: str, job: type[ctypes.Structure]) -> ctypes.CDLL | None:
    """As `native_library`; None too where the environment asks for readable code."""
    if is_reference():
        return None
    return native_library(name, job)


@cache
def native_library(name: str, job: type[ctypes.Structure]) -> ctypes.CDLL | None:
    """A native library, loaded; None where it was not built.

    Parameters
    ----------
    name
        Of the library; its function `NAME_job_size` gives the size of its `job`.
    job
        The same structure, field by field.

    Raises
    ------
    ImportError
        If the library has another structure: it was built from other sources.
    """
    path = library_path(name)
    if path is None:
        return None
    library = ctypes.CDLL(str(path))
    job_size = getattr(library, f"{name}_job_size")
    job_size.restype = ctypes.c_size_t
    if job_size() != ctypes.sizeof(job):
        raise ImportError(f"{path} belongs to another version of mrftool: install it again")
    return library


def widest_registers(library: ctypes.CDLL | None, name: str) -> str:
    """The widest registers that both a library and this processor have, one of WIDTHS; "baseline"
    without library.
    """
    if library is None:
        return "baseline"
    return list(WIDTHS)[int(getattr(library, f"{name}_widest")())]
