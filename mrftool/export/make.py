"""From a sequence, and perhaps a trained encoder, to a verified model: what `mrftool export`
calls.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from mrftool.arrays import Array, Range
from mrftool.environment.threads import one_blas_thread
from mrftool.errors import ArgumentError, MismatchError
from mrftool.export.accuracy import require_near_bound
from mrftool.export.verify import verify
from mrftool.inference.model.manifest import Manifest, weights_sha256, write_manifest
from mrftool.manifold.model_errors import probe_vectors
from mrftool.manifold.parameters import (
    parameter_named,
    parameters_of,
    range_key,
    ranges_from_keywords,
)
from mrftool.manifold.table import Form, SignalTable
from mrftool.manifold.tabulate import build_table
from mrftool.sequence import PulseSequence

if TYPE_CHECKING:
    from onnx import ModelProto

# Of fitted parameters, where none are given.
DEFAULT_RANGES: dict[str, Range | None] = {"t1_range": (0.1, 4.5), "t2_range": (0.01, 2.0)}
_PACKAGES = ("mrftool", "numpy", "scipy", "onnx", "onnxruntime")


def make_model(
    sequence: PulseSequence,
    *,
    encoder: "ModelProto | None" = None,
    polish: int = 2,
    adc: float = 0.0,
    form: Form = "complex",
    tolerance: float | None = None,
    table: SignalTable | None = None,
    name: str | None = None,
    training: dict[str, Any] | None = None,
    check: bool = True,
    allow_inaccurate: bool = False,
    **keywords: Range | None,
) -> "tuple[ModelProto, Manifest]":
    """The ONNX model of `sequence` with its manifest inside, verified against the exact engine.

    encoder: what starts the polish, see `mrftool.export.graph.encoder`; None: a coarse search. It
    needs the `table` that it was trained with; without one it is made. polish: number of
    Gauss-Newton steps. t1_range, t2_range [s] (by default DEFAULT_RANGES), b1_range [1] and so on,
    by name of the parameter, and adc [m2/s]: what it is made for. form: of the signals.
    tolerance: of the table, see `build_table`. training: facts to keep. check: measure the scores.
    allow_inaccurate: whether errors far above the Cramer-Rao bound are no reason to fail.

    Raises ArgumentError for invalid ranges or options, CheckFailedError if the table cannot be made
    accurate enough or the model errs more than 1.2 times its bound somewhere, InputError if the
    encoder does not fit, MismatchError if the table does not.
    """
    if polish < 0 or (polish == 0 and encoder is None):
        raise ArgumentError(f"{polish} polish steps, expected {'0' if encoder else '1'} or more")
    keywords = DEFAULT_RANGES | keywords
    ranges = ranges_from_keywords(keywords)
    with one_blas_thread():
        if table is None:
            table = model_table(sequence, adc=adc, form=form, tolerance=tolerance, **keywords)
        _check_table(table, sequence, form, ranges)
        probes = probe_vectors(sequence, table)
        model = _assemble(table, probes, ranges, encoder, polish)
        start, default_name = "none", f"{sequence.name}, no encoder"
        if encoder is not None:
            start, default_name = encoder.graph.input[0].name, sequence.name
        facts = {"encoder": start, "polish": polish, "adc": adc, "training": training or {}}
        manifest = _manifest(sequence, table, weights_sha256(model), ranges=ranges, **facts)
        manifest = replace(manifest, name=name or default_name)
        if check:
            scores = verify(model.SerializeToString(), manifest, sequence)
            manifest = replace(manifest, scores=scores)
            if not allow_inaccurate:
                require_near_bound(scores)
    write_manifest(model, manifest)
    return model, manifest


def _check_table(
    table: SignalTable, sequence: PulseSequence, form: Form, ranges: Mapping[str, Range]
) -> None:
    """Raises MismatchError where the table is not that of the model that is asked for."""
    found = (table.sequence_id, table.form, table.parameters)
    if found != (sequence.sequence_id, form, parameters_of(ranges)):
        raise MismatchError(
            f"the table is not one of sequence {sequence.name} for this form and these parameters"
        )


def _assemble(
    table: SignalTable,
    probes: Array,
    ranges: Mapping[str, Range],
    encoder: "ModelProto | None",
    polish: int,
) -> "ModelProto":
    from mrftool.export.graph.assemble import assemble

    return assemble(table, probes, ranges, encoder=encoder, polish_steps=polish)


def _manifest(sequence: PulseSequence, table: SignalTable, digest: str, **facts: Any) -> Manifest:
    from mrftool.formats.sequence.yaml_file import sequence_to_dict

    return Manifest(
        name=sequence.name,
        sequence=sequence_to_dict(sequence),
        sequence_id=sequence.sequence_id,
        sequence_name=sequence.name,
        form=table.form,
        n_time=len(sequence),
        rank=table.rank,
        grid=tuple(axis.size for axis in table.axes),
        table_error=table.error,
        truncation=table.basis.truncation,
        weights_sha256=digest,
        versions={package: _version(package) for package in _PACKAGES},
        **facts,
    )


def model_table(
    sequence: PulseSequence,
    *,
    adc: float = 0.0,
    form: Form = "complex",
    tolerance: float | None = None,
    **keywords: Range | None,
) -> SignalTable:
    """The table of a model for the ranges t1_range, t2_range [s], b1_range [1] and so on: it goes
    beyond them, so that noise does not push estimates against its edge. The other options are those
    of `build_table`.
    """
    wider: dict[str, Any] = {}
    for name, (low, high) in ranges_from_keywords(keywords).items():
        parameter = parameter_named(name)
        wider[range_key(parameter)] = (low / parameter.margin, high * parameter.margin)
    return build_table(sequence, adc=adc, form=form, tolerance=tolerance, **wider)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
