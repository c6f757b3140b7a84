"""The process that reads a .mat file: lists its arrays, or prints one as .npy."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from mrftool.arrays import Array
from mrftool.formats.apart import answer_in_pieces
from mrftool.formats.regular_file import require_regular

_HDF5 = b"\x89HDF\r\n\x1a\n"
_DEEPEST = 5  # structures in structures
_NUMBERS = "biufc"
_WHOLE_KINDS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_PLAIN_KINDS = ("double", "single", "logical", *_WHOLE_KINDS)  # as `whosmat` names them


def is_hdf5(path: Path) -> bool:
    """Whether a file is of version 7.3, which is HDF5 behind 512 bytes of text."""
    require_regular(path, "a MATLAB file")
    with path.open("rb") as file:
        return file.read(520)[512:520] == _HDF5


def read(path: Path) -> Iterator[bytes | memoryview]:
    """The shapes of all arrays as JSON, or one array as .npy, by the second argument."""
    wanted = sys.argv[2]
    arrays = _version_5_arrays
    if is_hdf5(path):
        arrays = _hdf5_arrays
    if wanted == "list":
        shapes = {name: shape for name, shape, _ in arrays(path)}
        yield json.dumps(shapes).encode()
        return
    for name, _, load in arrays(path):
        if name == wanted:
            yield from _npy(load())
            return
    raise ValueError(f"has no array {wanted!r}")


def _npy(values: Array) -> Iterator[bytes | memoryview]:
    """The contents of a .npy file, without another copy of the numbers."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, npy.header_data_from_array_1_0(values))
    yield header.getvalue()
    yield values.ravel(order="A").view(np.uint8).data


def _version_5_arrays(path: Path) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """Arrays in version 5 and before. Only structures are read to see what they hold."""
    from scipy.io import loadmat, whosmat

    for name, shape, kind in whosmat(path):

        def load(name: str = name) -> Any:
            return loadmat(path, variable_names=[name], struct_as_record=False)[name]

        if kind in _PLAIN_KINDS:
            yield name, shape, load
        elif kind == "struct":
            yield from _fields(name, load(), 0)


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
    answer_in_pieces(read)
