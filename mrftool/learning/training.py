"""The training loop: batches, losses, validation, checkpoints.

A run that is stopped and resumed ends with the same weights, bit for bit, as one without a pause.
"""

import math
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mrftool.environment.threads import usable_processors
from mrftool.errors import ArgumentError, InputError
from mrftool.exporting.make import model_table
from mrftool.formats.sequence.yaml_file import sequence_from_dict, sequence_to_dict
from mrftool.learning.batches import Batch, Source, draw_batches, draw_tissue, make_batch
from mrftool.learning.checkpoint import (
    BEST,
    LAST,
    PREVIOUS,
    TrainingRun,
    decoder_of,
    holds_run,
    load_latest,
    save_run,
)
from mrftool.learning.config import TrainConfig, log_range, log_ratio_range
from mrftool.learning.networks.encoders import Encoder, EncoderSpec, evaluating, preset, times_of
from mrftool.learning.optimisers import new_optimisers
from mrftool.learning.parallel import is_first, replicated, share
from mrftool.learning.step import Losses, StepLosses, take_step
from mrftool.learning.table_tensors import table_from_tensors, table_to_tensors
from mrftool.manifold.parameters import FITTED
from mrftool.manifold.table import SignalTable
from mrftool.sequence import PulseSequence

Report = Callable[[int, dict[str, float]], None]  # takes the step, and its losses and scores
VALIDATION_SNR = (5.0, 20.0, 50.0)
_MOST_DRAWN = 4  # batches in advance, for a device that is faster than one thread of the host
_WARM_UP = 0.05  # share of the steps
_VALIDATION_SEED = 2**32 - 1
_VALIDATION_VOXELS = 4096
# Voxels that are validated at once: a wide network needs memory for each.
_VALIDATION_BLOCK = 512
# The rows of this batch set the scale of the inputs; no step draws it.
_STANDARD_BATCH = 2**32 - 3
_STANDARD_VOXELS = 8192
# Errors count where the relative bound is below this, or of the tissue with the lowest bounds this
# share: elsewhere no estimator is unbiased.
_LARGEST_BOUND, _LEAST_SHARE = 0.2, 0.1


def prepare_run(
    sequences: list[PulseSequence], config: TrainConfig, folder: Path, device: torch.device
) -> TrainingRun:
    """A new run in a new folder, with the tables of its sequences.

    Raises
    ------
    ArgumentError
        If the folder holds a run already.
    """
    if holds_run(folder):
        raise ArgumentError(
            f"{folder} holds a run already, expected a new folder",
            hint="resume that run, or choose another folder",
        )
    sources = [Source(sequence, table_for(sequence, config)) for sequence in sequences]
    folder.mkdir(parents=True, exist_ok=True)
    return start_run(sources, config, device)


def table_for(sequence: PulseSequence, config: TrainConfig) -> SignalTable:
    """The table of a sequence over what a run is trained for."""
    ranges: dict[str, Any] = config.range_keywords
    return model_table(sequence, adc=config.adc, form=config.form, **ranges)


def start_run(sources: list[Source], config: TrainConfig, device: torch.device) -> TrainingRun:
    """A run before its first step, its weights drawn from the seed."""
    spec = _spec(sources, config)
    sources = [_as_from_checkpoint(source) for source in sources]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = Encoder(spec)
        decoder = decoder_of(config, sources, device)
    standard = replace(config, batch=_STANDARD_VOXELS)
    parts = draw_batches(sources, standard, spec.takes, _STANDARD_BATCH)
    encoder.standardise(torch.cat([part.rows for part in parts]))
    encoder = encoder.to(device)
    optimisers = new_optimisers(encoder, decoder, config)
    return TrainingRun(config, sources, spec, encoder, decoder, optimisers)


def resume_run(
    folder: Path, device: torch.device, note: Callable[[str], None] | None = None
) -> TrainingRun:
    """The run in `folder` as its last checkpoint holds it, or the one before if that is damaged.

    note: called with a sentence in that case.

    Raises
    ------
    InputError
        If there is no sound checkpoint.
    """
    if not holds_run(folder):
        raise InputError(f"{folder}: no {LAST}, expected the folder of a training run")
    run, damage = load_latest(folder, device)
    if damage and note:
        note(f"{damage}: the checkpoint before it is taken, step {run.step}")
    return run


def train(run: TrainingRun, folder: Path, report: Report) -> dict[str, float]:
    """Train to the last step, validating and writing checkpoints; returns the last scores.

    report is called after every step with its number and losses, and scores if it was validated.
    """
    scores: dict[str, float] = {}
    network = replicated(Losses(run))
    queued: list[StepLosses] = []
    with closing(_batches(run)) as batches:
        while run.step < run.config.steps:
            factor = _rate_factor(run.step, run.config.steps)
            queued.append(take_step(run, network, next(batches), factor))
            run.step += 1
            is_checked = _is_validated(run)
            _report_all(queued, report, n_left=int(_is_on_cuda(run) or is_checked))
            if not is_checked:
                continue
            losses = queued.pop().read()
            if is_first():
                scores = validate(run)
                _save(run, folder, scores)
                losses |= scores
            report(run.step, losses)
    if is_first():
        (folder / PREVIOUS).unlink(missing_ok=True)
    return scores


