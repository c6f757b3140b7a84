"""One self-contained ONNX graph of standard operators: signals in, T1, T2, m0, error bars and flags out.

compression -> coarse search or encoder -> Gauss-Newton on the table -> maps, standard deviations, flags.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto, checker, helper

from mrftool.inference import flags
from mrftool.inference.encoder import attach_encoder, prepared_encoder
from mrftool.inference.ops import FLOAT, INT32, Tape, Value, clip, concat, exp, maximum, sqrt, where
from mrftool.inference.polish import Manifold, Normal, data_rows, hold_inside, normal_equations, polish
from mrftool.inference.search import coarse_search
from mrftool.maps import Flag
from mrftool.physics.table import SignalTable

Range = tuple[float, float]

OPSET = 20
IR_VERSION = 10
N_PROBES = 12
_LEAST_ENERGY = 1e-7  # relative energies below this are rounding
_N_FITTED = 4  # T1, T2 and the two parts of m0


@dataclass(frozen=True)
class Reading:
    """What one pass over the signals gives, per voxel; coefficients are relative to the signal's norm.

    energy: |signal|^2 `(voxel, 1)`, 1 where the voxel is empty or not finite. coefficients: `(voxel, 2 * rank)`, real
    parts then imaginary parts. probed: energy share in the probe vectors. empty, bad: `(voxel, 1)` bool.
    """

    energy: Value
    coefficients: Value
    probed: Value
    empty: Value
    bad: Value


def assemble(
    table: SignalTable, *, t1_range: Range, t2_range: Range, encoder: ModelProto | None = None, polish_steps: int = 2
) -> ModelProto:
    """The model of `table`, `encoder` (None: a coarse search in the table) and `polish_steps` Gauss-Newton steps.

    Inputs: signal `(voxel, time, 2)` float32; b1 `(voxel,)` [1] where the table takes it; noise_sd `(1,)`, of the real
    and of the imaginary channel, 0 to estimate it from the residual.
    Outputs `(voxel,)`: t1, t2 [s], m0 `(voxel, 2)`, residual [1], sd_t1, sd_t2 [s], flags int32.
    t1_range, t2_range [s]: estimates outside are flagged.
    """
    tape = Tape()
    signal = tape.input("signal")
    b1 = tape.input("b1").reshape(0, 1) if table.takes_b1 else None
    reading = _read(tape, table, signal, b1)
    held_b1 = None if b1 is None else _held_b1(tape, table, b1)
    if encoder is None:
        start = coarse_search(tape, table, data_rows(reading.coefficients, table.rank, table.basis.is_real), held_b1)
    else:
        encoder = prepared_encoder(encoder, table, OPSET)
        start = attach_encoder(tape, table, encoder, signal=signal, coefficients=reading.coefficients, b1=held_b1)
    start = hold_inside(table, where(tape.op("IsNaN", start), 0.0, start))
    _estimate(
        tape,
        table,
        reading,
        start=start,
        b1=held_b1,
        polish_steps=polish_steps,
        outside=_outside_b1(table, b1),
        ranges=(t1_range, t2_range),
    )
    return _model(tape, table)


def _read(tape: Tape, table: SignalTable, signal: Value, b1: Value | None) -> Reading:
    n_time, rank = table.basis.vectors.shape
    flat = signal.reshape(0, 2 * n_time)
    vectors = np.concatenate([table.basis.vectors, probe_vectors(table)], axis=1)
    both = flat @ tape.constant(_real_matrix(vectors[:, :rank], vectors[:, rank:]), name="basis")
    energy = flat.sum_square(1)
    bad = tape.op("IsNaN", energy) | tape.op("IsInf", energy)
    if b1 is not None:
        bad = bad | tape.op("IsNaN", b1) | tape.op("IsInf", b1)
    empty = ~(energy > 0.0) & ~bad
    usable = ~(bad | empty)
    energy = where(usable, energy, 1.0)
    both = where(usable, both / sqrt(energy), 0.0)
    n_probes = 2 * (vectors.shape[1] - rank)
    coefficients, probes = both.cut(1, 0, 2 * rank), both.cut(1, 2 * rank, 2 * rank + n_probes)
    return Reading(energy, coefficients, probes.sum_square(1), empty, bad)


def probe_vectors(table: SignalTable) -> NDArray[np.float64]:
    """Slow changes over time, orthonormal to the basis `(time, probe)`: where wrong physics shows first."""
    n_time = len(table.basis.vectors)
    count = max(min(N_PROBES, n_time - table.rank - 1), 0)
    slow = np.cos(np.pi * np.outer(np.arange(n_time) + 0.5, np.arange(count)) / n_time) * np.conj(table.basis.turn)
    for _ in range(2):
        slow = slow - table.basis.vectors @ (table.basis.vectors.conj().T @ slow)
    return np.asarray(np.linalg.qr(slow)[0])


def _real_matrix(*parts: NDArray[np.complex128]) -> NDArray[np.float64]:
    """`(2 * time, columns)`: interleaved signals to real parts, then imaginary parts, of each part's products."""
    columns = []
    for vectors in parts:
        interleaved = np.empty((2 * len(vectors), 2 * vectors.shape[1]))
        interleaved[0::2] = np.concatenate([vectors.real, -vectors.imag], axis=1)
        interleaved[1::2] = np.concatenate([vectors.imag, vectors.real], axis=1)
        columns.append(interleaved)
    return np.concatenate(columns, axis=1)


