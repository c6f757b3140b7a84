"""Adapting an encoder to a sequence that it has not seen: its weights are where the training of the
next one begins.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mrftool.errors import ArgumentError, InputError
from mrftool.inference.manifest import read_manifest
from mrftool.inference.onnx_file import read_model
from mrftool.learning.batches import Source
from mrftool.learning.checkpoint import TrainingRun, load_run
from mrftool.learning.config import TrainConfig, checkpoint_file
from mrftool.learning.training import start_run, table_for
from mrftool.sequence import PulseSequence

Weights = dict[str, Tensor]

_LAYERS = "layers."  # the scales of inputs and outputs are those of the sequence and the ranges


def load_weights(path: Path) -> tuple[TrainConfig, Weights]:
    """Settings and weights of a trained encoder: from a run's folder, a checkpoint, or a model
    (.onnx).

    Raises InputError if there is none in it.
    """
    if path.suffix == ".onnx":
        return _from_model(path)
    run, _ = load_run(checkpoint_file(path), torch.device("cpu"))
    return run.config, _layers(run.encoder.state_dict())


def _from_model(path: Path) -> tuple[TrainConfig, Weights]:
    from onnx import numpy_helper

    _, proto = read_model(path)
    manifest = read_manifest(proto, str(path))
    named = {
        x.name.removeprefix("encoder/"): x
        for x in proto.graph.initializer
        if x.name.startswith("encoder/")
    }
    weights = _layers(
        {name: torch.from_numpy(np.array(numpy_helper.to_array(x))) for name, x in named.items()}
    )
    if not weights:
        raise InputError(
            f"{path}: has no encoder, expected a model that was trained",
            hint="mrftool train makes one",
        )
    try:
        return TrainConfig(**manifest.training["config"]), weights
    except (KeyError, TypeError, ValueError, ArgumentError) as error:
        raise InputError(
            f"{path}: {error}, expected the settings of a training run in its manifest"
        ) from error


def _layers(weights: Weights) -> Weights:
    return {name: value for name, value in weights.items() if name.startswith(_LAYERS)}


def adapted_run(
    config: TrainConfig, weights: Weights, sequence: PulseSequence, device: torch.device
) -> TrainingRun:
    """A run of `sequence` that begins with `weights`, where they fit its encoder; other layers are
    drawn anew.
    """
    run = start_run([Source(sequence, table_for(sequence, config))], config, device)
    own = run.encoder.state_dict()
    taken = {
        name: value.to(device)
        for name, value in weights.items()
        if name in own and own[name].shape == value.shape
    }
    run.encoder.load_state_dict({**own, **taken})
    return run


def adapt_settings(
    config: TrainConfig, *, steps: int, rate: float, seed: int, labels: bool
) -> TrainConfig:
    """Settings of an adaptation of what was trained with `config`: taught by labels and Bloch, or
    by Bloch alone.
    """
    own = {"decoder": "bloch", "weight": config.weight or 1.0, "labels": labels, "tissue": "random"}
    return replace(config, **own, steps=steps, rate=rate, seed=seed, validate_every=steps)  # type: ignore[arg-type]
