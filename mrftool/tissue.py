"""Tissue: what the voxels are made of, one column per property."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.errors import InputError
from mrftool.plausibility import MOST, excess

_SHOWN = {  # unit of each column, and the value that goes without saying
    "t1": (" s", None),
    "t2": (" s", None),
    "b1": ("", 1.0),
    "m0": ("", 1.0),
    "adc": (" m2/s", 0.0),
    "off_resonance": (" Hz", 0.0),
    "r2_prime": (" 1/s", 0.0),
}


@dataclass(frozen=True)
class Tissue:
    """Properties of each voxel, `(voxel,)` columns; a single number stands for all voxels. Valid
    once built.

    t1, t2: relaxation times [s], more than 0. b1: actual / nominal flip angle [1].
    m0: equilibrium magnetisation, may be complex [1]. adc: diffusion coefficient [m2/s].
    off_resonance: precession frequency in the rotating frame [Hz].
    r2_prime: R2' = R2* - R2, of a Lorentzian spread of off-resonances in the voxel [1/s].

    Raises InputError if a column has another length, or a value that no tissue has: 800 s.
    """

    t1: FloatArray
    t2: FloatArray
    b1: FloatArray = 1.0  # type: ignore[assignment]
    m0: NDArray[np.complex128] = 1.0  # type: ignore[assignment]
    adc: FloatArray = 0.0  # type: ignore[assignment]
    off_resonance: FloatArray = 0.0  # type: ignore[assignment]
    r2_prime: FloatArray = 0.0  # type: ignore[assignment]

    if TYPE_CHECKING:  # what may be given is more than what is kept

        def __init__(
            self,
            t1: ArrayLike,
            t2: ArrayLike,
            b1: ArrayLike = 1.0,
            m0: ArrayLike = 1.0,
            adc: ArrayLike = 0.0,
            off_resonance: ArrayLike = 0.0,
            r2_prime: ArrayLike = 0.0,
        ) -> None: ...

    def __post_init__(self) -> None:
        self._check()
        for key in MOST:
            _require_no_excess(key, getattr(self, key))

    @classmethod
    def of_estimates(cls, **columns: ArrayLike) -> "Tissue":
        """Tissue of values that a fit or a network gave, which may lie where no tissue has any.

        Parameters
        ----------
        columns : array_like
            As those of the class, by name: t1, t2 [s], b1 [1] and so on.

        """
        made = object.__new__(cls)
        for each in fields(cls):
            object.__setattr__(made, each.name, columns.get(each.name, each.default))
        made._check()
        return made

    def _check(self) -> None:
        """Make columns of one length, and refuse what no signal can be computed of."""
        columns = [np.shape(getattr(self, key)) for key in self.columns()]
        n = next((shape[0] for shape in columns if shape), 1)
        for key in self.columns():
            dtype = np.complex128 if key == "m0" else np.float64
            object.__setattr__(self, key, _column(key, getattr(self, key), n, dtype))
        _require("t1", self.t1, self.t1 > 0, "a time of more than 0 s")
        _require("t2", self.t2, self.t2 > 0, "a time of more than 0 s")
        _require("b1", self.b1, self.b1 >= 0, "a fraction of 0 or more")
        _require("m0", self.m0, np.isfinite(self.m0), "a finite number")
        _require("adc", self.adc, self.adc >= 0, "0 m2/s or more")
        _require(
            "off_resonance",
            self.off_resonance,
            np.isfinite(self.off_resonance),
            "a finite number of Hz",
        )
        _require("r2_prime", self.r2_prime, self.r2_prime >= 0, "0 1/s or more")

    def __repr__(self) -> str:
        shown = [f"{len(self)} voxels"]
        if len(self) == 1:
            shown = ["1 voxel"]
        for key, (unit, usual) in _SHOWN.items():
            column = np.abs(getattr(self, key))
            if (column != usual).any():
                shown.append(f"{key} {_span(column)}{unit}")
        return f"Tissue({', '.join(shown)})"

    @staticmethod
    def columns() -> tuple[str, ...]:
        """Names of all properties, in order."""
        return tuple(f.name for f in fields(Tissue))

    def __len__(self) -> int:
        return len(self.t1)

    def __getitem__(self, index: slice | NDArray[np.integer] | BoolArray) -> "Tissue":
        return Tissue.of_estimates(**{key: getattr(self, key)[index] for key in self.columns()})

    def chunks(self, size: int) -> Iterator["Tissue"]:
        """The tissue in pieces of at most `size` voxels, in order."""
        return (self[start : start + size] for start in range(0, len(self), size))


def _span(column: FloatArray) -> str:
    if not column.size:
        return "of none"
    low, high = float(column.min()), float(column.max())
    if low == high:
        return f"{low:.4g}"
    return f"{low:.4g} to {high:.4g}"


def _require_no_excess(key: str, column: FloatArray) -> None:
    """Raise InputError for the largest value, if no tissue has as much, and not it alone has.

    A mistaken unit shows in most of a column; a few values beyond all others are those of a fit.
    """
    if not column.size:
        return
    place = int(np.argmax(column))
    expected = excess(key, float(column[place]))
    if expected and excess(key, float(np.median(column))):
        unit = _SHOWN[key][0]
        raise InputError(
            f"tissue {key} is {column[place]:g}{unit} at voxel {place}, expected {expected}"
        )


def _column(key: str, values: ArrayLike, n: int, dtype: type) -> NDArray[np.generic]:
    array: NDArray[np.generic] = np.array(values, dtype)
    if array.ndim == 0:
        array = np.full(n, array)
    if array.shape != (n,):
        raise InputError(f"tissue {key} has shape {array.shape}, expected ({n},)")
    array.setflags(write=False)
    return array


def _require(key: str, column: Array, good: BoolArray, expected: str) -> None:
    bad = np.flatnonzero(~(good & np.isfinite(column)))
    if bad.size:
        more = f" and {bad.size - 1} more" if bad.size > 1 else ""
        raise InputError(
            f"tissue {key} is {column[bad[0]]:g} at voxel {bad[0]}{more}, expected {expected}"
        )
