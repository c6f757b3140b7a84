"""Putting a trained encoder, an ONNX model of its own, into the graph between compression and
polish.
"""

from onnx import ModelProto, compose, inliner, version_converter

from mrftool.errors import InputError
from mrftool.exporting.graph.ops import Tape, Value, concat, row_sum, sqrt, where
from mrftool.exporting.graph.reading import Reading, direction
from mrftool.inference.model.onnx_file import OPSET, check_self_contained
from mrftool.manifold.table import SignalTable

_PREFIX = "encoder/"


def prepared_encoder(encoder: ModelProto, table: SignalTable) -> ModelProto:
    """`encoder` without local functions, at OPSET, its names prefixed.

    Raises InputError where it is not what the graph can take: one input `features` `(voxel, 2 *
    rank + given)` or `fingerprint` `(voxel, time + given)`, one output `(voxel, 2)`, standard
    operators, all numbers inside.
    """
    check_self_contained(encoder, "the encoder")
    encoder = inliner.inline_local_functions(encoder)
    names = [x.name for x in encoder.graph.input]
    if names not in (["features"], ["fingerprint"]) or len(encoder.graph.output) != 1:
        raise InputError(
            f"the encoder has inputs {names}, expected one, 'features' or 'fingerprint', and one "
            f"output"
        )
    width = _last_length(encoder)
    expected = input_length(table, names[0])
    if width not in (expected, None):
        raise InputError(
            f"the encoder's input has {width} columns, expected {expected} for this sequence and "
            f"these ranges"
        )
    if _opset(encoder) != OPSET:
        encoder = version_converter.convert_version(encoder, OPSET)
    return compose.add_prefix(encoder, _PREFIX)


def attach_encoder(
    tape: Tape,
    table: SignalTable,
    encoder: ModelProto,
    *,
    reading: Reading,
    aligned: Value,
    given: Value | None,
) -> Value:
    """(log T1, log T2) `(voxel, 2)` that the prepared `encoder` finds.

    aligned: `(voxel, 2 * rank)`, see `reading.aligned`.
    """
    entry = encoder.graph.input[0].name
    tape.constants.update({x.name: x for x in encoder.graph.initializer})
    columns = aligned
    if entry != f"{_PREFIX}features":
        columns = real_fingerprint(tape, table, reading)
    if given is not None:
        columns = concat([columns, given], 1)
    tape.op("Identity", columns, output=entry)
    tape.nodes.extend(encoder.graph.node)
    log_t1, log_ratio = tape.input(encoder.graph.output[0].name).split(1, [1, 1])
    return concat([log_t1, log_t1 + log_ratio], 1)


def input_length(table: SignalTable, name: str) -> int:
    """Columns of an encoder's input, "features" or "fingerprint"."""
    parts = 2
    if table.form == "magnitude":
        parts = 1
    length = len(table.basis.vectors)
    if name == "features":
        length = parts * table.rank
    return length + len(table.given)


def real_fingerprint(tape: Tape, table: SignalTable, reading: Reading) -> Value:
    """`compression.real_fingerprints` in the graph `(voxel, time)`; zeros where the signal cannot
    be used.
    """
    if table.form == "magnitude":
        return reading.unit_magnitudes
    cos, sin = direction(reading.coefficients, table.rank)
    factor = complex(table.basis.phase_factor)
    # Re(y conj(w)) = Re y Re w + Im y Im w, with w the direction of the product with
    # basis.reference
    w = concat(
        [cos * factor.real + sin * factor.imag, sin * factor.real - cos * factor.imag], 1
    ).reshape(0, 1, 2)
    turned = row_sum(reading.signal * w).reshape(0, len(table.basis.vectors))
    return where(reading.empty | reading.bad, 0.0, turned / sqrt(reading.energy))


def _last_length(encoder: ModelProto) -> int | None:
    shape = encoder.graph.input[0].type.tensor_type.shape.dim
    return int(shape[-1].dim_value) or None if len(shape) else None


def _opset(model: ModelProto) -> int:
    return max((x.version for x in model.opset_import if x.domain in ("", "ai.onnx")), default=0)
