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
from mrftool.exporting.accuracy import require_near_bound
from mrftool.exporting.verify import verify
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
MOST_COILS = 64
_PACKAGES = ("mrftool", "numpy", "scipy", "onnx", "onnxruntime")


def make_model(
    sequence: PulseSequence,
    *,
    encoder: "ModelProto | None" = None,
    polish: int = 2,
    adc: float = 0.0,
    form: Form = "complex",
    coils: int = 1,
    tolerance: float | None = None,
    table: SignalTable | None = None,
    name: str | None = None,
    training: dict[str, Any] | None = None,
    check: bool = True,
    allow_inaccurate: bool = False,
    **keywords: Range | None,
) -> "tuple[ModelProto, Manifest]":
    """The ONNX model of `sequence` with its manifest inside, verified against the exact engine.

    Parameters
    ----------
    sequence
        That the model is made for.
    encoder
        What starts the polish, see `mrftool.exporting.graph.encoder`; None: a coarse search. It
        needs the `table` that it was trained with.
    polish
        Number of Gauss-Newton steps.
    adc
        Apparent diffusion coefficient of all tissue [m2/s].
    form
        Of the signals.
    coils
        Number of coils whose root sum of squares magnitudes are.
    tolerance
        Of the table, see `build_table` [1].
    table
        To use; by default it is built.
    name
        Of the model; by default that of the sequence.
    training
        Facts about the training, to keep in the manifest.
    check
        Whether the scores are measured.
    allow_inaccurate
        Whether errors far above the Cramer-Rao bound are no reason to fail.
    keywords
        t1_range, t2_range [s] (by default DEFAULT_RANGES), b1_range [1] and so on, by name of the
        parameter.

    Raises
    ------
    ArgumentError
        For invalid ranges or options.
    CheckFailedError
        If the table cannot be made accurate enough, or an error of the model is more than 1.2 times
        its bound.
    InputError
        If the encoder does not fit.
    MismatchError
        If the table does not fit.
    """
    _check_polish(polish, encoder)
    _check_coils(coils, form, check=check)
    keywords = DEFAULT_RANGES | keywords
    ranges = ranges_from_keywords(keywords)
    with one_blas_thread():
        if table is None:
            table = model_table(sequence, adc=adc, form=form, tolerance=tolerance, **keywords)
        _check_table(table, sequence, form, ranges)
        probes = probe_vectors(sequence, table)
        model = _assemble(table, probes, ranges, encoder, polish, coils)
        facts = {"polish": polish, "adc": adc, "coils": coils, "training": training or {}}
        manifest = _manifest(
            sequence, table, weights_sha256(model), ranges=ranges, encoder=_start(encoder), **facts
        )
        manifest = replace(manifest, name=name or _default_name(sequence, encoder))
        if check:
            scores = verify(model.SerializeToString(), manifest, sequence)
            manifest = replace(manifest, scores=scores)
            if not allow_inaccurate:
                require_near_bound(scores)
    write_manifest(model, manifest)
    return model, manifest


def _check_polish(steps: int, encoder: "ModelProto | None") -> None:
    least = int(encoder is None)
    if steps < least:
        raise ArgumentError(f"{steps} polish steps, expected {least} or more")


def _check_coils(coils: int, form: Form, *, check: bool) -> None:
    if not 1 <= coils <= MOST_COILS:
        raise ArgumentError(f"{coils} coils, expected 1 to {MOST_COILS}", arguments=("coils",))
    if coils > 1 and form != "magnitude":
        raise ArgumentError(
            "a number of coils goes with magnitudes, expected none for complex signals",
            arguments=("coils",),
        )
    if coils > 1 and check:
        raise ArgumentError("models of several coils are not scored, expected no check")


def _start(encoder: "ModelProto | None") -> str:
    """What the encoder reads, as the manifest names it."""
    if encoder is None:
        return "none"
    return str(encoder.graph.input[0].name)


def _default_name(sequence: PulseSequence, encoder: "ModelProto | None") -> str:
    if encoder is None:
        return f"{sequence.name}, no encoder"
    return sequence.name


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
    coils: int,
) -> "ModelProto":
    from mrftool.exporting.graph.assemble import assemble

    return assemble(table, probes, ranges, encoder=encoder, polish_steps=polish, coils=coils)


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
    """The table of a model: it goes beyond the ranges asked for, so that noise does not push
    estimates against its edge.

    Parameters
    ----------
    sequence
        That the model is made for.
    adc
        Apparent diffusion coefficient of all tissue [m2/s].
    form, tolerance
        See `build_table`.
    keywords
        t1_range, t2_range [s], b1_range [1] and so on, by name of the parameter.
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
