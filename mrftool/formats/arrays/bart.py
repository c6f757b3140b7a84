"""Arrays of the Berkeley Advanced Reconstruction Toolbox: sizes in a .hdr, numbers in a .cfl.

Format: https://mrirecon.github.io/bart/ (complex64, little-endian, first axis fastest).
"""

from pathlib import Path

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.arrays.mapped import map_values
from mrftool.formats.regular_file import read_regular

MAX_HEADER = 1_000_000  # [bytes]
MAX_AXES = 32


def read_cfl(path: Path) -> Array:
    """The array in a .cfl file, named by that or by its .hdr, without axes of size 1 at its end.

    Raises
    ------
    InputError
        If one of the two files is missing or damaged, or they do not belong together.
    """
    sizes = _sizes(path.with_suffix(".hdr"))
    while len(sizes) > 1 and sizes[-1] == 1:
        sizes.pop()
    return map_values(path.with_suffix(".cfl"), tuple(sizes), np.dtype("<c8"), 0, "F")


def _sizes(header: Path) -> list[int]:
    """The line of numbers below `# Dimensions`."""
    content = read_regular(header, MAX_HEADER, "the header of a .cfl file")
    lines = content.decode("ascii", errors="replace").splitlines()
    titles = [i for i, line in enumerate(lines) if line.strip() == "# Dimensions"]
    words: list[str] = []
    if titles and titles[0] + 1 < len(lines):
        words = lines[titles[0] + 1].split()
    is_good = all(word.isascii() and word.isdigit() and len(word) < 12 for word in words)
    if not 1 <= len(words) <= MAX_AXES or not is_good:
        raise InputError(f"{header}: its sizes are not readable, expected a line # Dimensions")
    return [int(word) for word in words]
