"""What the functions of the API take: values, files, or the names of shipped ones."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import BoolArray
from mrftool.formats.open_scan import open_scan
from mrftool.scan.series import Series, series_from_array
from mrftool.sequence import PulseSequence

SequenceLike = PulseSequence | str | Path
Scan = Series | str | Path | ArrayLike


def as_series(scan: Scan) -> Series:
    """A scan: as it is, from its file, or from an array."""
    if isinstance(scan, Series):
        return scan
    if isinstance(scan, str | Path):
        return open_scan(Path(scan))
    return series_from_array(scan)


def as_mask(mask: ArrayLike | None) -> BoolArray | None:
    """A mask as an array of truth values."""
    if mask is None:
        return None
    return np.asarray(mask, bool)


def path_or_none(path: str | Path | None) -> Path | None:
    """A path, where one is given."""
    if path is None:
        return None
    return Path(path)
