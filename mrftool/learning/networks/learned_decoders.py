"""Learned decoders: networks from tissue to fingerprint, to compare the Bloch decoder with.

Source of their sizes: the paper that BlochNet comes from, as its authors ran it.
"""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mrftool.learning.config import TrainConfig, log_range, log_ratio_range
from mrftool.learning.networks.layers import fully_connected
from mrftool.sequence import PulseSequence

Parts = Literal[1, 2]


def train_columns(sequence: PulseSequence) -> Tensor:
    """What a recurrent decoder is told of the pulse of each echo `(time, 3)`.

    Flip angle [rad], TE and TR in units of 10 ms.
    """
    flip, tr = sequence.flip_angle[sequence.observed], sequence.tr[sequence.observed]
    columns = np.stack([flip, sequence.observed_te * 100, tr * 100], axis=1)
    return torch.from_numpy(columns.astype(np.float32))


def new_decoder(config: TrainConfig, n_time: int, parts: Parts) -> "LearnedDecoder | None":
    """The decoder that a run trains, before its first step; None if it trains none.

    parts: real numbers per point of time: 1 if all signals have one phase, else 2.
    """
    body: nn.Module
    if config.decoder == "fc":
        body = _FullyConnectedDecoder(config, n_time, parts)
    elif config.decoder == "rnn":
        body = _RecurrentDecoder(config, parts)
    else:
        return None
    t1, ratio = log_range(config.t1_range), log_ratio_range(config)
    return LearnedDecoder(body, (t1[0], t1[0] + ratio[0]), (t1[1], ratio[1]), parts)


class LearnedDecoder(nn.Module):
    """Log T1 and log T2 to a fingerprint, by a network."""

    def __init__(
        self, body: nn.Module, center: tuple[float, float], scale: tuple[float, float], parts: Parts
    ) -> None:
        super().__init__()
        self.body, self.parts = body, parts
        self.register_buffer("center", torch.tensor(center))
        self.register_buffer("scale", torch.tensor(scale))
        self.center: Tensor
        self.scale: Tensor

    def forward(
        self, logs: Tensor, given: Tensor, columns: Tensor, phase_factor: complex
    ) -> Tensor:
        """Fingerprints `(voxel, time)` complex64, of arbitrary norm.

        Parameters
        ----------
        logs
            Log T1 and log T2 `(voxel, 2)` [log s].
        given
            Given parameters that are inputs `(voxel, given)`.
        columns
            See `train_columns`.
        phase_factor
            The factor of magnitude 1 that makes such a fingerprint real.
        """
        inputs = torch.cat([(logs - self.center) / self.scale, given], dim=1)
        out = self.body(inputs, columns)
        if self.parts == 1:
            out = torch.cat([out, torch.zeros_like(out)], dim=2)
        signal = torch.view_as_complex(out.contiguous())
        return signal * complex(phase_factor).conjugate()


class _FullyConnectedDecoder(nn.Module):
    """Layers of 2-300-300-1000-time; it is not told the sequence."""

    def __init__(self, config: TrainConfig, n_time: int, parts: int) -> None:
        super().__init__()
        self.shape = (-1, n_time, parts)
        sizes = (len(config.ranges), 300, 300, 1000, n_time * parts)
        self.layers = fully_connected(sizes, "relu")

    def forward(self, inputs: Tensor, columns: Tensor) -> Tensor:
        signal: Tensor = self.layers(inputs).reshape(self.shape)
        return signal


class _RecurrentDecoder(nn.Module):
    """Three layers of 32 gated recurrent units over time.

    Each step is told the tissue, and flip angle, TE and TR of its repetition.
    """

    def __init__(self, config: TrainConfig, parts: int) -> None:
        super().__init__()
        self.units = nn.GRU(len(config.ranges) + 3, 32, 3, batch_first=True)
        self.out = nn.Linear(32, parts)

    def forward(self, inputs: Tensor, columns: Tensor) -> Tensor:
        shape: Any = (len(inputs), len(columns), -1)
        steps = torch.cat([inputs[:, None].expand(shape), columns[None].expand(shape)], dim=2)
        signal: Tensor = self.out(self.units(steps)[0])
        return signal
