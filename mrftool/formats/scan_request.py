"""What a caller says of a scan beside its path; readers take it as it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mrftool.arrays import Progress

ShowProgress = Callable[[str, int], AbstractContextManager[Progress]]  # as Reporter.progress


@dataclass(frozen=True)
class ScanRequest:
    """Parts of a signal that lie in other files, and what to take of it.

    Parameters
    ----------
    imag, phase : Path, optional
        The second part of a complex signal, where the first is its real part or its magnitude.
    form : {"magnitude", "real"}, optional
        "magnitude" takes the modulus of a complex scan; "real" takes real numbers as complex ones
        without an imaginary part.
    series : str, optional
        One series of many: its UID, number or description.
    axes : str, optional
        A letter for each axis of an array file: x, y, z, t, i (real and imaginary part), 1.
    like : Path, optional
        A NIfTI image whose voxels are those of an array file.
    variable : str, optional
        Which array of a .mat or .npz file.

    """

    imag: Path | None = None
    phase: Path | None = None
    form: Literal["magnitude", "real"] | None = None
    series: str | None = None
    axes: str | None = None
    like: Path | None = None
    variable: str | None = None

    @property
    def describes_array(self) -> bool:
        """Whether it says what only array files leave open."""
        return not (self.axes is None and self.like is None and self.variable is None)
