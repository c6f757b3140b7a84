"""One self-contained ONNX graph of standard operators: signals in, T1, T2, m0, error bars and flags
out.

compression -> coarse search or encoder -> Gauss-Newton on the table -> maps, standard deviations,
flags.
"""

from collections.abc import Mapping

from onnx import ModelProto, ValueInfoProto, checker, helper

from mrftool.arrays import Array, Range
from mrftool.exporting.atoms import choose_atoms
from mrftool.exporting.graph.encoder import attach_encoder, prepared_encoder
from mrftool.exporting.graph.goodness import assess_fit
from mrftool.exporting.graph.magnitude import estimate_magnitude
from mrftool.exporting.graph.ops import FLOAT, INT32, Tape, Value, concat, where
from mrftool.exporting.graph.outputs import write_outputs
from mrftool.exporting.graph.polish import data_rows, hold_inside, polish
from mrftool.exporting.graph.reading import aligned, given_inside, read_signals
from mrftool.exporting.graph.search import coarse_search, search_rank
from mrftool.exporting.graph.spline import spline_of
from mrftool.exporting.squares import EXTRA_STEPS, squared_search
from mrftool.inference.model.onnx_file import OPSET
from mrftool.manifold.table import SignalTable

IR_VERSION = 10


def assemble(
    table: SignalTable,
    probes: Array,
    ranges: Mapping[str, Range],
    *,
    encoder: ModelProto | None = None,
    polish_steps: int = 2,
    coils: int = 1,
) -> ModelProto:
    """The model of `table`, `encoder` (None: a coarse search in the table) and `polish_steps`
    Gauss-Newton steps.

    Inputs: signal `(voxel, time, 2)` float32 (magnitudes: `(voxel, time)`); the given parameters of
    the table by name `(voxel,)` [unit]; noise_sd `(1,)`, of the real and of the imaginary channel,
    0 to estimate it from the residual. Outputs `(voxel,)`: t1, t2 [s], m0 `(voxel, 2)`
    (magnitudes: `(voxel,)`), residual [1], sd_t1, sd_t2 [s], flags.
    probes: see `mrftool.manifold.model_errors`. ranges: by name of each fitted parameter [unit];
    estimates outside are flagged. coils: whose root sum of squares magnitudes are.
    """
    tape = Tape()
    signal, noise_sd = tape.input("signal"), tape.input("noise_sd")
    given = _given(tape, table)
    reading = read_signals(tape, table, probes, signal=signal, given=given)
    if given is not None:
        given = given_inside(table, given)
    columns = aligned(table, reading.coefficients)
    if encoder is None:
        atoms = choose_atoms(table, search_rank(table), polish_steps)
        polish_steps += atoms.settle
        if coils > 1:
            atoms, columns = squared_search(table, atoms, reading.unit_magnitudes)
            polish_steps += EXTRA_STEPS
        start = coarse_search(tape, table, atoms, columns, given)
    else:
        prepared = prepared_encoder(encoder, table)
        logs = attach_encoder(tape, table, prepared, reading=reading, aligned=columns, given=given)
        start = _in_grid(table, logs)
    spline = spline_of(tape, table, given)
    if table.form == "complex":
        data = data_rows(reading.coefficients, table.rank, table.is_real)
        place, fitted = polish(spline, start, data, polish_steps)
        found = assess_fit(
            table, probes.shape[1], reading, place=place, found=fitted, noise_sd=noise_sd
        )
    else:
        options = {"start": start, "noise_sd": noise_sd}
        found = estimate_magnitude(
            spline, probes, reading, **options, steps=polish_steps, coils=coils
        )
    write_outputs(table, reading, found, ranges)
    return _model(tape, table)


def _given(tape: Tape, table: SignalTable) -> Value | None:
    """The inputs of given parameters, side by side `(voxel, given)`."""
    columns = [tape.input(parameter.name).reshape(0, 1) for parameter in table.given]
    if not columns:
        return None
    if len(columns) == 1:
        return columns[0]
    return concat(columns, 1)


def _in_grid(table: SignalTable, places: Value) -> Value:
    """Places `(voxel, fitted)` on the axes as places in the table's grid, whatever they are."""
    starts = places.tape.constant([[axis.start for axis in table.fitted_axes]])
    inverse_steps = places.tape.constant([[1 / axis.step for axis in table.fitted_axes]])
    inside = (places - starts) * inverse_steps
    return hold_inside(table, where(places.tape.op("IsNaN", inside), 0.0, inside))


def _model(tape: Tape, table: SignalTable) -> ModelProto:
    parts: tuple[int, ...] = ()
    if table.form == "complex":
        parts = (2,)
    fitted = [parameter.name for parameter in table.parameters[: table.n_fitted]]
    inputs = [_tensor("signal", "voxel", len(table.basis.vectors), *parts)]
    inputs += [_tensor(parameter.name, "voxel") for parameter in table.given]
    inputs += [_tensor("noise_sd", 1)]
    outputs = [_tensor(name, "voxel") for name in fitted]
    outputs += [_tensor("m0", "voxel", *parts), _tensor("residual", "voxel")]
    outputs += [_tensor(f"sd_{name}", "voxel") for name in fitted]
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
