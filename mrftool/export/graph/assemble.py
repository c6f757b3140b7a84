"""One self-contained ONNX graph of standard operators: signals in, T1, T2, m0, error bars and flags
out.

compression -> coarse search or encoder -> Gauss-Newton on the table -> maps, standard deviations,
flags.
"""

import numpy as np
from onnx import ModelProto, ValueInfoProto, checker, helper

from mrftool.arrays import Array, Range
from mrftool.export.atoms import choose_atoms
from mrftool.export.graph.encoder import attach_encoder, prepared_encoder
from mrftool.export.graph.goodness import judge
from mrftool.export.graph.magnitude import estimate_magnitude
from mrftool.export.graph.ops import FLOAT, INT32, Tape, Value, where
from mrftool.export.graph.outputs import write_outputs
from mrftool.export.graph.polish import data_rows, hold_inside, polish
from mrftool.export.graph.reading import aligned, held_b1, read_signals
from mrftool.export.graph.search import coarse_search, search_rank
from mrftool.export.graph.spline import spline_of
from mrftool.manifold.table import SignalTable

OPSET = 20
IR_VERSION = 10


def assemble(
    table: SignalTable,
    probes: Array,
    *,
    t1_range: Range,
    t2_range: Range,
    encoder: ModelProto | None = None,
    polish_steps: int = 2,
) -> ModelProto:
    """The model of `table`, `encoder` (None: a coarse search in the table) and `polish_steps`
    Gauss-Newton steps.

    Inputs: signal `(voxel, time, 2)` float32 (magnitudes: `(voxel, time)`); b1 `(voxel,)` [1] where
    the table takes it; noise_sd `(1,)`, of the real and of the imaginary channel, 0 to estimate it
    from the residual. Outputs `(voxel,)`: t1, t2 [s], m0 `(voxel, 2)` (magnitudes: `(voxel,)`),
    residual [1], sd_t1, sd_t2 [s], flags.
    probes: see `mrftool.manifold.model_errors`. t1_range, t2_range [s]: estimates outside are
    flagged.
    """
    tape = Tape()
    signal = tape.input("signal")
    b1 = tape.input("b1").reshape(0, 1) if table.takes_b1 else None
    reading = read_signals(tape, table, probes, signal=signal, b1=b1)
    b1_inside = None if b1 is None else held_b1(table, b1)
    columns = aligned(table, reading.coefficients)
    if encoder is None:
        atoms = choose_atoms(table, search_rank(table), polish_steps)
        start, polish_steps = (
            coarse_search(tape, table, atoms, columns, b1_inside),
            polish_steps + atoms.settle,
        )
    else:
        prepared = prepared_encoder(encoder, table, OPSET)
        logs = attach_encoder(
            tape, table, prepared, signal=signal, reading=reading, aligned=columns, b1=b1_inside
        )
        start = _in_grid(table, logs)
    spline, noise_sd = spline_of(tape, table, b1_inside), tape.input("noise_sd")
    if table.form == "complex":
        data = data_rows(reading.coefficients, table.rank, table.is_real)
        place, fitted = polish(spline, start, data, polish_steps)
        found = judge(table, probes.shape[1], reading, place=place, found=fitted, noise_sd=noise_sd)
    else:
        options = {"signal": signal, "start": start, "noise_sd": noise_sd}
        found = estimate_magnitude(spline, probes, reading, **options, steps=polish_steps)
    write_outputs(table, reading, found, (t1_range, t2_range))
    return _model(tape, table)


def _in_grid(table: SignalTable, logs: Value) -> Value:
    """(log T1, log T2) `(voxel, 2)` as a place in the table's grid, whatever they are."""
    starts, steps = np.array([[(axis.start, axis.step) for axis in table.axes[:2]]]).transpose(
        2, 0, 1
    )
    place = (logs - logs.tape.constant(starts)) * logs.tape.constant(1 / steps)
    return hold_inside(table, where(logs.tape.op("IsNaN", place), 0.0, place))


def _model(tape: Tape, table: SignalTable) -> ModelProto:
    parts = (2,) if table.form == "complex" else ()
    inputs = [_tensor("signal", "voxel", len(table.basis.vectors), *parts)]
    inputs += [_tensor("b1", "voxel")] if table.takes_b1 else []
    inputs += [_tensor("noise_sd", 1)]
    outputs = [_tensor("t1", "voxel"), _tensor("t2", "voxel"), _tensor("m0", "voxel", *parts)]
    outputs += [_tensor(name, "voxel") for name in ("residual", "sd_t1", "sd_t2")]
    outputs += [_tensor("flags", "voxel", dtype=INT32)]
    graph = helper.make_graph(tape.nodes, "mrftool", inputs, outputs, list(tape.constants.values()))
    imports = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="mrftool"
    )
    checker.check_model(model, full_check=True)
    return model


def _tensor(name: str, *shape: int | str, dtype: int = FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)
