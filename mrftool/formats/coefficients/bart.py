"""Arrays of BART: a text file of sizes (.hdr) beside complex64 numbers, first index fastest (.cfl).

BART keeps space on dimensions 0 to 2, coils on 3, time on 5 and coefficients on 6.
Source: M. Uecker et al., BART, https://mrirecon.github.io/bart.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from mrftool.arrays import Array, ComplexArray
from mrftool.errors import InputError

N_DIMENSIONS = 16
COILS, TIME, COEFFICIENTS = 3, 5, 6
_MOST_HEADER = 1 << 20
_MOST_VALUES = 1 << 40


def read_cfl(path: Path) -> ComplexArray:
    """The array in `path` (.cfl) `(16 dimensions)`, complex64.

    Raises
    ------
    InputError
        If one of the two files is missing or malformed, or their sizes disagree.
    """
    sizes = _sizes(path.with_suffix(".hdr"))
    count = math.prod(sizes)
    try:
        found = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if found != count * 8:
        raise InputError(f"{path}: has {found} bytes, expected {count * 8} as its .hdr says")
    values = np.fromfile(path, "<c8").reshape(sizes, order="F")
    return np.asarray(values, np.complex64)


def cfl_contents(path: Path, array: Array) -> Mapping[Path, bytes]:
    """The two files of an array, by path; `path` ends in .cfl."""
    sizes = [*array.shape, *[1] * (N_DIMENSIONS - array.ndim)]
    header = "# Dimensions\n" + " ".join(map(str, sizes)) + "\n"
    numbers = np.asarray(array, "<c8").tobytes(order="F")
    return {path.with_suffix(".hdr"): header.encode(), path: numbers}


def basis_array(basis: Array) -> Array:
    """A basis `(time, K)` as BART takes it: time on dimension 5, coefficients on 6."""
    return basis.reshape((1,) * TIME + basis.shape)


def _sizes(path: Path) -> list[int]:
    try:
        if path.stat().st_size > _MOST_HEADER:
            raise InputError(f"{path}: is larger than 1 MB, expected a list of sizes")
        lines = path.read_text("ascii", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    after = [line for before, line in pairwise(lines) if "Dimensions" in before]
    words = after[0].split() if after else []
    if not words or not all(word.isdecimal() and int(word) > 0 for word in words):
        raise InputError(f"{path}: names no sizes, expected '# Dimensions' and a line of sizes")
    sizes = [int(word) for word in words]
    if math.prod(sizes) > _MOST_VALUES:
        raise InputError(f"{path}: names {sizes} numbers, expected sizes of an image")
    return sizes
