"""The training loop: batches, losses, validation, checkpoints. Ten steps are five, a resume, and five: bit for bit."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mrftool.errors import CheckFailedError, InputError, UsageError
from mrftool.formats.sequence_yaml import sequence_from_dict, sequence_to_dict
from mrftool.inference.make import model_table
from mrftool.learning.batches import Batch, draw_batch, draw_tissue, log_range, make_batch
from mrftool.learning.bloch import decode
from mrftool.learning.checkpoint import Run, load_run, new_optimisers, save_run, table_from_tensors, table_to_tensors
from mrftool.learning.config import TrainConfig
from mrftool.learning.encoders import Encoder, EncoderSpec, preset
from mrftool.learning.losses import embedding_loss, reconstruction_loss
from mrftool.physics.table import SignalTable
from mrftool.sequence import PulseSequence

Report = Callable[[int, dict[str, float]], None]
VALIDATION_SNR = (5.0, 20.0, 50.0)
_WARM_UP = 0.05
_VALIDATION_SEED = 2**32 - 1
_VALIDATION_VOXELS = 4096
_STANDARD_BATCH = 2**32 - 3  # the batch whose rows set the scale of the inputs: no step draws it
_TYPICAL = 8192


def start_run(sequence: PulseSequence, table: SignalTable, config: TrainConfig, device: torch.device) -> Run:
    """A run before its first step, its weights drawn from the seed."""
    takes, hidden, activation = preset(config.encoder)
    per_coefficient = 2 if config.form == "complex" else 1
    t1, ratio = log_range(config.t1_range), log_range((config.t2_range[0] / config.t1_range[1], 1.0))
    n_inputs = table.rank * per_coefficient if takes == "features" else len(sequence)
    spec = EncoderSpec(
        kind=config.encoder,
        takes="features" if takes == "features" else "fingerprint",
        n_inputs=n_inputs,
        n_used=table.rank if takes == "features" and table.basis.is_real else n_inputs,
        hidden=hidden,
        activation=activation,
        takes_b1=config.b1_range is not None,
        center=(t1[0], -ratio[0] / 2),
        scale=(t1[1], ratio[1]),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = Encoder(spec)
    # Exactly what a checkpoint gives back: resuming is exact.
    sequence = sequence_from_dict(sequence_to_dict(sequence))
    table = table_from_tensors(table_to_tensors(table))
    encoder.standardise(draw_batch(table, replace(config, batch=_TYPICAL), spec.takes, _STANDARD_BATCH).rows)
    encoder = encoder.to(device)
    return Run(config, sequence, table, spec, encoder, new_optimisers(encoder, config))


def resume_run(folder: Path, device: torch.device) -> Run:
    """The run in `folder` where its last checkpoint left it. Raises InputError if there is none."""
    path = folder / "last.safetensors"
    if not path.exists():
        raise InputError(f"{folder}: no last.safetensors, expected the folder of a training run")
    return load_run(path, device)[0]


def train(run: Run, folder: Path, report: Report) -> dict[str, float]:
    """Take the run to its last step, validating and writing checkpoints on the way; the scores at the end.

    report: called after every step with the number of the step and its losses, and scores where it was validated.
    """
    device = next(run.encoder.parameters()).device
    scores: dict[str, float] = {}
    with ThreadPoolExecutor(1) as ahead:
        next_batch = ahead.submit(_batch, run, run.step)
        while run.step < run.config.steps:
            batch = next_batch.result().to(device)
            next_batch = ahead.submit(_batch, run, run.step + 1)
            losses = _step(run, batch)
            run.step += 1
            if run.step % run.config.validate_every == 0 or run.step == run.config.steps:
                scores = validate(run)
                _keep(run, folder, scores)
                losses |= scores
            report(run.step, losses)
    return scores


def validate(run: Run) -> dict[str, float]:
    """Root mean square error over the Cramer-Rao bound, at several SNR, on tissue that training never draws."""
    scores = {f"rmse_over_bound_snr{snr:g}": _rmse_over_bound(run, snr) for snr in VALIDATION_SNR}
    return {**scores, "score": float(np.mean(list(scores.values())))}


def _keep(run: Run, folder: Path, scores: dict[str, float]) -> None:
    if scores["score"] < run.best:
        run.best = scores["score"]
        save_run(run, folder, "best", scores)
    save_run(run, folder, "last", scores)


def _batch(run: Run, k: int) -> Batch:
    return draw_batch(run.table, run.config, run.spec.takes, k)


def _step(run: Run, batch: Batch) -> dict[str, float]:
    for group in (group for optimiser in run.optimisers for group in optimiser.param_groups):
        group["lr"] = run.config.rate * _rate_factor(run.step, run.config.steps)
    run.encoder.train()
    out = run.encoder(batch.rows)
    predicted = torch.stack([out[:, 0], out[:, 0] + out[:, 1]], dim=1)
    _require_times(predicted, run.step)
    embedding = embedding_loss(predicted, batch.target, batch.bound if run.config.loss == "bound" else None)
    loss, losses = embedding, {"embedding": float(embedding.detach())}
    if run.config.decoder == "bloch":
        reconstruction = _reconstruction(run, predicted, batch)
        loss = loss + run.config.weight * reconstruction
        losses["reconstruction"] = float(reconstruction.detach())
    run.encoder.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.encoder.parameters(), 1.0)
    for optimiser in run.optimisers:
        optimiser.step()
    return {**losses, "loss": float(loss.detach())}


def _require_times(logs: torch.Tensor, step: int) -> None:
    """Raises CheckFailedError where a log T1 or log T2 is that of no time: the run has diverged."""
    times = logs.detach().exp()
    if not bool(((times > 0) & torch.isfinite(times)).all()):
        raise CheckFailedError(
            f"step {step}: the encoder gives times that are none, expected it to learn", hint="try a smaller --rate"
        )


def _reconstruction(run: Run, predicted: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Decode the predicted tissue with the EPG engine, compress, and compare with the clean fingerprint.

    That is complex even where the encoder sees magnitudes: their phase is what the engine says.
    """
    t1, t2 = predicted.exp().unbind(dim=1)
    signal = decode(run.sequence, t1, t2, b1=batch.b1, adc=run.config.adc)
    vectors = torch.as_tensor(run.table.basis.vectors).conj().to(signal.device, signal.dtype)
    decoded = signal @ vectors
    decoded = decoded if batch.clean.is_complex() else decoded.real
    decoded = decoded / torch.linalg.vector_norm(decoded, dim=1, keepdim=True).clamp_min(1e-20)
    return reconstruction_loss(decoded, batch.clean, batch.noise if run.config.loss == "bound" else None)


