"""Checkpoints of a training run: weights and optimiser state as safetensors, the rest as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mrftool.errors import InputError
from mrftool.formats.atomic import writing
from mrftool.formats.json_text import load_json
from mrftool.formats.regular_file import require_regular
from mrftool.formats.sequence.yaml_file import sequence_from_dict, sequence_to_dict
from mrftool.learning.batches import Source
from mrftool.learning.config import TrainConfig
from mrftool.learning.networks.encoders import Encoder, EncoderSpec
from mrftool.learning.networks.learned_decoders import LearnedDecoder, Parts, new_decoder
from mrftool.learning.optimisers import new_optimisers, optimiser_tensors, restore_optimisers
from mrftool.learning.table_tensors import table_from_tensors, table_to_tensors

# Of a checkpoint's content. Raised when older readers would misread it. Version 0.1.0 wrote no
# number; what it wrote is schema 1.
SCHEMA = 1
_SETTINGS = ("encoder", "decoder", "loss", "form", "optimiser", "steps", "batch", "rate", "seed")

LAST, BEST, PREVIOUS = (f"{name}.safetensors" for name in ("last", "best", "previous"))


@dataclass
class TrainingRun:
    """A training run in progress or at its end.

    Parameters
    ----------
    config
        Settings of the run.
    sources
        The sequences that it learns, each with its table.
    spec, encoder
        What rebuilds the encoder but for its weights, and the encoder.
    decoder
        The decoder that is trained with the encoder, if there is one.
    optimisers
        See `mrftool.learning.optimisers`.
    step
        Steps done.
    best
        Lowest validation score so far.
    """

    config: TrainConfig
    sources: list[Source]
    spec: EncoderSpec
    encoder: Encoder
    decoder: LearnedDecoder | None
    optimisers: list[torch.optim.Optimizer]
    step: int = 0
    best: float = float("inf")


def save_run(run: TrainingRun, folder: Path, name: str, scores: dict[str, Any]) -> None:
    """Write checkpoint `name` (LAST or BEST) of a run into its folder, whole or not at all.

    The last one before stays as PREVIOUS.
    """
    tensors = _with_prefix("encoder.", run.encoder.state_dict())
    if run.decoder:
        tensors |= _with_prefix("decoder.", run.decoder.state_dict())
    tensors |= _with_prefix("optimiser.", optimiser_tensors(run.optimisers))
    for index, source in enumerate(run.sources):
        tensors |= _with_prefix(f"source.{index}.", table_to_tensors(source.table))
    facts = {
        "schema": SCHEMA,
        "config": run.config.to_dict(),
        "spec": run.spec.to_dict(),
        "sequences": [sequence_to_dict(source.sequence) for source in run.sources],
        "step": run.step,
        "best": run.best,
        "scores": scores,
    }
    target = folder / name
    with writing(target) as path:
        path.write_bytes(save(tensors, metadata={"run": json.dumps(facts)}))
        if name == LAST and target.exists():
            target.replace(folder / PREVIOUS)


def holds_run(folder: Path) -> bool:
    """Whether there is a run in `folder` that can be resumed."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def load_latest(folder: Path, device: torch.device) -> tuple[TrainingRun, InputError | None]:
    """The run in the latest sound checkpoint of `folder`, and what is wrong with a later one.

    Raises
    ------
    InputError
        If there is no sound checkpoint.
    """
    try:
        return load_run(folder / LAST, device)[0], None
    except InputError as error:
        if not (folder / PREVIOUS).exists():
            raise
        return load_run(folder / PREVIOUS, device)[0], error


def load_run(path: Path, device: torch.device) -> tuple[TrainingRun, dict[str, Any]]:
    """The run in a checkpoint, and its scores.

    Raises
    ------
    InputError
        If the file is not a checkpoint, is damaged, or has a schema that is not known.
    """
    require_regular(path, "a checkpoint")
    try:
        tensors = load_file(path, device=str(device))
        facts = _facts_in(path)
        _require_schema(facts, path)
        return _run_from(tensors, facts, path, device), dict(facts["scores"])
    except InputError:
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}, expected a checkpoint") from error
    except KeyError as error:
        raise _damaged(path, f"{error} is missing") from error
    except Exception as error:  # torch, safetensors and our own types meet values of any type
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise _damaged(path, first_line) from error


def decoder_of(
    config: TrainConfig, sources: list[Source], device: torch.device
) -> LearnedDecoder | None:
    """The decoder that a run of these sequences trains, on its device; None if it trains none."""
    parts: Parts = 2
    if all(source.table.basis.is_real for source in sources):
        parts = 1
    decoder = new_decoder(config, len(sources[0].sequence), parts)
    if decoder is None:
        return None
    return decoder.to(device)


def _require_schema(facts: dict[str, Any], path: Path) -> None:
    schema = facts.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise InputError(
            f"{path}: checkpoint schema {schema!r}, expected {SCHEMA}",
            hint="another version of mrftool wrote it",
        )


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: {reason}, expected a checkpoint that mrftool train wrote")


def _run_from(
    tensors: dict[str, Tensor], facts: dict[str, Any], path: Path, device: torch.device
) -> TrainingRun:
    settings = dict(facts["config"])
    for key in _SETTINGS:
        if key not in settings:
            raise _damaged(path, f"the setting {key} is missing")
    config = TrainConfig(**settings)
    spec = EncoderSpec.from_dict(facts["spec"])
    encoder = Encoder(spec).to(device)
    encoder.load_state_dict(_without_prefix("encoder.", tensors))
    sources = []
    for index, text in enumerate(facts["sequences"]):
        table = table_from_tensors(_without_prefix(f"source.{index}.", tensors))
        sources.append(Source(sequence_from_dict(text, origin=str(path)), table))
    _require_rows(spec, sources)
    decoder = decoder_of(config, sources, device)
    if decoder:
        decoder.load_state_dict(_without_prefix("decoder.", tensors))
    optimisers = new_optimisers(encoder, decoder, config)
    restore_optimisers(optimisers, _without_prefix("optimiser.", tensors))
    step, best = int(facts["step"]), float(facts["best"])
    return TrainingRun(config, sources, spec, encoder, decoder, optimisers, step, best)


def _require_rows(spec: EncoderSpec, sources: list[Source]) -> None:
    """Raises ValueError unless the encoder takes the rows that its sequences give."""
    for source in sources:
        length = source.row_length(spec.takes)
        if spec.n_inputs != length:
            raise ValueError(f"n_inputs is {spec.n_inputs}, expected {length} of its sequence")


def _facts_in(path: Path) -> dict[str, Any]:
    """What the checkpoint says of its run, in finite numbers; `best` alone may be infinite, until
    the first validation.
    """
    facts = json.loads(_metadata(path)["run"])
    finite = {key: value for key, value in facts.items() if key != "best"}
    return {**load_json(json.dumps(finite)), "best": facts["best"]}


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value.contiguous() for key, value in tensors.items()}


def _without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
