"""Grids of tissue for dictionaries."""

import re

import numpy as np

from mrftool.arrays import Array, FloatArray, Range
from mrftool.errors import ArgumentError
from mrftool.tissue import Tissue

_MAX_VALUES, _MAX_TISSUES = 100_000, 50_000_000


def paper_tissue(t1_range: Range = (0.0, np.inf), t2_range: Range = (0.0, np.inf)) -> Tissue:
    """The paper's training grid: 160,200 pairs with T2 <= T1, or those of them in these ranges [s].

    T1 = 1, 11, .. 4991 ms and T2 = 1, 11, .. 1991 ms, and the same again from 5 ms.
    """
    halves = [
        grid_tissue(np.arange(first, 5000, 10) / 1e3, np.arange(first, 2000, 10) / 1e3)
        for first in (1, 5)
    ]
    t1, t2 = (np.concatenate([getattr(half, key) for half in halves]) for key in ("t1", "t2"))
    inside = (t1_range[0] <= t1) & (t1 <= t1_range[1]) & (t2_range[0] <= t2) & (t2 <= t2_range[1])
    return Tissue(t1[inside], t2[inside])


def grid_tissue(
    t1: FloatArray,
    t2: FloatArray,
    b1: FloatArray | None = None,
    *,
    adc: float = 0.0,
) -> Tissue:
    """All combinations of t1, t2 [s] and b1 [1] with T2 <= T1, T1 slowest, B1 fastest. adc: of all
    [m2/s].

    Raises ArgumentError if there is none, or more than fit into memory.
    """
    count = len(t1) * len(t2) * (1 if b1 is None else len(b1))
    if count > _MAX_TISSUES:
        raise ArgumentError(f"a grid of {count} combinations, expected at most {_MAX_TISSUES}")
    mesh = np.meshgrid(t1, t2, [1.0] if b1 is None else b1, indexing="ij")
    columns = [axis.ravel() for axis in mesh]
    possible = columns[1] <= columns[0]
    if not possible.any():
        raise ArgumentError("no pair of the grid has T2 <= T1, expected at least one")
    return Tissue(columns[0][possible], columns[1][possible], b1=columns[2][possible], adc=adc)


def parse_values(text: str) -> FloatArray:
    """Numbers from "start:step:stop" (stop included if met), "low:high:log100" (100 of them), or
    "a,b,c".

    Raises ArgumentError if the text is none of these, gives nothing above 0, or too much.
    """
    try:
        values = _values_of(text)
    except ArgumentError:
        raise
    except (ValueError, ZeroDivisionError, OverflowError):
        values = np.array([])
    if not values.size or not (np.isfinite(values) & (values > 0)).all():
        raise ArgumentError(
            f"{text!r}, expected start:step:stop, low:high:logN or a,b,c with numbers above 0"
        )
    return np.asarray(values, np.float64)


def _values_of(text: str) -> Array:
    """The numbers in a text, whatever they are."""
    number = r"[0-9.]+(?:[eE][-+]?[0-9]+)?"
    if match := re.fullmatch(rf"({number}):({number}):log([0-9]+)", text):
        return np.geomspace(float(match[1]), float(match[2]), _counted(int(match[3]), text))
    if match := re.fullmatch(rf"({number}):({number}):({number})", text):
        start, step, stop = (float(part) for part in match.groups())
        return start + step * np.arange(_counted((stop - start) / step + 1e-9 + 1, text))
    return np.array([float(part) for part in text.split(",")])


def _counted(count: float, text: str) -> int:
    if count > _MAX_VALUES:
        raise ArgumentError(f"{text!r} gives {count:.3g} values, expected at most {_MAX_VALUES}")
    return int(count)