def _held_b1(tape: Tape, table: SignalTable, b1: Value) -> Value:
    axis = table.axes[2]
    return clip(where(tape.op("IsNaN", b1), 1.0, b1), axis.start, axis.stop)


def _outside_b1(table: SignalTable, b1: Value | None) -> Value | None:
    return None if b1 is None else (b1 < table.axes[2].start) | (b1 > table.axes[2].stop)


def _estimate(
    tape: Tape,
    table: SignalTable,
    reading: Reading,
    *,
    start: Value,
    b1: Value | None,
    polish_steps: int,
    outside: Value | None,
    ranges: tuple[Range, Range],
) -> None:
    """Polish, and write the outputs."""
    n_values, is_real = 2 * len(table.basis.vectors), table.basis.is_real
    data = data_rows(reading.coefficients, table.rank, is_real)
    place, products = polish(Manifold.on(tape, table), start, data, b1, polish_steps)
    normal, explained = normal_equations(products, is_real), products.explained
    inside = maximum(reading.coefficients.sum_square(1) - explained, 0.0) + reading.probed
    total = maximum(1.0 - explained, _LEAST_ENERGY)
    noise = tape.input("noise_sd").reshape(1, 1)
    given = noise * noise / reading.energy
    known = noise > 0.0
    variance = where(known, given, total / float(n_values - _N_FITTED))
    times = exp(place)
    relative = [sqrt(x / normal.determinant * variance) for x in (normal.yy, normal.xx)]
    wrong = _bad_fit(_limits(table), inside=inside, total=total, explained=explained, variance=variance, known=known)
    marks = [_outside(place, ranges) if outside is None else _outside(place, ranges) | outside, wrong]
    marks += [x > flags.UNDETERMINED for x in relative]
    _write(tape, reading, times=times, relative=relative, normal=normal, residual=sqrt(total), marks=marks)


def _limits(table: SignalTable) -> flags.Thresholds:
    n_inside = table.rank + probe_vectors(table).shape[1]
    return flags.thresholds(2 * len(table.basis.vectors), 2 * n_inside, _N_FITTED)


def _outside(place: Value, ranges: tuple[Range, Range]) -> Value:
    low, high = np.log(np.array(ranges)).T[:, None]
    constant = place.tape.constant
    wrong = (place < constant(low)) | (place > constant(high))
    return wrong.to(FLOAT).sum(1) > 0.5


def _bad_fit(
    limits: flags.Thresholds, *, inside: Value, total: Value, explained: Value, variance: Value, known: Value
) -> Value:
    """Misfit where the fingerprints live above what noise leaves there, or nothing but noise; see `flags`."""
    rest = maximum(total - inside, _LEAST_ENERGY)
    estimated = inside / rest > limits.ratio * limits.inside / limits.outside
    given = (inside / variance > limits.inside_known) | (total / variance > limits.total_known)
    misfit = (known & given) | (~known & estimated)
    return (misfit & (inside > flags.LEAST_MISFIT**2)) | (explained / variance < limits.detected)


def _write(
    tape: Tape,
    reading: Reading,
    *,
    times: Value,
    relative: list[Value],
    normal: Normal,
    residual: Value,
    marks: list[Value],
) -> None:
    """The outputs; NaN where the voxel is empty or not finite."""
    no_answer = reading.empty | reading.bad
    bits = (Flag.OUT_OF_RANGE, Flag.MISFIT, Flag.T1_UNDETERMINED, Flag.T2_UNDETERMINED)
    total = tape.constant(np.zeros((1, 1)))
    for bit, mark in zip(bits, marks, strict=True):
        total = total + (mark & ~no_answer).to(FLOAT) * float(bit)
    total = total + reading.empty.to(FLOAT) * float(Flag.MASKED) + reading.bad.to(FLOAT) * float(Flag.NON_FINITE)
    scale = sqrt(reading.energy)
    nan = float("nan")
    columns = {"t1": times.cut(1, 0, 1), "t2": times.cut(1, 1, 2), "residual": residual}
    columns |= {"sd_t1": columns["t1"] * relative[0], "sd_t2": columns["t2"] * relative[1]}
    for name, value in columns.items():
        tape.op("Squeeze", where(no_answer, nan, value), tape.indices(1), output=name)
    tape.op("Where", no_answer, nan, concat([x * scale for x in normal.m0], 1), output="m0")
    tape.op("Squeeze", total.to(INT32), tape.indices(1), output="flags")


def _model(tape: Tape, table: SignalTable) -> ModelProto:
    inputs = [_tensor("signal", "voxel", len(table.basis.vectors), 2)]
    inputs += [_tensor("b1", "voxel")] if table.takes_b1 else []
    inputs += [_tensor("noise_sd", 1)]
    outputs = [_tensor(name, "voxel") for name in ("t1", "t2")] + [_tensor("m0", "voxel", 2)]
    outputs += [_tensor(name, "voxel") for name in ("residual", "sd_t1", "sd_t2")]
    outputs += [_tensor("flags", "voxel", dtype=INT32)]
    graph = helper.make_graph(tape.nodes, "mrftool", inputs, outputs, list(tape.constants.values()))
    imports = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="mrftool")
    checker.check_model(model, full_check=True)
    return model


def _tensor(name: str, *shape: int | str, dtype: int = FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)
