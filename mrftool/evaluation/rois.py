"""Mean T1 and T2 of regions, with the uncertainty of each mean, and beside reference values.

The uncertainty of a mean joins two parts (JCGM 100:2008): random errors of voxels are independent,
so that they shrink with the number of voxels; systematic ones are shared, so that they do not.
"""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.arrays import Array, BoolArray, Float32Array, FloatArray
from mrftool.errors import InputError
from mrftool.formats.regular_file import read_regular
from mrftool.quantities import Flag

PARAMETERS = ("t1", "t2")
_MOST_BYTES = 1 << 20  # of a file of reference values
_UNUSED = int(Flag.MASKED | Flag.NON_FINITE | Flag.OUT_OF_RANGE)


@dataclass(frozen=True)
class RegionScore:
    """One parameter in one region.

    Parameters
    ----------
    region
        Label of the region, a whole number above 0.
    parameter
        "t1" or "t2".
    n_voxels
        Voxels that count: unmasked, finite and within the range of the model.
    mean, sd
        Of the values over these voxels [s].
    uncertainty
        Standard uncertainty of the mean [s]; NaN where the maps hold no standard deviations.
    reference
        Reference value [s], or NaN.

    """

    region: int
    parameter: str
    n_voxels: int
    mean: float
    sd: float
    uncertainty: float
    reference: float = math.nan

    @property
    def error_percent(self) -> float:
        """Difference of the mean from the reference [%], or NaN."""
        return 100 * (self.mean / self.reference - 1)


def region_scores(
    maps: Mapping[str, Float32Array],
    labels: Array,
    reference: Mapping[int, Mapping[str, float]] | None = None,
) -> list[RegionScore]:
    """Scores of T1 and T2 in every region of a label image.

    Parameters
    ----------
    maps
        Images `(x, y, z)` by the keys of `mrftool.quantities`: t1, t2 [s], and where they are at
        hand sd_t1, sd_t2 (random) and systematic_t1, systematic_t2 [s], flags.
    labels
        Region of each voxel `(x, y, z)`, a whole number; 0 is none.
    reference
        Reference values [s] by region and parameter.

    Raises
    ------
    InputError
        If no voxel has a label.

    """
    usable = _usable(maps)
    regions = np.unique(labels[labels > 0]).astype(int)
    if not regions.size:
        raise InputError("the label image holds no label above 0, expected at least one region")
    known = reference or {}
    return [
        _score(maps, parameter, int(region), (labels == region) & usable, known)
        for region in regions
        for parameter in PARAMETERS
    ]


def read_reference(path: Path) -> dict[int, dict[str, float]]:
    """Reference values from a CSV file with the columns region, t1_ms and t2_ms: [s] by region.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or holds something that is no time.

    """
    try:
        text = read_regular(path, _MOST_BYTES, "a CSV file").decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}), expected a CSV file") from error
    found = {}
    for number, row in enumerate(rows, 2):
        try:
            region = int(row["region"])
            times = {name: _time(row[f"{name}_ms"]) for name in PARAMETERS}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: line {number}: {error!s}, expected the columns region, t1_ms and t2_ms "
                "with one number each"
            ) from error
        found[region] = times
    if not found:
        raise InputError(f"{path}: has no rows, expected one for each region")
    return found


def _time(text: str) -> float:
    """A time [s] of a text in milliseconds; ValueError for what is none."""
    time = float(text or "") / 1e3
    if not 0 < time < math.inf:
        raise ValueError(f"{text} is not a time of more than 0 ms")
    return time


def _usable(maps: Mapping[str, Float32Array]) -> BoolArray:
    """Voxels whose T1 and T2 count."""
    usable = np.isfinite(maps["t1"]) & np.isfinite(maps["t2"]) & (maps["t1"] > 0)
    if "flags" in maps:
        usable &= (maps["flags"].astype(np.int64) & _UNUSED) == 0
    return np.asarray(usable)


def _score(
    maps: Mapping[str, Float32Array],
    parameter: str,
    region: int,
    inside: BoolArray,
    reference: Mapping[int, Mapping[str, float]],
) -> RegionScore:
    values = maps[parameter][inside].astype(np.float64)
    expected = reference.get(region, {}).get(parameter, math.nan)
    if not values.size:
        return RegionScore(region, parameter, 0, math.nan, math.nan, math.nan, expected)
    return RegionScore(
        region,
        parameter,
        values.size,
        float(values.mean()),
        float(values.std()),
        _uncertainty_of_mean(maps, parameter, inside),
        expected,
    )


def _uncertainty_of_mean(
    maps: Mapping[str, Float32Array], parameter: str, inside: BoolArray
) -> float:
    """Random standard deviations join as independent ones, systematic ones as shared ones [s]."""
    random = maps.get(f"sd_{parameter}")
    if random is None:
        return math.nan
    n = int(inside.sum())
    independent = float(np.sqrt(np.sum(_finite(random[inside]) ** 2)) / n)
    systematic = maps.get(f"systematic_{parameter}")
    if systematic is None:
        return independent
    return math.hypot(independent, float(_finite(systematic[inside]).mean()))


def _finite(values: Float32Array) -> FloatArray:
    return np.nan_to_num(values.astype(np.float64), posinf=0.0)
