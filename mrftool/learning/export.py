"""A trained encoder as an ONNX subgraph, and the check that it computes what torch computes."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from mrftool.errors import ArgumentError, CheckFailedError, MismatchError
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.model.onnx_file import OPSET
from mrftool.inference.runtime import InferenceSession
from mrftool.learning.batches import Source, draw_batches
from mrftool.learning.checkpoint import TrainingRun

_CHECK_BATCH = 2**32 - 7  # the batch that exports are checked on; no step draws it
_TOLERANCE = 1e-4  # of log T1 and log(T2 / T1) [1]


def source_of(run: TrainingRun, seq: str | None) -> Source:
    """One of the sequences of a run.

    Parameters
    ----------
    run
        A training run.
    seq
        The file of a sequence, or the name of a shipped one. None: the only sequence of the run.

    Raises
    ------
    ArgumentError
        If the run has several sequences and none is named.
    MismatchError
        If the run was not trained on the sequence that is named.
    """
    names = ", ".join(source.sequence.name for source in run.sources)
    if seq is None:
        if len(run.sources) > 1:
            raise ArgumentError(
                f"the run learned several sequences ({names}), expected one to be chosen"
            )
        return run.sources[0]
    wanted = read_sequence(seq)
    for source in run.sources:
        if source.sequence.sequence_id == wanted.sequence_id:
            return source
    raise MismatchError(
        f"the run learned {names}, not {wanted.name}: an encoder works for its own sequences only",
        hint="mrftool adapt trains it on another sequence",
    )


def model_settings(run: TrainingRun, source: Source, scores: dict[str, Any]) -> dict[str, Any]:
    """What `mrftool.exporting.make.make_model` takes of a run, for one of its sequences."""
    config = run.config
    return {
        "encoder": encoder_to_onnx(run),
        "table": source.table,
        **config.range_keywords,
        "adc": config.adc,
        "form": config.form,
        "training": {"config": config.to_dict(), "steps_done": run.step, "scores": scores},
    }


def encoder_to_onnx(run: TrainingRun) -> Any:
    """The encoder of a run as an onnx ModelProto.

    From rows float32 `(voxel, n)`, named after what the encoder takes, to `logs` `(voxel, 2)`. The
    run itself is left as it is.

    Raises
    ------
    CheckFailedError
        If it does not compute what torch computes, on fingerprints drawn for the check.
    """
    encoder = copy.deepcopy(run.encoder).cpu().eval()
    rows = torch.zeros(2, run.spec.n_inputs + run.spec.n_given)
    with _quiet_exporter():
        program = torch.onnx.export(
            encoder,
            (rows,),
            dynamo=True,
            input_names=[run.spec.takes],
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


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the warnings and the log of torch's exporter, and restore both at the end."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check(model: Any, run: TrainingRun) -> None:
    """Compare the model with torch on fingerprints that no step draws, in several batch sizes."""
    encoder = copy.deepcopy(run.encoder).cpu().eval()
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for n in (1, 7, 300):
        config = replace(run.config, batch=max(n, len(run.sources)))
        parts = draw_batches(run.sources, config, run.spec.takes, _CHECK_BATCH)
        rows = torch.cat([part.rows for part in parts])
        with torch.no_grad():
            expected = encoder(rows).numpy()
        difference = session.run(None, {run.spec.takes: rows.numpy()})[0] - expected
        largest = float(abs(difference).max())
        if not largest <= _TOLERANCE:
            raise CheckFailedError(
                f"the exported encoder differs from torch by {largest:g}, expected at most"
                f" {_TOLERANCE:g}"
            )
