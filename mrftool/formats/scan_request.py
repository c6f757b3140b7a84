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

    """

    imag: Path | None = None
    phase: Path | None = None
    form: Literal["magnitude", "real"] | None = None
    series: str | None = None
