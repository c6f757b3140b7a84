"""The native libraries of mrftool, where they were built: finding and loading them."""

import ctypes
import os
from pathlib import Path

import mrftool


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
