"""Arrays in MATLAB's .mat files, of version 5 (scipy) and 7.3 (HDF5), read by a process apart."""

import json
import tempfile
from pathlib import Path

from mrftool.arrays import Array
from mrftool.environment.extras import install_hint
from mrftool.errors import MissingExtraError
from mrftool.formats.apart import read_apart, write_apart
from mrftool.formats.arrays.choice import choose_variable
from mrftool.formats.arrays.matlab_child import is_hdf5

_READER = "mrftool.formats.arrays.matlab_child"
_EXPECTED = "a MATLAB file"
_MEMORY = 32 << 30  # at most [bytes]; large scans are read whole


def read_mat(path: Path, variable: str | None) -> Array:
    """One numeric array of a .mat file; fields of structures are named with points, as `mrf.dict`.

    Raises
    ------
    InputError
        If it is damaged, or has several arrays to choose from.
    MissingExtraError
        For version 7.3 without h5py.
    """
    from mrftool.formats.arrays.numpy_file import read_npy

    _require_reader(path)
    listed = json.loads(read_apart(_READER, path, _EXPECTED, "list", memory=_MEMORY))
    shapes = {str(name): tuple(shape) for name, shape in listed.items()}
    chosen = choose_variable(path, shapes, variable)
    with tempfile.NamedTemporaryFile(prefix="mrftool", suffix=".npy") as copy:
        write_apart(_READER, path, _EXPECTED, copy, chosen, memory=_MEMORY)
        return read_npy(Path(copy.name))  # its mapping outlives the name


def _require_reader(path: Path) -> None:
    if not is_hdf5(path):
        return
    try:
        import h5py  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{path}: MATLAB files of version 7.3 need h5py", hint=install_hint("import")
        ) from error
