"""Putting a trained encoder, an ONNX model of its own, into the graph between compression and polish."""

import numpy as np
from onnx import ModelProto, compose, inliner, version_converter

from mrftool.errors import InputError
from mrftool.inference.onnx_file import check_self_contained
from mrftool.inference.ops import Tape, Value, concat, maximum, sqrt, where
from mrftool.physics.table import SignalTable

_TINY = 1e-20
_PREFIX = "encoder/"


def prepared_encoder(encoder: ModelProto, table: SignalTable, opset: int) -> ModelProto:
    """`encoder` without local functions, at `opset`, its names prefixed.

    Raises InputError where it is not what the graph can take: one input `features` `(voxel, 2 * rank [+ 1 for b1])` or
    `fingerprint` `(voxel, time)`, one output `(voxel, 2)`, standard operators, all numbers inside.
    """
    check_self_contained(encoder, "the encoder")
    encoder = inliner.inline_local_functions(encoder)
    names = [x.name for x in encoder.graph.input]
    if names not in (["features"], ["fingerprint"]) or len(encoder.graph.output) != 1:
        raise InputError(f"the encoder has inputs {names}, expected one, 'features' or 'fingerprint', and one output")
    width = _last_length(encoder)
    expected = len(table.basis.vectors) if names == ["fingerprint"] else feature_length(table)
    if width not in (expected, None):
        raise InputError(
            f"the encoder's input has {width} columns, expected {expected} for this sequence and these ranges"
        )
    if _opset(encoder) != opset:
        encoder = version_converter.convert_version(encoder, opset)
    return compose.add_prefix(encoder, _PREFIX)


def attach_encoder(
    tape: Tape, table: SignalTable, encoder: ModelProto, *, signal: Value, coefficients: Value, b1: Value | None
) -> Value:
    """(log T1, log T2) `(voxel, 2)` that the prepared `encoder` finds.

    signal `(voxel, time, 2)`; coefficients `(voxel, 2 * rank)`, finite.
    """
    entry = encoder.graph.input[0].name
    tape.constants.update({x.name: x for x in encoder.graph.initializer})
    if entry == f"{_PREFIX}features":
        columns = aligned(table, coefficients)
        columns = columns if b1 is None else concat([columns, b1], 1)
    else:
        columns = real_fingerprint(tape, table, signal, coefficients)
    tape.op("Identity", columns, output=entry)
    tape.nodes.extend(encoder.graph.node)
    answer = tape.input(encoder.graph.output[0].name)
    log_t1 = answer.cut(1, 0, 1)
    return concat([log_t1, log_t1 + answer.cut(1, 1, 2)], 1)


def feature_length(table: SignalTable) -> int:
    """Columns of an encoder's `features`."""
    parts = 1 if table.form == "magnitude" else 2
    return parts * table.rank + int(table.takes_b1)


def aligned(table: SignalTable, coefficients: Value) -> Value:
    """`compression.features` in the graph."""
    rank = table.rank
    norm = sqrt(coefficients.sum_square(1))
    re, im = coefficients.cut(1, 0, rank), coefficients.cut(1, rank, 2 * rank)
    first_re, first_im = _direction(coefficients, rank)
    turned = concat([re * first_re + im * first_im, im * first_re - re * first_im], 1)
    return turned / maximum(norm, _TINY)


def real_fingerprint(tape: Tape, table: SignalTable, signal: Value, coefficients: Value) -> Value:
    """`compression.real_fingerprints` in the graph; zeros where the signal is empty or not finite."""
    first_re, first_im = _direction(coefficients, table.rank)
    turn_re, turn_im = float(np.real(table.basis.turn)), float(np.imag(table.basis.turn))
    # Re(y conj(w)) = Re y Re w + Im y Im w, with w the direction of the product with basis.reference
    w = concat([first_re * turn_re + first_im * turn_im, first_im * turn_re - first_re * turn_im], 1)
    energy = signal.reshape(0, 2 * len(table.basis.vectors)).sum_square(1)
    good = ~(tape.op("IsNaN", energy) | tape.op("IsInf", energy)) & (energy > 0.0)
    turned = (signal @ w.reshape(0, 2, 1)).reshape(0, len(table.basis.vectors))
    return where(good, turned / sqrt(energy), 0.0)


def _direction(coefficients: Value, rank: int) -> tuple[Value, Value]:
    """Cosine and sine of the phase of the first coefficient; 0 where it is 0."""
    re, im = coefficients.cut(1, 0, 1), coefficients.cut(1, rank, rank + 1)
    size = maximum(sqrt(re * re + im * im), _TINY)
    return re / size, im / size


def _last_length(encoder: ModelProto) -> int | None:
    shape = encoder.graph.input[0].type.tensor_type.shape.dim
    return int(shape[-1].dim_value) or None if len(shape) else None


def _opset(model: ModelProto) -> int:
    return max((x.version for x in model.opset_import if x.domain in ("", "ai.onnx")), default=0)
