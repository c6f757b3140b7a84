"""What the graph says of each voxel: maps, standard deviations and flags."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Range
from mrftool.export.graph.ops import FLOAT, INT32, Value, concat, exp, row_sum, sqrt, where
from mrftool.export.graph.reading import Reading
from mrftool.export.thresholds import UNDETERMINED
from mrftool.manifold.table import SignalTable
from mrftool.maps import Flag


@dataclass(frozen=True)
class Estimate:
    """What was found in each voxel.

    place: in the table's grid, and spread: its standard deviation there `(voxel, 2)`. m0: relative
    to the signal's norm `(voxel, 2)`, or `(voxel, 1)` for magnitudes. residual: relative norm of
    what is not explained `(voxel, 1)`.
    bad_fit: `(voxel, 1)` bool.
    """

    place: Value
    spread: Value
    m0: Value
    residual: Value
    bad_fit: Value


def write_outputs(
    table: SignalTable, reading: Reading, found: Estimate, ranges: tuple[Range, Range]
) -> None:
    """The outputs, on the tape; NaN where the voxel is empty or not finite. ranges: of T1 and T2
    [s].
    """
    tape = found.place.tape
    starts, steps = np.array([[(axis.start, axis.step) for axis in table.axes[:2]]]).transpose(
        2, 0, 1
    )
    logs, relative = (
        found.place * tape.constant(steps) + tape.constant(starts),
        found.spread * tape.constant(steps),
    )
    times, nan = exp(logs), float("nan")
    no_answer = reading.empty | reading.bad
    for name, both in {"t": times, "sd_t": times * relative}.items():
        for k, value in enumerate(where(no_answer, nan, both).split(1, [1, 1])):
            tape.op("Squeeze", value, tape.indices(1), output=f"{name}{k + 1}")
    tape.op("Squeeze", where(no_answer, nan, found.residual), tape.indices(1), output="residual")
    m0 = where(no_answer, nan, found.m0 * sqrt(reading.energy))
    if table.form == "complex":
        tape.op("Identity", m0, output="m0")
    else:
        tape.op("Squeeze", m0, tape.indices(1), output="m0")
    marks = {Flag.OUT_OF_RANGE: _outside(reading, logs, ranges), Flag.MISFIT: found.bad_fit}
    wide = (relative > UNDETERMINED).to(FLOAT).split(1, [1, 1])
    marks |= {
        flag: x > 0.5
        for flag, x in zip((Flag.T1_UNDETERMINED, Flag.T2_UNDETERMINED), wide, strict=True)
    }
    _write_flags(reading, marks, no_answer)


def _write_flags(reading: Reading, marks: dict[Flag, Value], no_answer: Value) -> None:
    tape = no_answer.tape
    judged = concat([mark.to(FLOAT) for mark in marks.values()], 1)
    bits = tape.constant([[float(flag)] for flag in marks])
    total = where(no_answer, 0.0, judged @ bits)
    total = (
        total
        + reading.empty.to(FLOAT) * float(Flag.MASKED)
        + reading.bad.to(FLOAT) * float(Flag.NON_FINITE)
    )
    tape.op("Squeeze", total.to(INT32), tape.indices(1), output="flags")


def _outside(reading: Reading, logs: Value, ranges: tuple[Range, Range]) -> Value:
    """Estimate outside the ranges, or B1 outside the table."""
    low, high = np.log(np.array(ranges)).T[:, None]
    wrong = (logs < logs.tape.constant(low)) | (logs > logs.tape.constant(high))
    outside = row_sum(wrong.to(FLOAT)) > 0.5
    return outside if reading.outside is None else outside | reading.outside
