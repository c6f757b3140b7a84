"""From a sequence, and perhaps a trained encoder, to a verified model: what `mrftool export` calls."""

from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from mrftool.arrays import Range
from mrftool.errors import ArgumentError, MismatchError
from mrftool.export.verify import verify
from mrftool.inference.manifest import Manifest, weights_sha256, write_manifest
from mrftool.manifold.model_errors import probe_vectors
from mrftool.manifold.table import Form, SignalTable
from mrftool.manifold.tabulate import build_table
from mrftool.sequence import PulseSequence
from mrftool.threads import one_blas_thread

if TYPE_CHECKING:
    from onnx import ModelProto

DEFAULT_T1_RANGE: Range = (0.1, 4.5)
DEFAULT_T2_RANGE: Range = (0.01, 2.0)
# The table goes beyond the range that is promised, so that noise does not push estimates against
# its edge.
T1_MARGIN, T2_MARGIN = 1.35, 1.6
_PACKAGES = ("mrftool", "numpy", "scipy", "onnx", "onnxruntime")


def make_model(
    sequence: PulseSequence,
    *,
    encoder: "ModelProto | None" = None,
    polish: int = 2,
    t1_range: Range = DEFAULT_T1_RANGE,
    t2_range: Range = DEFAULT_T2_RANGE,
    b1_range: Range | None = None,
    adc: float = 0.0,
    form: Form = "complex",
    tolerance: float | None = None,
    table: SignalTable | None = None,
    name: str | None = None,
    training: dict[str, Any] | None = None,
    check: bool = True,
) -> "tuple[ModelProto, Manifest]":
    """The ONNX model of `sequence` with its manifest inside, verified against the exact engine.

    encoder: what starts the polish, see `mrftool.export.graph.encoder`; None: a coarse search. It
    needs the `table` that it was trained with; without one it is made. polish: number of
    Gauss-Newton steps. t1_range, t2_range [s], b1_range [1], adc [m2/s]: what it is made for. form:
    of the signals.
    tolerance: of the table, see `build_table`. training: facts to keep. check: measure the scores.

    Raises ArgumentError for ranges or options that are none, CheckFailedError if the table cannot be
    made accurate enough, InputError if the encoder does not fit, MismatchError if the table does
    not.
    """
    if polish < 0 or (polish == 0 and encoder is None):
        raise ArgumentError(f"{polish} polish steps, expected {'0' if encoder else '1'} or more")
    ranges: dict[str, Any] = {"t1_range": t1_range, "t2_range": t2_range, "b1_range": b1_range}
    with one_blas_thread():
        table = table or model_table(sequence, **ranges, adc=adc, form=form, tolerance=tolerance)
        if (table.sequence_id, table.form, table.takes_b1) != (
            sequence.sequence_id,
            form,
            b1_range is not None,
        ):
            raise MismatchError(
                f"the table is not one of sequence {sequence.name} for this form and B1"
            )
        model = _graph(sequence, table, ranges, encoder, polish)
        facts = {
            "encoder": "none" if encoder is None else encoder.graph.input[0].name,
            "polish": polish,
            "adc": adc,
        }
        manifest = _manifest(
            sequence, table, weights_sha256(model), **ranges, **facts, training=training or {}
        )
        manifest = replace(
            manifest, name=name or f"{sequence.name}{'' if encoder else ', no encoder'}"
        )
        if check:
            manifest = replace(
                manifest, scores=verify(model.SerializeToString(), manifest, sequence)
            )
    write_manifest(model, manifest)
    return model, manifest


def _graph(
    sequence: PulseSequence,
    table: SignalTable,
    ranges: dict[str, Any],
    encoder: "ModelProto | None",
    polish: int,
) -> "ModelProto":
    from mrftool.export.graph.assemble import assemble

    promised = {key: ranges[key] for key in ("t1_range", "t2_range")}
    return assemble(
        table, probe_vectors(sequence, table), **promised, encoder=encoder, polish_steps=polish
    )


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
    t1_range: Range,
    t2_range: Range,
    b1_range: Range | None = None,
    **options: Any,
) -> SignalTable:
    """The table of a model for these ranges: wider than they are. The other options are those of
    `build_table`.
    """
    if not (0 < t1_range[0] < t1_range[1] and 0 < t2_range[0] < t2_range[1]):
        raise ArgumentError(f"T1 {t1_range} s, T2 {t2_range} s, expected ranges of positive times")
    return build_table(
        sequence,
        t1_range=(t1_range[0] / T1_MARGIN, t1_range[1] * T1_MARGIN),
        t2_range=(t2_range[0] / T2_MARGIN, t2_range[1] * T2_MARGIN),
        b1_range=b1_range,
        **options,
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
