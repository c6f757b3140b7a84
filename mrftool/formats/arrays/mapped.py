"""Numbers in a file as an array that stays there until it is used."""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.regular_file import require_regular

MAX_AXES = 32


def map_values(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    offset: int,
    order: Literal["C", "F"],
) -> Array:
    """A read-only view of the numbers that begin at `offset` [bytes].

    Raises
    ------
    InputError
        If the file is missing or too short for them.
    """
    size = require_regular(path, "an array file")
    needed = math.prod(shape) * dtype.itemsize
    if not 1 <= len(shape) <= MAX_AXES or needed == 0 or size < offset + needed:
        sizes = " x ".join(map(str, shape)) or "no axes"
        raise InputError(
            f"{path}: {size} bytes, expected {offset + needed} for {sizes} numbers of "
            f"{dtype.itemsize} bytes"
        )
    try:
        flat = np.memmap(path, dtype, "r", offset, (math.prod(shape),))
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: cannot be read: {error}, expected an array file") from error
    return flat.reshape(shape, order=order)
