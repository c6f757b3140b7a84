"""What the graph says of each voxel: maps, standard deviations and flags."""

from collections.abc import Mapping
from dataclasses import dataclass

from mrftool.arrays import Range
from mrftool.exporting.graph.ops import FLOAT, INT32, Value, concat, exp, row_sum, sqrt, where
from mrftool.exporting.graph.reading import Reading
from mrftool.exporting.thresholds import UNDETERMINED
from mrftool.manifold.parameters import Parameter
from mrftool.manifold.table import SignalTable
from mrftool.quantities import Flag

_NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """What was found in each voxel.

    place: in the table's grid, and spread: its standard deviation there `(voxel, fitted)`. m0:
    relative to the signal's norm `(voxel, 2)`, or `(voxel, 1)` for magnitudes. residual: relative
    norm of what is not explained `(voxel, 1)`.
    misfit_found: more residual than noise explains `(voxel, 1)` bool.
    """

    place: Value
    spread: Value
    m0: Value
    residual: Value
    misfit_found: Value


def write_outputs(
    table: SignalTable, reading: Reading, found: Estimate, ranges: Mapping[str, Range]
) -> None:
    """The outputs, on the tape; NaN where the voxel is empty or not finite. ranges: of each fitted
    parameter, by name [unit].
    """
    tape = found.place.tape
    no_answer = reading.empty | reading.bad
    steps = tape.constant([[axis.step for axis in table.fitted_axes]])
    starts = tape.constant([[axis.start for axis in table.fitted_axes]])
    places, spreads = found.place * steps + starts, found.spread * steps
    fitted = table.parameters[: table.n_fitted]
    limits = [[float(x) for x in p.to_axis(ranges[p.name])] for p in fitted]
    marks = {
        Flag.OUT_OF_RANGE: _outside(reading, places, limits),
        Flag.MISFIT: found.misfit_found,
    }
    each = zip(
        fitted, places.split(1, [1] * len(fitted)), spreads.split(1, [1] * len(fitted)), strict=True
    )
    for parameter, place, spread in each:
        value, sd, relative = _value(parameter, place, spread)
        _write_column(where(no_answer, _NAN, value), parameter.name)
        _write_column(where(no_answer, _NAN, sd), f"sd_{parameter.name}")
        flag = Flag.__members__.get(f"{parameter.label}_UNDETERMINED")
        if flag is not None:
            marks[flag] = relative > UNDETERMINED
    _write_column(where(no_answer, _NAN, found.residual), "residual")
    m0 = where(no_answer, _NAN, found.m0 * sqrt(reading.energy))
    if table.form == "complex":
        tape.op("Identity", m0, output="m0")
    else:
        _write_column(m0, "m0")
    _write_flags(reading, marks, no_answer)


def _value(parameter: Parameter, place: Value, spread: Value) -> tuple[Value, Value, Value]:
    """Value and standard deviation [unit], and their ratio, of a place on the axis."""
    if parameter.transform == "log":
        value = exp(place)
        return value, value * spread, spread
    return place, spread, spread / place


def _write_column(value: Value, name: str) -> None:
    value.tape.op("Squeeze", value, value.tape.indices(1), output=name)


def _write_flags(reading: Reading, marks: dict[Flag, Value], no_answer: Value) -> None:
    tape = no_answer.tape
    raised = concat([mark.to(FLOAT) for mark in marks.values()], 1)
    bits = tape.constant([[float(flag)] for flag in marks])
    total = where(no_answer, 0.0, raised @ bits)
    total = (
        total
        + reading.empty.to(FLOAT) * float(Flag.MASKED)
        + reading.bad.to(FLOAT) * float(Flag.NON_FINITE)
    )
    tape.op("Squeeze", total.to(INT32), tape.indices(1), output="flags")


def _outside(reading: Reading, places: Value, limits: list[list[float]]) -> Value:
    """Estimate outside the ranges, or a given parameter outside the table."""
    low, high = (places.tape.constant([ends]) for ends in zip(*limits, strict=True))
    beyond = (places < low) | (places > high)
    outside = row_sum(beyond.to(FLOAT)) > 0.5
    if reading.outside is None:
        return outside
    return outside | reading.outside
