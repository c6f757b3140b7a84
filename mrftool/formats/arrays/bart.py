"""Arrays of the Berkeley Advanced Reconstruction Toolbox, BART.

A text file of sizes (.hdr) lies beside one of numbers (.cfl). The numbers are complex64,
little-endian, first axis fastest. BART keeps space on dimensions 0 to 2, coils on 3, time on 5 and
coefficients on 6.
Source: M. Uecker et al., BART, https://mrirecon.github.io/bart.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.arrays.mapped import map_values
from mrftool.formats.regular_file import read_regular, require_regular

N_DIMENSIONS = 16
TIME, COEFFICIENTS = 5, 6
MAX_HEADER = 1_000_000  # [bytes]
MAX_AXES = 32
_MOST_DIGITS = 12  # of a size
_NUMBER = np.dtype("<c8")


def read_cfl(path: Path) -> Array:
    """The array in a .cfl file, named by that or by its .hdr, without axes of size 1 at its end.

    Raises
    ------
    InputError
        If one of the two files is missing or damaged, or they do not belong together.
    """
    sizes = _read_sizes(path.with_suffix(".hdr"))
    while len(sizes) > 1 and sizes[-1] == 1:
        sizes.pop()
    numbers = path.with_suffix(".cfl")
    found = require_regular(numbers, "an array file")
    expected = math.prod(sizes) * _NUMBER.itemsize
    if found > expected:  # `map_values` refuses a shorter file
        raise InputError(f"{numbers}: has {found} bytes, expected {expected} as its .hdr says")
    return map_values(numbers, tuple(sizes), _NUMBER, 0, "F")


def read_all_dimensions(path: Path) -> Array:
    """The array in a .cfl file with all dimensions of BART `(16 dimensions)`.

    Raises
    ------
    InputError
        As `read_cfl` does.
    """
    values = read_cfl(path)
    return values[(..., *[np.newaxis] * (N_DIMENSIONS - values.ndim))]


def cfl_contents(path: Path, array: Array) -> Mapping[Path, bytes]:
    """The two files of an array, by path; `path` ends in .cfl."""
    sizes = [*array.shape, *[1] * (N_DIMENSIONS - array.ndim)]
    header = "# Dimensions\n" + " ".join(map(str, sizes)) + "\n"
    numbers = np.asarray(array, _NUMBER).tobytes(order="F")
    return {path.with_suffix(".hdr"): header.encode(), path: numbers}


def basis_array(basis: Array) -> Array:
    """A basis `(time, K)` as BART takes it: time on dimension 5, coefficients on 6."""
    return basis.reshape((1,) * TIME + basis.shape)


def _read_sizes(header: Path) -> list[int]:
    """The numbers in the line below `# Dimensions`."""
    content = read_regular(header, MAX_HEADER, "the header of a .cfl file")
    lines = [line.strip() for line in content.decode("ascii", errors="replace").splitlines()]
    words: list[str] = []
    if "# Dimensions" in lines[:-1]:
        words = lines[lines.index("# Dimensions") + 1].split()
    if not 1 <= len(words) <= MAX_AXES or not all(_is_size(word) for word in words):
        raise InputError(f"{header}: its sizes are not readable, expected a line # Dimensions")
    return [int(word) for word in words]


def _is_size(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < _MOST_DIGITS
