"""The parameters of a voxel: which there are, which are fitted, and how a table counts them.

To add one that is given with the scan (a map of off-resonance, say), add an entry here and its
derivative in the engine. Tables, models, training and the Cramer-Rao bound follow this list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import Array, FloatArray, Range
from mrftool.errors import ArgumentError
from mrftool.tissue import Tissue


@dataclass(frozen=True)
class Parameter:
    """One column of `Tissue` that fingerprints depend on.

    name: of the column in `Tissue`, and of a model's input where it is given. label: in messages.
    unit: of its values. transform: what a table's axis counts, the logarithm or the value.
    fitted: estimated in each voxel; else it is given with the scan, or has its default value.
    default: where it is no axis of a table. margin: factor by which a table reaches beyond the
    range that a model promises. largest_step: along the axis, of one Gauss-Newton step.
    map_accuracy: smallest standard uncertainty of a measured map
    [unit]. layer_spacing: distance that the derivative bridges in a coarse search [unit].
    """

    name: str
    label: str
    unit: str
    transform: Literal["log", "linear"]
    fitted: bool
    default: float = float("nan")
    margin: float = 1.0
    largest_step: float = 0.5
    map_accuracy: float = 0.0
    layer_spacing: float = float("inf")

    def to_axis(self, values: ArrayLike) -> FloatArray:
        """Values [unit] as a table's axis counts them."""
        values = np.asarray(values, np.float64)
        return np.log(values) if self.transform == "log" else values

    def from_axis(self, places: ArrayLike) -> FloatArray:
        """The reverse of `to_axis`."""
        places = np.asarray(places, np.float64)
        return np.exp(places) if self.transform == "log" else places

    def check_range(self, limits: Range) -> None:
        """Raises ArgumentError unless `limits` ascend, and are positive on a logarithmic axis."""
        low, high = limits
        floor = 0.0 if self.transform == "log" or self.unit == "1" else -np.inf
        if not floor < low < high < np.inf:
            expected = "an ascending range of positive numbers"
            if floor < 0:
                expected = "an ascending range"
            raise ArgumentError(f"{self.label} from {low:g} to {high:g}, expected {expected}")


T1 = Parameter("t1", "T1", "s", "log", fitted=True, margin=1.35)
T2 = Parameter("t2", "T2", "s", "log", fitted=True, margin=1.6)
B1 = Parameter(
    "b1", "B1", "1", "linear", fitted=False, default=1.0, map_accuracy=1e-3, layer_spacing=0.07
)

PARAMETERS = (T1, T2, B1)
FITTED = tuple(parameter for parameter in PARAMETERS if parameter.fitted)
GIVEN = tuple(parameter for parameter in PARAMETERS if not parameter.fitted)

_SUFFIX = "_range"


def parameter_named(name: str) -> Parameter:
    """The parameter of this name. Raises ArgumentError for an unknown one."""
    for parameter in PARAMETERS:
        if parameter.name == name:
            return parameter
    known = ", ".join(parameter.name for parameter in PARAMETERS)
    raise ArgumentError(f"no parameter {name!r}, expected one of: {known}")


def range_key(parameter: Parameter) -> str:
    """What functions and settings call the range of a parameter: "t1_range" and so on."""
    return parameter.name + _SUFFIX


def ranges_from_keywords(keywords: Mapping[str, Range | None]) -> dict[str, Range]:
    """Ranges by parameter name from arguments such as t1_range=..., in the order of the list.

    Given parameters may be left out, or None. Raises ArgumentError for an unknown argument, a
    missing range of a fitted parameter, or a range that does not ascend.
    """
    unknown = set(keywords) - {range_key(parameter) for parameter in PARAMETERS}
    if unknown:
        raise ArgumentError(f"unexpected argument {min(unknown)!r}")
    ranges = {}
    for parameter in PARAMETERS:
        limits = keywords.get(range_key(parameter))
        if limits is not None:
            parameter.check_range(limits)
            ranges[parameter.name] = (float(limits[0]), float(limits[1]))
        elif parameter.fitted:
            raise ArgumentError(f"no range of {parameter.label}, expected one")
    return ranges


def parameters_of(names: Iterable[str]) -> tuple[Parameter, ...]:
    """The parameters of these names."""
    return tuple(parameter_named(name) for name in names)


def tissue_at(parameters: tuple[Parameter, ...], points: Array, adc: float) -> Tissue:
    """Tissue of m0 = 1 at `points` `(voxel, parameter)` on a table's axes; adc [m2/s]."""
    columns: dict[str, Any] = {}
    for k, parameter in enumerate(parameters):
        columns[parameter.name] = parameter.from_axis(points[:, k])
    return Tissue(**columns, adc=np.full(len(points), adc))


def points_of(parameters: tuple[Parameter, ...], columns: Mapping[str, ArrayLike]) -> FloatArray:
    """Points `(voxel, parameter)` on a table's axes, from values by name [unit].

    Raises ArgumentError unless there is a value for each parameter, and no other.
    """
    names = [parameter.name for parameter in parameters]
    if set(names) != set(columns):
        raise ArgumentError(f"values of {', '.join(columns)}, expected {', '.join(names)}")
    axes = [parameter.to_axis(columns[parameter.name]) for parameter in parameters]
    return np.stack(axes, axis=1)


def is_tissue(points: Array) -> Array:
    """Whether T2 <= T1 at `points` `(voxel, parameter)`, up to rounding."""
    t1, t2 = PARAMETERS.index(T1), PARAMETERS.index(T2)
    return np.asarray(points[:, t2] <= points[:, t1] + 1e-9)


def draw_points(limits: list[Range], count: int, random: np.random.Generator) -> FloatArray:
    """`count` points with T2 <= T1, uniform on axes with these limits `(voxel, axis)`."""
    low, high = np.array(limits).T
    points = random.uniform(low, high, (40 * count, len(limits)))
    return np.asarray(points[is_tissue(points)][:count], np.float64)
