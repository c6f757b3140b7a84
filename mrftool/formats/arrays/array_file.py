"""Arrays of numbers in the files of other tools: BART, MATLAB, NumPy and RawArray.

None of these formats says which axis is what, nor where the voxels are.
"""

from collections.abc import Callable
from pathlib import Path

from mrftool.arrays import Array
from mrftool.errors import ArgumentError, InputError
from mrftool.formats.arrays.bart import read_cfl
from mrftool.formats.arrays.matlab import read_mat
from mrftool.formats.arrays.numpy_file import read_npy, read_npz_array
from mrftool.formats.arrays.raw_array import read_ra

_WITH_VARIABLES: dict[str, Callable[[Path, str | None], Array]] = {
    ".mat": read_mat,
    ".npz": read_npz_array,
}
_SINGLE: dict[str, Callable[[Path], Array]] = {
    ".cfl": read_cfl,
    ".npy": read_npy,
    ".ra": read_ra,
}
SUFFIXES = (*_SINGLE, *_WITH_VARIABLES)


def is_array_file(path: Path) -> bool:
    """Whether the suffix is that of an array file; .hdr is one where a .cfl is beside it."""
    suffix = path.suffix.lower()
    return suffix in SUFFIXES or (suffix == ".hdr" and path.with_suffix(".cfl").exists())


def read_array(path: Path, variable: str | None = None) -> Array:
    """The array of numbers in a file, with its axes in the order of its own tool.

    Parameters
    ----------
    path : Path
        .cfl (or its .hdr), .mat, .npy, .npz or .ra.
    variable : str, optional
        Which array of a .mat or .npz file.

    Raises
    ------
    InputError
        If the file is damaged, or holds several arrays to choose from.
    ArgumentError
        If a variable is chosen in a file of one array.
    """
    suffix = path.suffix.lower()
    if suffix in _WITH_VARIABLES:
        values = _WITH_VARIABLES[suffix](path, variable)
    elif variable is not None:
        raise ArgumentError(
            f"{path}: holds one array, expected no choice of a variable", arguments=["variable"]
        )
    else:
        values = _SINGLE.get(suffix, read_cfl)(path)
    if values.size == 0 or values.dtype.kind not in "biufc":
        raise InputError(f"{path}: holds {values.dtype} of shape {values.shape}, expected numbers")
    return values
