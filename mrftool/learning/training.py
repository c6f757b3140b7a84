"""The training loop: batches, losses, validation, checkpoints. Ten steps are five, a resume, and
five: bit for bit.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mrftool.errors import ArgumentError, InputError
from mrftool.export.make import model_table
from mrftool.formats.sequence.yaml_file import sequence_from_dict, sequence_to_dict
from mrftool.learning.batches import Batch, Source, draw_batches, draw_tissue, make_batch
from mrftool.learning.checkpoint import (
    TrainingRun,
    decoder_of,
    load_run,
    new_optimisers,
    save_run,
    table_from_tensors,
    table_to_tensors,
)
from mrftool.learning.config import TrainConfig, log_range
from mrftool.learning.networks.encoders import Encoder, EncoderSpec, preset, times_of
from mrftool.learning.parallel import is_first, replicated, share
from mrftool.learning.step import Losses, take_step
from mrftool.manifold.table import SignalTable
from mrftool.sequence import PulseSequence

Report = Callable[[int, dict[str, float]], None]
VALIDATION_SNR = (5.0, 20.0, 50.0)
_WARM_UP = 0.05
_VALIDATION_SEED = 2**32 - 1
_VALIDATION_VOXELS = 4096
_STANDARD_BATCH = 2**32 - 3  # the batch whose rows set the scale of the inputs: no step draws it
_TYPICAL = 8192
_AT_A_TIME = 512  # voxels that are validated at once: a wide network needs memory for each


def start_run(sources: list[Source], config: TrainConfig, device: torch.device) -> TrainingRun:
    """A run before its first step, its weights drawn from the seed."""
    spec = _spec(sources, config)
    # Exactly what a checkpoint gives back: resuming is exact.
    sources = [
        Source(
            sequence_from_dict(sequence_to_dict(source.sequence)),
            table_from_tensors(table_to_tensors(source.table)),
        )
        for source in sources
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = Encoder(spec)
        decoder = decoder_of(config, sources, device)
    typical = draw_batches(sources, replace(config, batch=_TYPICAL), spec.takes, _STANDARD_BATCH)
    encoder.standardise(torch.cat([part.rows for part in typical]))
    encoder = encoder.to(device)
    optimisers = new_optimisers(encoder, decoder, config)
    return TrainingRun(config, sources, spec, encoder, decoder, optimisers)


def _spec(sources: list[Source], config: TrainConfig) -> EncoderSpec:
    """The encoder of a run. Raises ArgumentError where one cannot take all its sequences."""
    kind, table = preset(config.encoder), sources[0].table
    if kind.takes == "features" and len(sources) > 1:
        raise ArgumentError(
            f"encoder {config.encoder} with {len(sources)} sequences, expected one: its input belongs to a sequence",
            hint="--encoder fc, rnn or hydra takes whole fingerprints",
        )
    lengths = {len(source.sequence) for source in sources}
    if len(lengths) > 1:
        raise ArgumentError(
            f"sequences of {', '.join(map(str, sorted(lengths)))} repetitions, expected one length"
        )
    per_coefficient = 2 if config.form == "complex" else 1
    t1, ratio = (
        log_range(config.t1_range),
        log_range((config.t2_range[0] / config.t1_range[1], 1.0)),
    )
    n_inputs = table.rank * per_coefficient if kind.takes == "features" else lengths.pop()
    return EncoderSpec(
        kind=config.encoder,
        **vars(kind),
        n_inputs=n_inputs,
        n_used=table.rank if kind.takes == "features" and table.basis.is_real else n_inputs,
        takes_b1=config.b1_range is not None,
        center=(t1[0], -ratio[0] / 2),
        scale=(t1[1], ratio[1]),
    )


def resume_run(folder: Path, device: torch.device) -> TrainingRun:
    """The run in `folder` where its last checkpoint left it. Raises InputError if there is none."""
    path = folder / "last.safetensors"
    if not path.exists():
        raise InputError(f"{folder}: no last.safetensors, expected the folder of a training run")
    return load_run(path, device)[0]


def train(run: TrainingRun, folder: Path, report: Report) -> dict[str, float]:
    """Take the run to its last step, validating and writing checkpoints on the way; the scores at
    the end.

    report: called after every step with the number of the step and its losses, and scores where it
    was validated.
    """
    device = next(run.encoder.parameters()).device
    scores: dict[str, float] = {}
    network = replicated(Losses(run))
    with ThreadPoolExecutor(1) as ahead:
        next_batch = ahead.submit(_batch, run, run.step)
        while run.step < run.config.steps:
            parts = [share(part).to(device) for part in next_batch.result()]
            next_batch = ahead.submit(_batch, run, run.step + 1)
            losses = take_step(run, network, parts, _rate_factor(run.step, run.config.steps))
            run.step += 1
            is_due = run.step % run.config.validate_every == 0 or run.step == run.config.steps
            if is_due and is_first():
                scores = validate(run)
                _keep(run, folder, scores)
                losses |= scores
            report(run.step, losses)
    return scores


def validate(run: TrainingRun) -> dict[str, float]:
    """Root mean square error over the Cramer-Rao bound, at several SNR, on tissue that training
    never draws.
    """
    scores = {f"rmse_over_bound_snr{snr:g}": _rmse_over_bound(run, snr) for snr in VALIDATION_SNR}
    return {**scores, "score": float(np.mean(list(scores.values())))}


def _keep(run: TrainingRun, folder: Path, scores: dict[str, float]) -> None:
    if scores["score"] < run.best:
        run.best = scores["score"]
        save_run(run, folder, "best", scores)
    save_run(run, folder, "last", scores)


def _batch(run: TrainingRun, k: int) -> list[Batch]:
    return draw_batches(run.sources, run.config, run.spec.takes, k)


def _rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    done = step / steps
    if done < _WARM_UP:
        return (done + 1 / steps) / (_WARM_UP + 1 / steps)
    return 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))


def _rmse_over_bound(run: TrainingRun, snr: float) -> float:
    """Of log T1 and log T2 together, where the bound itself is below 20 percent: beyond, no
    estimator is unbiased.

    Of a sequence that determines less than a tenth of the tissue so well, it is the best tenth.
    """
    random = np.random.default_rng((_VALIDATION_SEED, run.config.seed))
    tissue = draw_tissue(replace(run.config, batch=_VALIDATION_VOXELS), random)
    errors = []
    for index, source in enumerate(run.sources):
        part = tissue[index :: len(run.sources)]
        batch = make_batch(source, run.spec.takes, part, np.full(len(part), snr), random)
        errors.append(_errors_over_bound(run, batch))
    return float(torch.cat(errors).square().mean().sqrt())


def _errors_over_bound(run: TrainingRun, batch: Batch) -> torch.Tensor:
    batch = batch.to(next(run.encoder.parameters()).device)
    run.encoder.eval()
    with torch.no_grad():
        predicted = times_of(
            torch.cat([run.encoder(rows) for rows in torch.split(batch.rows, _AT_A_TIME)])
        )
    worse = batch.bound.max(dim=1).values
    fair = worse <= max(0.2, float(torch.quantile(worse, 0.1)))
    return ((predicted - batch.target) / batch.bound)[fair]


def prepare_run(
    sequences: list[PulseSequence], config: TrainConfig, folder: Path, device: torch.device
) -> TrainingRun:
    """A new run in a folder that holds none: it begins with the tables of its sequences.

    Raises ArgumentError if the folder holds a run already.
    """
    if (folder / "last.safetensors").exists():
        raise ArgumentError(
            f"{folder} holds a run already, expected a new folder",
            hint="pass --resume to go on with it",
        )
    sources = [Source(sequence, table_for(sequence, config)) for sequence in sequences]
    folder.mkdir(parents=True, exist_ok=True)
    return start_run(sources, config, device)


def table_for(sequence: PulseSequence, config: TrainConfig) -> SignalTable:
    """The table of a sequence over what a run is trained for."""
    return model_table(
        sequence,
        t1_range=config.t1_range,
        t2_range=config.t2_range,
        b1_range=config.b1_range,
        adc=config.adc,
        form=config.form,
    )


def pick_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one. Raises ArgumentError if there is no
    such device.
    """
    has_cuda = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if has_cuda else "cpu")
    if name not in ("cpu", "cuda") and not name.startswith("cuda:"):
        raise ArgumentError(f"device {name!r}, expected cpu, cuda or auto")
    if name != "cpu" and not has_cuda:
        raise ArgumentError(f"device {name}: this machine has no CUDA device, expected cpu")
    return torch.device(name)
