"""One step of training: predict, decode, compare, and change the weights."""

from functools import lru_cache

import torch
from torch import Tensor, nn

from mrftool.errors import CheckFailedError
from mrftool.learning.batches import Batch, Source
from mrftool.learning.checkpoint import TrainingRun
from mrftool.learning.losses import embedding_loss, reconstruction_loss
from mrftool.learning.networks.bloch_decoder import decode
from mrftool.learning.networks.encoders import times_of
from mrftool.learning.networks.learned_decoders import train_columns
from mrftool.learning.networks.table_decoder import TableDecoder
from mrftool.manifold.table import SignalTable

_VALID = "is_valid"  # among the losses on CUDA: whether all T1 and T2 are positive and finite


class StepLosses:
    """The losses of a step, on their way from the device."""

    def __init__(self, step: int, losses: dict[str, Tensor]) -> None:
        self.step, self.names = step, list(losses)
        values = torch.stack([value.detach().float() for value in losses.values()])
        self.values = values.to("cpu", non_blocking=True)
        self.is_there: torch.cuda.Event | None = None
        if values.is_cuda:
            self.is_there = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self.is_there.record()

    def read(self) -> dict[str, float]:
        """The losses as numbers, once the device has computed them.

        Raises CheckFailedError if training has diverged.
        """
        if self.is_there is not None:
            self.is_there.synchronize()
        losses = dict(zip(self.names, self.values.tolist(), strict=True))
        if not losses.pop(_VALID, True):
            raise _diverged(self.step)
        return losses


class Losses(nn.Module):
    """All networks of a run; called with a batch it gives its losses, see `batch_losses`."""

    def __init__(self, run: TrainingRun) -> None:
        super().__init__()
        self.run, self.encoder, self.decoder = run, run.encoder, run.decoder

    def forward(self, parts: list[Batch]) -> dict[str, Tensor]:
        """Losses of a batch, a part for each sequence."""
        return batch_losses(self.run, parts)


def take_step(
    run: TrainingRun, network: nn.Module, parts: list[Batch], rate_factor: float
) -> "StepLosses":
    """One optimiser step on a batch; returns the losses before it.

    Nothing is read back from the device, so that the next step can be queued at once.

    Parameters
    ----------
    run
        The run, whose weights and optimisers change.
    network
        The `Losses` of the run, or one of several replicas.
    parts
        A batch, one part for each sequence of the run.
    rate_factor
        Learning rate over its peak [1].

    Raises
    ------
    CheckFailedError
        If training has diverged: the encoder's T1 or T2 are no longer positive and finite. On CUDA
        this shows when the losses are read.
    """
    for optimiser in run.optimisers:
        for group in optimiser.param_groups:
            group["lr"] = run.config.rate * rate_factor
    network.train()
    network.zero_grad(set_to_none=True)
    losses: dict[str, Tensor] = network(parts)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for optimiser in run.optimisers:
        optimiser.step()
    return StepLosses(run.step, losses)


def batch_losses(run: TrainingRun, parts: list[Batch]) -> dict[str, Tensor]:
    """The losses of a batch: means over its voxels, of all sequences together."""
    predicted = times_of(run.encoder(torch.cat([part.rows for part in parts])))
    valid = _validity(predicted, run.step)
    target = torch.cat([part.target for part in parts])
    embedding = embedding_loss(predicted, target, _bound(run, parts))
    if run.config.decoder == "none":
        return {"embedding": embedding, "loss": embedding} | valid
    predictions = torch.split(predicted, [len(part.rows) for part in parts])
    decoded = [
        reconstruct(run, *item) for item in zip(run.sources, predictions, parts, strict=True)
    ]
    reconstruction = torch.cat(decoded).mean()
    loss = run.config.weight * reconstruction
    if run.config.labels:
        loss = loss + embedding
    return {"embedding": embedding, "reconstruction": reconstruction, "loss": loss} | valid


def _bound(run: TrainingRun, parts: list[Batch]) -> Tensor | None:
    """Relative Cramer-Rao bound of each voxel, where the loss is relative to it."""
    if run.config.loss != "bound":
        return None
    return torch.cat([part.bound for part in parts])


def reconstruct(run: TrainingRun, source: Source, predicted: Tensor, batch: Batch) -> Tensor:
    """Reconstruction loss of each decoded voxel `(voxel,)`.

    The predicted tissue (log T1, log T2 `(voxel, 2)`) is decoded and compared with the clean
    fingerprint, which is complex even if the encoder sees magnitudes: the decoder gives the phase.
    """
    n_decoded = run.config.decode_voxels * len(batch.rows) // run.config.batch or len(batch.rows)
    predicted, batch = predicted[:n_decoded], batch[:n_decoded]
    signal = _decoded(run, source, predicted, batch.given)
    norm = torch.linalg.vector_norm(signal, dim=1, keepdim=True).clamp_min(1e-20)
    noise = None
    if run.config.loss == "bound":
        noise = batch.noise
    return reconstruction_loss(signal / norm, batch.clean, noise)


def _decoded(run: TrainingRun, source: Source, predicted: Tensor, given: Tensor) -> Tensor:
    """Fingerprints of log T1, log T2 `(voxel, 2)` by the run's decoder, as `Batch.clean`."""
    if run.config.decoder == "table":
        return _table_decoder(source.table, predicted.device)(predicted, given)
    if run.decoder is None:
        t1, t2 = predicted.exp().unbind(dim=1)
        names = [parameter.name for parameter in source.table.given]
        columns = dict(zip(names, given.unbind(dim=1), strict=True))
        basis, adc = source.table.basis, run.config.adc
        return decode(source.sequence, t1, t2, adc=adc, basis=basis, **columns)
    train = train_columns(source.sequence).to(predicted.device)
    signal: Tensor = run.decoder(predicted, given, train, source.table.basis.phase_factor)
    return signal


@lru_cache(maxsize=8)
def _table_decoder(table: SignalTable, device: torch.device) -> TableDecoder:
    return TableDecoder(table, device)


def _validity(logs: Tensor, step: int) -> dict[str, Tensor]:
    """Whether all T1 and T2 are positive and finite, as one of the losses on CUDA.

    Raises CheckFailedError on the CPU if they are not.
    """
    times = logs.detach().exp()
    is_valid = ((times > 0) & torch.isfinite(times)).all()
    if is_valid.is_cuda:
        return {_VALID: is_valid}
    if not is_valid:
        raise _diverged(step)
    return {}


def _diverged(step: int) -> CheckFailedError:
    return CheckFailedError(
        f"step {step}: training diverged: the encoder's T1 or T2 are not positive and finite",
        hint="try a smaller learning rate",
    )
