"""A trained encoder as an ONNX subgraph, and the check that it computes what torch computes."""

import logging
import warnings
from dataclasses import replace
from typing import Any

import torch

from mrftool.errors import ArgumentError, CheckFailedError, MismatchError
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.runtime import InferenceSession
from mrftool.learning.batches import Source, draw_batches
from mrftool.learning.checkpoint import TrainingRun

OPSET = 20
_FRESH = 2**32 - 7  # the batch that exports are checked on: no step draws it


def source_of(run: TrainingRun, seq: str | None) -> Source:
    """The sequence of a run that `seq` names, a file or a shipped one; None: its only one.

    Raises ArgumentError where it has several and none is named, MismatchError where it has not learned
    that one.
    """
    names = ", ".join(source.sequence.name for source in run.sources)
    if seq is None:
        if len(run.sources) > 1:
            raise ArgumentError(
                f"the run learned several sequences ({names}), expected --seq to choose one"
            )
        return run.sources[0]
    wanted = read_sequence(seq)
    for source in run.sources:
        if source.sequence.sequence_id == wanted.sequence_id:
            return source
    raise MismatchError(
        f"the run learned {names}, not {wanted.name}: its encoder would be wrong on it",
        hint="mrftool adapt teaches it a new sequence",
    )


def model_settings(run: TrainingRun, source: Source, scores: dict[str, Any]) -> dict[str, Any]:
    """What `mrftool.export.make.make_model` takes of a run, for one of its sequences."""
    config = run.config
    return {
        "encoder": encoder_to_onnx(run),
        "table": source.table,
        "t1_range": config.t1_range,
        "t2_range": config.t2_range,
        "b1_range": config.b1_range,
        "adc": config.adc,
        "form": config.form,
        "training": {"config": config.to_dict(), "steps_done": run.step, "scores": scores},
    }


def encoder_to_onnx(run: TrainingRun) -> Any:
    """The encoder of a run as an onnx ModelProto.

    From rows float32 `(voxel, n)`, named after what it takes, to `logs` `(voxel, 2)`.

    Raises CheckFailedError if it does not compute what torch computes, on fresh fingerprints.
    """
    encoder, spec = run.encoder.cpu().eval(), run.spec
    rows = torch.zeros(2, spec.n_inputs + spec.takes_b1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            encoder,
            (rows,),
            dynamo=True,
            input_names=[spec.takes],
            output_names=["logs"],
            dynamic_shapes=({0: torch.export.Dim("voxels")},),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise CheckFailedError("torch exported nothing, expected an ONNX program")
    model = program.model_proto
    _check(model, run)
    return model


def _check(model: Any, run: TrainingRun) -> None:
    """Compare both on fresh fingerprints, in batches of several lengths."""
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for n in (1, 7, 300):
        parts = draw_batches(
            run.sources, replace(run.config, batch=max(n, len(run.sources))), run.spec.takes, _FRESH
        )
        rows = torch.cat([part.rows for part in parts])
        with torch.no_grad():
            expected = run.encoder(rows).numpy()
        got = session.run(None, {run.spec.takes: rows.numpy()})[0]
        worst = float(abs(got - expected).max())
        if not worst <= 1e-4:
            raise CheckFailedError(
                f"the exported encoder differs from torch by {worst:g}, expected at most 1e-4"
            )