def _report_all(queued: list[StepLosses], report: Report, n_left: int) -> None:
    """Report steps in their order until `n_left` are left: a device computes while the host goes on
    to the next step.
    """
    while len(queued) > n_left:
        losses = queued.pop(0)
        report(losses.step + 1, losses.read())


def _batches(run: TrainingRun) -> Generator[list[Batch]]:
    """What each step of the run learns from, on its device; other threads draw it in advance."""
    device = next(run.encoder.parameters()).device

    def draw(k: int) -> list[Batch]:
        return [share(part).to(device) for part in _batch(run, k)]

    n_drawn = 1
    if _is_on_cuda(run):
        n_drawn = min(usable_processors(), _MOST_DRAWN)
    with ThreadPoolExecutor(n_drawn) as executor:
        steps = count(run.step)
        drawn = deque(executor.submit(draw, k) for k in islice(steps, n_drawn))
        while True:
            batch = drawn.popleft().result()
            drawn.append(executor.submit(draw, next(steps)))
            yield batch


def _is_on_cuda(run: TrainingRun) -> bool:
    return next(run.encoder.parameters()).is_cuda


def validate(run: TrainingRun) -> dict[str, float]:
    """Root mean square error over the Cramer-Rao bound at several SNRs, and their mean, "score".

    On tissue that training never draws.
    """
    scores = {f"rmse_over_bound_snr{snr:g}": _rmse_over_bound(run, snr) for snr in VALIDATION_SNR}
    return {**scores, "score": float(np.mean(list(scores.values())))}


def pick_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA if there is a CUDA device, else the CPU.

    Raises
    ------
    ArgumentError
        If there is no such device.
    """
    has_cuda = torch.cuda.is_available()
    if name == "cpu" or (name == "auto" and not has_cuda):
        return torch.device("cpu")
    if name == "auto":
        return torch.device("cuda")
    if name != "cuda" and not name.startswith("cuda:"):
        raise ArgumentError(f"device {name!r}, expected cpu, cuda or auto")
    if not has_cuda:
        raise ArgumentError(f"device {name}: this machine has no CUDA device, expected cpu")
    return torch.device(name)


def _as_from_checkpoint(source: Source) -> Source:
    """The source as a checkpoint gives it back: so a resumed run continues exactly."""
    return Source(
        sequence_from_dict(sequence_to_dict(source.sequence)),
        table_from_tensors(table_to_tensors(source.table)),
    )


def _spec(sources: list[Source], config: TrainConfig) -> EncoderSpec:
    """The encoder of a run. Raises ArgumentError if it cannot take all sequences."""
    kind, table = preset(config.encoder), sources[0].table
    n_inputs = n_used = _common_length(sources)
    if kind.takes == "features":
        if len(sources) > 1:
            raise ArgumentError(
                f"encoder {config.encoder} with {len(sources)} sequences, expected one: its input"
                " belongs to a sequence",
                hint="encoders fc, rnn and hydra take whole fingerprints",
            )
        n_inputs = sources[0].row_length("features")
        n_used = table.rank
        if not table.basis.is_real:
            n_used = n_inputs
    t1, ratio = log_range(config.t1_range), log_ratio_range(config)
    return EncoderSpec(
        kind=config.encoder,
        **vars(kind),
        n_inputs=n_inputs,
        n_used=n_used,
        n_given=len(config.ranges) - len(FITTED),
        center=(t1[0], -ratio[0] / 2),
        scale=(t1[1], ratio[1]),
    )


def _common_length(sources: list[Source]) -> int:
    """Repetitions of all sequences. Raises ArgumentError if they differ."""
    lengths = {len(source.sequence) for source in sources}
    if len(lengths) > 1:
        texts = ", ".join(map(str, sorted(lengths)))
        raise ArgumentError(f"sequences of {texts} repetitions, expected one length")
    return lengths.pop()


def _is_validated(run: TrainingRun) -> bool:
    return run.step % run.config.validate_every == 0 or run.step == run.config.steps


def _save(run: TrainingRun, folder: Path, scores: dict[str, float]) -> None:
    if scores["score"] < run.best:
        run.best = scores["score"]
        save_run(run, folder, BEST, scores)
    save_run(run, folder, LAST, scores)


def _batch(run: TrainingRun, k: int) -> list[Batch]:
    return draw_batches(run.sources, run.config, run.spec.takes, k)


def _rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    done = step / steps
    if done < _WARM_UP:
        return (done + 1 / steps) / (_WARM_UP + 1 / steps)
    return 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))


def _rmse_over_bound(run: TrainingRun, snr: float) -> float:
    """Of log T1 and log T2 together, over tissue whose bound is small."""
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
    blocks = torch.split(batch.rows, _VALIDATION_BLOCK)
    with evaluating(run.encoder), torch.no_grad():
        predicted = times_of(torch.cat([run.encoder(rows) for rows in blocks]))
    largest = batch.bound.max(dim=1).values
    limit = max(_LARGEST_BOUND, float(torch.quantile(largest, _LEAST_SHARE)))
    return ((predicted - batch.target) / batch.bound)[largest <= limit]
