"""Checkpoints of a training run: weights and optimiser state as safetensors, everything else as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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
    tensors["basis"] = _pairs(run.basis.vectors)
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
        basis = _basis(tensors["basis"], facts["basis"])
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
    return {
        "config": run.config.to_dict(),
        "spec": run.spec.to_dict(),
        "sequence": sequence_to_dict(run.sequence),
        "basis": {
            "is_complex": bool(np.iscomplexobj(run.basis.vectors)),
            "is_real": run.basis.is_real,
            "turn": [complex(run.basis.turn).real, complex(run.basis.turn).imag],
            "truncation": run.basis.truncation,
            "reference_floor": run.basis.reference_floor,
        },
        "step": run.step,
        "best": run.best,
        "scores": scores,
    }


def _basis(pairs: Tensor, facts: dict[str, Any]) -> Basis:
    vectors = torch.view_as_complex(pairs.cpu()).numpy()
    kept = {key: value for key, value in facts.items() if key != "is_complex"}
    return Basis(
        **{**kept, "vectors": vectors if facts["is_complex"] else vectors.real.copy(), "turn": complex(*facts["turn"])}
    )


def _pairs(vectors: NDArray[Any]) -> Tensor:
    """Complex or real numbers as pairs of float64, which safetensors can hold."""
    return torch.view_as_real(torch.from_numpy(vectors.astype(np.complex128))).contiguous()


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
