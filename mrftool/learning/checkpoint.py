"""Checkpoints of a training run: weights and optimiser state as safetensors, everything else as
JSON.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from mrftool.arrays import Array
from mrftool.errors import ArgumentError, InputError
from mrftool.formats.atomic import writing
from mrftool.formats.sequence.yaml_file import sequence_from_dict, sequence_to_dict
from mrftool.learning.batches import Source
from mrftool.learning.config import TrainConfig
from mrftool.learning.networks.encoders import Encoder, EncoderSpec
from mrftool.learning.networks.learned_decoders import LearnedDecoder, new_decoder
from mrftool.manifold.bspline import Axis
from mrftool.manifold.compression import Basis
from mrftool.manifold.table import SignalTable


@dataclass
class TrainingRun:
    """A training run in progress or at its end. decoder: the one that it learns, if it does."""

    config: TrainConfig
    sources: list[Source]
    spec: EncoderSpec
    encoder: Encoder
    decoder: LearnedDecoder | None
    optimisers: list[torch.optim.Optimizer]
    step: int = 0
    best: float = float("inf")


def save_run(run: TrainingRun, folder: Path, name: str, scores: dict[str, Any]) -> None:
    """Write checkpoint `name` ("last" or "best") of a run into its folder, whole or not at all."""
    tensors = _over("encoder.", run.encoder.state_dict())
    tensors |= _over("decoder.", run.decoder.state_dict() if run.decoder else {})
    tensors |= _over("optimiser.", _optimiser_tensors(run.optimisers))
    for index, source in enumerate(run.sources):
        tensors |= _over(f"source.{index}.", table_to_tensors(source.table))
    with writing(folder / f"{name}.safetensors") as path:
        path.write_bytes(save(tensors, metadata={"run": json.dumps(_facts(run, scores))}))


def load_run(path: Path, device: torch.device) -> tuple[TrainingRun, dict[str, Any]]:
    """The run in a checkpoint, and its scores. Raises InputError if the file is none of ours."""
    try:
        tensors = load_file(path, device=str(device))
        return _run_from(tensors, json.loads(_metadata(path)["run"]), path, device)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path}: {getattr(error, 'strerror', None) or error}, expected a checkpoint"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ArgumentError) as error:
        what = (
            f"{error} is missing"
            if isinstance(error, KeyError)
            else (str(error) or type(error).__name__).splitlines()[0]
        )
        raise InputError(
            f"{path}: {what}, expected a checkpoint that mrftool train wrote"
        ) from error


def _run_from(
    tensors: dict[str, Tensor], facts: dict[str, Any], path: Path, device: torch.device
) -> tuple[TrainingRun, dict[str, Any]]:
    config = TrainConfig(**facts["config"])
    spec = EncoderSpec.from_dict(facts["spec"])
    encoder = Encoder(spec).to(device)
    encoder.load_state_dict(_under(tensors, "encoder."))
    sources = [
        Source(
            sequence_from_dict(text, origin=str(path)),
            table_from_tensors(_under(tensors, f"source.{index}.")),
        )
        for index, text in enumerate(facts["sequences"])
    ]
    decoder = decoder_of(config, sources, device)
    if decoder:
        decoder.load_state_dict(_under(tensors, "decoder."))
    optimisers = new_optimisers(encoder, decoder, config)
    _restore(optimisers, _under(tensors, "optimiser."))
    run = TrainingRun(
        config,
        sources,
        spec,
        encoder,
        decoder,
        optimisers,
        int(facts["step"]),
        float(facts["best"]),
    )
    return run, dict(facts["scores"])


def decoder_of(
    config: TrainConfig, sources: list[Source], device: torch.device
) -> LearnedDecoder | None:
    """The decoder that a run of these sequences learns, on its device; None where it learns none."""
    parts: Any = 1 if all(source.table.basis.is_real for source in sources) else 2
    decoder = new_decoder(config, len(sources[0].sequence), parts)
    return decoder.to(device) if decoder else None


def table_to_tensors(table: SignalTable) -> dict[str, Tensor]:
    """A table as tensors, to be kept with the weights; complex numbers as pairs."""
    basis, axes = table.basis, [[axis.start, axis.step, axis.size] for axis in table.axes]
    facts = {
        "form": table.form,
        "error": table.error,
        "adc": table.adc,
        "sequence_id": table.sequence_id,
    }
    facts |= {key: getattr(basis, key) for key in ("is_real", "truncation", "reference_floor")}
    of_size = table.magnitude_basis
    own = (
        {}
        if of_size is None
        else {"magnitude_basis": [of_size.truncation, of_size.reference_floor]}
    )
    text = json.dumps(
        {**facts, **own, "axes": axes, "turn": [complex(basis.turn).real, complex(basis.turn).imag]}
    )
    tensors = {
        "table.facts": torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8),
        "table.coefficients": _storable(table.coefficients),
        "table.vectors": _storable(basis.vectors),
    }
    return (
        tensors
        if of_size is None
        else {**tensors, "table.magnitude_vectors": _storable(of_size.vectors)}
    )


def table_from_tensors(tensors: dict[str, Tensor]) -> SignalTable:
    """What table_to_tensors gave."""
    facts = json.loads(bytes(tensors["table.facts"].cpu().tolist()))
    axes = tuple(Axis(start, step, int(size)) for start, step, size in facts["axes"])
    own = {key: facts[key] for key in ("is_real", "truncation", "reference_floor")}
    basis = Basis(vectors=_stored(tensors["table.vectors"]), turn=complex(*facts["turn"]), **own)
    own = {key: facts[key] for key in ("form", "error", "adc", "sequence_id")}
    if "magnitude_basis" in facts:
        vectors = _stored(tensors["table.magnitude_vectors"])
        own["magnitude_basis"] = Basis(vectors, True, 1.0, *facts["magnitude_basis"])
    return SignalTable(
        axes=axes, coefficients=_stored(tensors["table.coefficients"]), basis=basis, **own
    )


def _storable(values: Array) -> Tensor:
    """float64 with a last axis of 1, or of 2 for complex numbers."""
    parts = [values.real, values.imag] if np.iscomplexobj(values) else [values]
    return torch.from_numpy(np.stack(parts, axis=-1).astype(np.float64))


def _stored(tensor: Tensor) -> Array:
    parts = tensor.cpu().numpy()
    return np.ascontiguousarray(
        parts[..., 0] + 1j * parts[..., 1] if parts.shape[-1] == 2 else parts[..., 0]
    )


def new_optimisers(
    encoder: Encoder, decoder: LearnedDecoder | None, config: TrainConfig
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between layers, Adam for the rest (or for all), at the run's peak rate.

    Muon: K. Jordan et al. (2024), https://kellerjordan.github.io/posts/muon. Its steps are scaled
    to the size of Adam's (J. Liu et al., arXiv:2502.16982). On these networks it needs a third of
    Adam's steps.
    """
    everything = [*encoder.parameters(), *(decoder.parameters() if decoder else ())]
    matrices = (
        [x for x in everything if x.ndim == 2 and min(x.shape) > 2]
        if config.optimiser == "muon"
        else []
    )
    rest = [x for x in everything if not any(x is matrix for matrix in matrices)]
    optimisers: list[torch.optim.Optimizer] = [torch.optim.Adam(rest, lr=config.rate)]
    if matrices:
        muon = torch.optim.Muon(
            matrices, lr=config.rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
        )
        optimisers.append(muon)
    return optimisers


def _facts(run: TrainingRun, scores: dict[str, Any]) -> dict[str, Any]:
    return {
        "config": run.config.to_dict(),
        "spec": run.spec.to_dict(),
        "sequences": [sequence_to_dict(source.sequence) for source in run.sources],
        "step": run.step,
        "best": run.best,
        "scores": scores,
    }


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def _over(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value.contiguous() for key, value in tensors.items()}


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }


def _optimiser_tensors(optimisers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    return {
        f"{k}.{index}.{key}": value
        for k, optimiser in enumerate(optimisers)
        for index, entry in optimiser.state_dict()["state"].items()
        for key, value in entry.items()
    }


def _restore(optimisers: list[torch.optim.Optimizer], tensors: dict[str, Tensor]) -> None:
    for k, optimiser in enumerate(optimisers):
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, f"{k}.").items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
