"""Adapting an encoder to another sequence: training starts from its weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mrftool.errors import ArgumentError, InputError
from mrftool.inference.model.manifest import read_manifest
from mrftool.inference.model.onnx_file import read_model
from mrftool.learning.batches import Source
from mrftool.learning.checkpoint import TrainingRun, load_run
from mrftool.learning.config import TrainConfig, checkpoint_file
from mrftool.learning.training import start_run, table_for
from mrftool.sequence import PulseSequence

Weights = dict[str, Tensor]

# Only these are taken: the scales of inputs and outputs belong to the sequence and the ranges.
_LAYERS = "layers."
_ENCODER = "encoder/"  # names of the encoder's tensors in a model


def load_weights(path: Path) -> tuple[TrainConfig, Weights]:
    """Settings and weights of a trained encoder.

    path: a run's folder, a checkpoint, or a model (.onnx).

    Raises
    ------
    InputError
        If there is no trained encoder in it.
    """
    if path.suffix == ".onnx":
        return _from_model(path)
    run, _ = load_run(checkpoint_file(path), torch.device("cpu"))
    return run.config, _layers(run.encoder.state_dict())


def adapted_run(
    config: TrainConfig, weights: Weights, sequence: PulseSequence, device: torch.device
) -> TrainingRun:
    """A run of `sequence` that starts from `weights` where they fit its encoder.

    Other layers are initialised from the seed.
    """
    run = start_run([Source(sequence, table_for(sequence, config))], config, device)
    state = run.encoder.state_dict()
    for name, value in weights.items():
        if name in state and state[name].shape == value.shape:
            state[name] = value.to(device)
    run.encoder.load_state_dict(state)
    return run


def adapt_settings(
    config: TrainConfig,
    *,
    steps: int = 1500,
    rate: float = 3e-3,
    seed: int = 0,
    labels: bool = True,
) -> TrainConfig:
    """Settings of an adaptation of what was trained with `config`.

    Parameters
    ----------
    config
        Settings of the earlier run; ranges, noise and form stay.
    steps, rate, seed
        Optimiser steps, peak learning rate, and the seed of tissue and noise.
    labels
        Whether labels train the encoder beside the Bloch decoder.
    """
    return replace(
        config,
        decoder="bloch",
        weight=config.weight or 1.0,
        labels=labels,
        tissue="random",
        steps=steps,
        rate=rate,
        seed=seed,
        validate_every=steps,
    )


def _from_model(path: Path) -> tuple[TrainConfig, Weights]:
    from onnx import numpy_helper

    _, proto = read_model(path)
    manifest = read_manifest(proto, str(path))
    tensors = {}
    for initializer in proto.graph.initializer:
        if initializer.name.startswith(_ENCODER):
            values = np.array(numpy_helper.to_array(initializer))
            tensors[initializer.name.removeprefix(_ENCODER)] = torch.from_numpy(values)
    weights = _layers(tensors)
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
