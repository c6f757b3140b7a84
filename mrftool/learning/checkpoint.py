"""Checkpoints of a training run: weights and optimiser state as safetensors, everything else as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mrftool.errors import InputError
from mrftool.formats.atomic import writing
from mrftool.formats.sequence_yaml import sequence_from_dict, sequence_to_dict
from mrftool.learning.config import TrainConfig
from mrftool.learning.encoders import Encoder, EncoderSpec
from mrftool.physics.compression import Basis
from mrftool.sequence import PulseSequence


@dataclass
class Run:
    """A training run in progress or at its end."""

    config: TrainConfig
    sequence: PulseSequence
    basis: Basis
    spec: EncoderSpec
    encoder: Encoder
    optimiser: torch.optim.Adam
    step: int = 0
    best: float = float("inf")


def save_run(run: Run, folder: Path, name: str, scores: dict[str, Any]) -> None:
    """Write checkpoint `name` ("last" or "best") of a run into its folder, whole or not at all."""
    tensors = {f"encoder.{key}": value.contiguous() for key, value in run.encoder.state_dict().items()}
    tensors |= {f"adam.{key}": value for key, value in _adam_tensors(run.optimiser).items()}
    vectors = np.ascontiguousarray(run.basis.vectors, np.complex128)
    tensors["basis"] = torch.from_numpy(vectors.view(np.float64).reshape(*vectors.shape, 2).copy())
    with writing(folder / f"{name}.safetensors") as path:
        save_file(tensors, path, metadata={"run": json.dumps(_facts(run, scores))})


def load_run(path: Path, device: torch.device) -> tuple[Run, dict[str, Any]]:
    """The run in a checkpoint, and its scores. Raises InputError if the file is none of ours."""
    try:
        tensors = load_file(path, device=str(device))
        facts = json.loads(_metadata(path)["run"])
        config = TrainConfig(**facts["config"])
        spec = EncoderSpec.from_dict(facts["spec"])
        encoder = Encoder(spec).to(device)
        encoder.load_state_dict(_under(tensors, "encoder."))
        parts = tensors["basis"].cpu().numpy()
        vectors = parts[..., 0] + 1j * parts[..., 1] if facts["basis"].pop("is_complex") else parts[..., 0].copy()
        basis = Basis(vectors=vectors, **facts["basis"])
        sequence = sequence_from_dict(facts["sequence"], origin=str(path))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}, expected a checkpoint") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: {error}, expected a checkpoint that mrftool train wrote") from error
    run = Run(config, sequence, basis, spec, encoder, new_optimiser(encoder, config), facts["step"], facts["best"])
    _restore_adam(run.optimiser, _under(tensors, "adam."))
    return run, facts["scores"]


def new_optimiser(encoder: Encoder, config: TrainConfig) -> torch.optim.Adam:
    """Adam at the run's peak rate."""
    return torch.optim.Adam(encoder.parameters(), lr=config.rate)


def _facts(run: Run, scores: dict[str, Any]) -> dict[str, Any]:
    basis = {key: getattr(run.basis, key) for key in ("is_real", "truncation", "reference_floor")}
    return {
        "config": run.config.to_dict(),
        "spec": run.spec.to_dict(),
        "sequence": sequence_to_dict(run.sequence),
        "basis": {**basis, "is_complex": bool(np.iscomplexobj(run.basis.vectors))},
        "step": run.step,
        "best": run.best,
        "scores": scores,
    }


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _adam_tensors(optimiser: torch.optim.Adam) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def _restore_adam(optimiser: torch.optim.Adam, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
