"""Layers of the encoders and learned decoders: fully connected, recurrent over time, and
convolutional.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}


def fully_connected(sizes: tuple[int, ...], activation: str) -> nn.Module:
    """Linear layers of these sizes, the input first and the output last, an activation between each
    two.
    """
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(sizes):
        layers += [nn.Linear(width_in, width_out), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def gru(n_time: int, n_extra: int, hidden: tuple[int, ...], stride: int) -> nn.Module:
    """Gated recurrent units over time, `stride` points a step (0: all points in one step), then two
    numbers.
    """
    return _Gru(n_time, n_extra, hidden, stride or n_time)


class _Gru(nn.Module):
    def __init__(self, n_time: int, n_extra: int, hidden: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.n_time, self.n_extra = n_time, n_extra
        self.stride, self.steps = stride, -(-n_time // stride)
        sizes = (stride + n_extra, *hidden)
        self.units = nn.ModuleList(nn.GRU(a, b, batch_first=True) for a, b in pairwise(sizes))
        self.out = nn.Linear(hidden[-1], 2)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows `(voxel, n_time + n_extra)` to `(voxel, 2)`; what is missing at the end of the last
        step is 0.
        """
        missing = self.steps * self.stride - self.n_time
        frames = nn.functional.pad(rows[:, : self.n_time], (0, missing)).reshape(
            -1, self.steps, self.stride
        )
        if self.n_extra:
            frames = torch.cat(
                [frames, rows[:, None, self.n_time :].expand(-1, self.steps, -1)], dim=2
            )
        for unit in self.units:
            frames, _ = unit(frames)
        found: Tensor = self.out(frames[:, -1])
        return found


def hydra(n_time: int, n_extra: int, hidden: tuple[int, ...], stride: int) -> nn.Module:
    """HYDRA's non-local residual network over time, then two numbers.

    Two convolutions of 21 points, then residual stages, each of twice the channels at half the
    points; after each stage a non-local block; the mean over time; a linear layer.

    Sources: P. Song et al., Med Phys 46:4951 (2019), doi 10.1002/mp.13727; non-local block,
    embedded Gaussian: X. Wang et al., CVPR 2018, doi 10.1109/CVPR.2018.00813.
    """
    return _Hydra(n_time, n_extra, hidden, stride)


class _Hydra(nn.Module):
    def __init__(self, n_time: int, n_extra: int, hidden: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.n_time = n_time
        first = nn.Conv1d(1 + n_extra, hidden[0], 21, stride=stride, padding=10)
        self.stem = nn.Sequential(
            first, nn.ReLU(), nn.Conv1d(hidden[0], hidden[0], 21, padding=10), nn.ReLU()
        )
        stages: list[nn.Module] = [_NonLocal(hidden[0])]
        for width_in, width_out in pairwise(hidden):
            stages += [nn.MaxPool1d(2), _Residual(width_in, width_out), _NonLocal(width_out)]
        self.stages = nn.Sequential(*stages)
        self.out = nn.Linear(hidden[-1], 2)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows `(voxel, n_time + n_extra)` to `(voxel, 2)`; each extra number is a channel that is
        constant in time.
        """
        signal = rows[:, None, : self.n_time]
        if rows.shape[1] > self.n_time:
            signal = torch.cat(
                [signal, rows[:, self.n_time :, None].expand(-1, -1, self.n_time)], dim=1
            )
        found: Tensor = self.out(self.stages(self.stem(signal)).mean(dim=2))
        return found


class _Residual(nn.Module):
    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.widen, self.convolve = (
            nn.Conv1d(width_in, width_out, 1),
            nn.Conv1d(width_out, width_out, 21, padding=10),
        )

    def forward(self, x: Tensor) -> Tensor:
        wide = relu(self.widen(x))
        return wide + relu(self.convolve(wide))


class _NonLocal(nn.Module):
    """x + W softmax(theta(x)' phi(x)) g(x): every point of time sees all others."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(width // 2, 1)
        self.query, self.key, self.value = (nn.Conv1d(width, inner, 1) for _ in range(3))
        self.back = nn.Conv1d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.query(x).transpose(1, 2) @ self.key(x), dim=2)
        seen = self.value(x) @ weights.transpose(1, 2)
        return x + self.back(seen)  # type: ignore[no-any-return]
