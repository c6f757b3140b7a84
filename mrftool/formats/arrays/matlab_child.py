"""The process that reads a .mat file: lists its arrays, or prints one as .npy."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array
from mrftool.formats.apart import answer
from mrftool.formats.regular_file import require_regular

_HDF5 = b"\x89HDF\r\n\x1a\n"
_DEEPEST = 5  # structures in structures
_NUMBERS = "biufc"


def is_hdf5(path: Path) -> bool:
    """Whether a file is of version 7.3, which is HDF5 behind 512 bytes of text."""
    require_regular(path, "a MATLAB file")
    with path.open("rb") as file:
        return file.read(520)[512:520] == _HDF5


def read(path: Path) -> bytes:
    """The shapes of all arrays as JSON, or one array as .npy, by the second argument."""
    wanted = sys.argv[2]
    arrays = _hdf5_arrays if is_hdf5(path) else _version_5_arrays
    if wanted == "list":
        shapes = {name: shape for name, shape, _ in arrays(path)}
        return json.dumps(shapes).encode()
    for name, _, load in arrays(path):
        if name == wanted:
            stream = io.BytesIO()
            np.save(stream, load(), allow_pickle=False)
            return stream.getvalue()
    raise ValueError(f"has no array {wanted!r}")


def _version_5_arrays(path: Path) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    from scipy.io import loadmat

    content = loadmat(path, struct_as_record=False)
    names = [name for name in content if not name.startswith("__")]
    for name in names:
        yield from _fields(name, content[name], 0)


def _fields(name: str, value: Any, depth: int) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """The arrays in a variable: itself, or the fields of a structure."""
    if isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.flat[0]  # a structure
    if isinstance(value, np.ndarray) and value.dtype.kind in _NUMBERS:
        yield name, value.shape, lambda: value
    for field in getattr(value, "_fieldnames", [])[:1000]:
        if depth < _DEEPEST:
            yield from _fields(f"{name}.{field}", getattr(value, field), depth + 1)


def _hdf5_arrays(path: Path) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    import h5py

    with h5py.File(path, "r") as file:
        yield from _group(file, "", 0)


def _group(group: Any, prefix: str, depth: int) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    for key in group:
        if key.startswith("#"):  # references of cells
            continue
        item = group[key]
        if hasattr(item, "keys") and depth < _DEEPEST:
            yield from _group(item, f"{prefix}{key}.", depth + 1)
        elif hasattr(item, "dtype") and _is_numeric(item.dtype):
            yield f"{prefix}{key}", item.shape[::-1], lambda item=item: _transposed(item[()])


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in _NUMBERS or dtype.names == ("real", "imag")


def _transposed(values: Array) -> Array:
    """HDF5 has MATLAB's axes in reverse, and complex numbers as pairs."""
    if values.dtype.names is not None:
        values = values["real"] + 1j * values["imag"]
    return values.T


if __name__ == "__main__":
    answer(read)
