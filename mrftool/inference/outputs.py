"""What the graph says of each voxel: maps, standard deviations and flags."""

from dataclasses import dataclass

import numpy as np

from mrftool.inference.flags import UNDETERMINED, Thresholds, thresholds
from mrftool.inference.ops import FLOAT, INT32, Value, concat, exp, maximum, minimum, sqrt, where
from mrftool.inference.polish import ROUNDING, TINY, Fit, safe_determinant
from mrftool.inference.reading import Reading, probe_vectors
from mrftool.maps import Flag
from mrftool.physics.table import SignalTable

Range = tuple[float, float]

_N_FITTED = 4  # T1, T2 and the two parts of m0
_LEAST_ENERGY = 1e-7  # relative energies below this are rounding


@dataclass(frozen=True)
class Estimate:
    """Where the polish ended: `place` `(voxel, 2)` in the table's grid, and the fit there."""

    place: Value
    fit: Fit


def write_outputs(
    table: SignalTable, reading: Reading, estimate: Estimate, *, noise_sd: Value, ranges: tuple[Range, Range]
) -> None:
    """The outputs, on the tape; NaN where the voxel is empty or not finite."""
    tape, found = estimate.place.tape, estimate.fit
    explained = minimum(found.explained, 1.0)
    starts, steps = np.array([[(axis.start, axis.step) for axis in table.axes[:2]]]).transpose(2, 0, 1)
    logs = estimate.place * tape.constant(steps) + tape.constant(starts)
    misfit = maximum(1.0 - explained, _LEAST_ENERGY)
    noise = noise_sd.reshape(1, 1)
    known = noise > 0.0
    n_values = 2 * len(table.basis.vectors)
    given = noise * noise / reading.energy
    variance = where(known, given, misfit / float(n_values - _N_FITTED))
    relative = _relative_sd(found, variance) * tape.constant(steps)
    bad_fit = _bad_fit(table, reading, explained, misfit=misfit, variance=variance, known=known)
    no_answer = reading.empty | reading.bad
    times = exp(logs)
    columns = {"t": times, "sd_t": times * relative}
    nan = float("nan")
    for name, both in columns.items():
        for k, value in enumerate(where(no_answer, nan, both).split(1, [1, 1])):
            tape.op("Squeeze", value, tape.indices(1), output=f"{name}{k + 1}")
    tape.op("Squeeze", where(no_answer, nan, sqrt(misfit)), tape.indices(1), output="residual")
    size = sqrt(reading.energy)
    tape.op("Where", no_answer, nan, concat([part * size for part in found.m0], 1), output="m0")
    marks = {Flag.OUT_OF_RANGE: _outside(reading, logs, ranges), Flag.MISFIT: bad_fit}
    too_wide = (relative > UNDETERMINED).to(FLOAT).split(1, [1, 1])
    marks |= {
        flag: wide > 0.5 for flag, wide in zip((Flag.T1_UNDETERMINED, Flag.T2_UNDETERMINED), too_wide, strict=True)
    }
    _write_flags(reading, marks, no_answer)


def _write_flags(reading: Reading, marks: dict[Flag, Value], no_answer: Value) -> None:
    tape = no_answer.tape
    judged = concat([mark.to(FLOAT) for mark in marks.values()], 1)
    bits = tape.constant([[float(flag)] for flag in marks])
    total = where(no_answer, 0.0, judged @ bits)
    total = total + reading.empty.to(FLOAT) * float(Flag.MASKED) + reading.bad.to(FLOAT) * float(Flag.NON_FINITE)
    tape.op("Squeeze", total.to(INT32), tape.indices(1), output="flags")


def _outside(reading: Reading, logs: Value, ranges: tuple[Range, Range]) -> Value:
    """Estimate outside the ranges, or B1 outside the table."""
    low, high = np.log(np.array(ranges)).T[:, None]
    wrong = (logs < logs.tape.constant(low)) | (logs > logs.tape.constant(high))
    outside = wrong.to(FLOAT).sum(1) > 0.5
    return outside if reading.outside is None else outside | reading.outside


def _bad_fit(
    table: SignalTable, reading: Reading, explained: Value, *, misfit: Value, variance: Value, known: Value
) -> Value:
    """More misfit where fingerprints live than noise leaves there, or nothing but noise; see `flags`."""
    limits = limits_of(table)
    compressed = (reading.coefficients * reading.coefficients).sum(1)
    left_out = table.basis.truncation**2  # what the basis leaves out of a good fingerprint, at most
    inside = compressed - explained + reading.probed - left_out
    rest = maximum(1.0 - compressed - reading.probed, _LEAST_ENERGY)
    estimated = inside > rest * (limits.ratio * limits.inside / limits.outside)
    given = (inside > variance * limits.inside_known) | (misfit - left_out > variance * limits.total_known)
    too_large = (known & given) | (~known & estimated)
    return too_large | (explained < variance * limits.detected)


def _relative_sd(found: Fit, variance: Value) -> Value:
    """Standard deviations of (x, y) `(voxel, 2)`: the inverse of the information, never below what rounding allows."""
    xx, xy, yy = found.information()
    floor = safe_determinant(found, xx, xy, yy)
    re, im = found.m0
    least = [raw * ROUNDING for raw in (found.raw[2], found.raw[0])]
    spread = concat([maximum(yy, least[0]), maximum(xx, least[1])], 1)
    return sqrt(spread * (variance / maximum(re * re + im * im, TINY) / floor))


def limits_of(table: SignalTable) -> Thresholds:
    """Thresholds of the tests for a bad fit."""
    n_inside = table.rank + probe_vectors(table).shape[1]
    return thresholds(2 * len(table.basis.vectors), 2 * n_inside, _N_FITTED)