def _rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    done = step / steps
    if done < _WARM_UP:
        return (done + 1 / steps) / (_WARM_UP + 1 / steps)
    return 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))


def _rmse_over_bound(run: Run, snr: float) -> float:
    """Of log T1 and log T2 together, where the bound itself is below 20 percent: beyond, no estimator is unbiased.

    Of a sequence that determines less than a tenth of the tissue so well, it is the best tenth.
    """
    random = np.random.default_rng((_VALIDATION_SEED, run.config.seed))
    tissue = draw_tissue(replace(run.config, batch=_VALIDATION_VOXELS), random)
    batch = make_batch(run.table, run.spec.takes, tissue, np.full(len(tissue), snr), random)
    batch = batch.to(next(run.encoder.parameters()).device)
    run.encoder.eval()
    with torch.no_grad():
        out = run.encoder(batch.rows)
    predicted = torch.stack([out[:, 0], out[:, 0] + out[:, 1]], dim=1)
    worse = batch.bound.max(dim=1).values
    fair = worse <= max(0.2, float(torch.quantile(worse, 0.1)))
    return float(((predicted - batch.target) / batch.bound)[fair].square().mean().sqrt())


def prepare_run(sequence: PulseSequence, config: TrainConfig, folder: Path, device: torch.device) -> Run:
    """A new run in a folder that holds none: it begins with the table of the sequence.

    Raises UsageError if the folder holds a run already.
    """
    if (folder / "last.safetensors").exists():
        raise UsageError(f"{folder} holds a run already, expected a new folder", hint="pass --resume to go on with it")
    table = model_table(
        sequence,
        t1_range=config.t1_range,
        t2_range=config.t2_range,
        b1_range=config.b1_range,
        adc=config.adc,
        form=config.form,
    )
    folder.mkdir(parents=True, exist_ok=True)
    return start_run(sequence, table, config, device)


def pick_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one. Raises UsageError if there is no such device."""
    has_cuda = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if has_cuda else "cpu")
    if name not in ("cpu", "cuda") and not name.startswith("cuda:"):
        raise UsageError(f"device {name!r}, expected cpu, cuda or auto")
    if name != "cpu" and not has_cuda:
        raise UsageError(f"device {name}: this machine has no CUDA device, expected cpu")
    return torch.device(name)
