"""One step of training: predict, decode, compare, and change the weights."""

import torch
from torch import Tensor, nn

from mrftool.errors import CheckFailedError
from mrftool.learning.batches import Batch, Source
from mrftool.learning.checkpoint import TrainingRun
from mrftool.learning.losses import embedding_loss, reconstruction_loss
from mrftool.learning.networks.bloch_decoder import decode
from mrftool.learning.networks.encoders import times_of
from mrftool.learning.networks.learned_decoders import train_columns


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
) -> dict[str, float]:
    """One optimiser step on a batch, a part for each sequence; the losses before it.

    network: the `Losses` of the run, perhaps one of several replicas.

    Raises CheckFailedError if the encoder's T1 or T2 are no times any more.
    """
    for group in (group for optimiser in run.optimisers for group in optimiser.param_groups):
        group["lr"] = run.config.rate * rate_factor
    network.train()
    network.zero_grad(set_to_none=True)
    losses: dict[str, Tensor] = network(parts)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for optimiser in run.optimisers:
        optimiser.step()
    return {name: float(value.detach()) for name, value in losses.items()}


def batch_losses(run: TrainingRun, parts: list[Batch]) -> dict[str, Tensor]:
    """The losses of a batch: means over its voxels, whatever their sequence."""
    predicted = times_of(run.encoder(torch.cat([part.rows for part in parts])))
    _require_times(predicted, run.step)
    target, bound = (
        torch.cat([getattr(part, key) for part in parts]) for key in ("target", "bound")
    )
    embedding = embedding_loss(predicted, target, bound if run.config.loss == "bound" else None)
    if run.config.decoder == "none":
        return {"embedding": embedding, "loss": embedding}
    each = torch.split(predicted, [len(part.rows) for part in parts])
    decoded = [reconstruct(run, *item) for item in zip(run.sources, each, parts, strict=True)]
    reconstruction = torch.cat(decoded).mean()
    loss = run.config.weight * reconstruction + (embedding if run.config.labels else 0)
    return {"embedding": embedding, "reconstruction": reconstruction, "loss": loss}


def reconstruct(run: TrainingRun, source: Source, predicted: Tensor, batch: Batch) -> Tensor:
    """Decode the predicted tissue and compare with the clean fingerprint: the loss of each decoded
    voxel `(voxel,)`.

    That is complex even where the encoder sees magnitudes: their phase is what the engine says.
    """
    share = run.config.decode_voxels * len(batch.rows) // run.config.batch or len(batch.rows)
    predicted, batch = predicted[:share], batch[:share]
    signal = _decoded(run, source, predicted, batch.b1)
    decoded = signal / torch.linalg.vector_norm(signal, dim=1, keepdim=True).clamp_min(1e-20)
    return reconstruction_loss(
        decoded, batch.clean, batch.noise if run.config.loss == "bound" else None
    )


def _decoded(run: TrainingRun, source: Source, predicted: Tensor, b1: Tensor) -> Tensor:
    """Fingerprints of log T1, log T2 `(voxel, 2)` by the run's decoder, in the form of
    `Batch.clean`.
    """
    if run.decoder is None:
        t1, t2 = predicted.exp().unbind(dim=1)
        return decode(source.sequence, t1, t2, b1=b1, adc=run.config.adc, basis=source.table.basis)
    columns = train_columns(source.sequence).to(predicted.device)
    signal: Tensor = run.decoder(
        predicted, b1 if run.spec.takes_b1 else None, columns, source.table.basis.turn
    )
    return signal


def _require_times(logs: Tensor, step: int) -> None:
    """Raises CheckFailedError where a log T1 or log T2 is that of no time: the run has diverged."""
    times = logs.detach().exp()
    if not bool(((times > 0) & torch.isfinite(times)).all()):
        raise CheckFailedError(
            f"step {step}: the encoder gives times that are none, expected it to learn",
            hint="try a smaller --rate",
        )
