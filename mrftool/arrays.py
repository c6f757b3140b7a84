"""Types of arrays and of other arguments that every room uses. Shapes stand in docstrings."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
ComplexArray = NDArray[np.complex64]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.int64]

Range = tuple[float, float]  # lowest and highest value
Progress = Callable[[int], None]  # takes the work done since the last call
