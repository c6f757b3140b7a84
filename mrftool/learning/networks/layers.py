"""Layers of encoders and learned decoders: fully connected, recurrent, and convolutional."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}


def fully_connected(sizes: tuple[int, ...], activation: str) -> nn.Module:
    """Linear layers of these sizes, input first, output last, with an activation between them."""
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(sizes):
        layers += [nn.Linear(width_in, width_out), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def gru(n_time: int, n_extra: int, hidden: tuple[int, ...], stride: int) -> nn.Module:
    """Gated recurrent units over time, then a linear layer to two numbers.

    stride: points in time that enter a step together, 0 for all of them.
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
        """Rows `(voxel, n_time + n_extra)` to `(voxel, 2)`; zeros complete the last step."""
        missing = self.steps * self.stride - self.n_time
        signal = nn.functional.pad(rows[:, : self.n_time], (0, missing))
        frames = signal.reshape(-1, self.steps, self.stride)
        if self.n_extra:
            extra = rows[:, None, self.n_time :].expand(-1, self.steps, -1)
            frames = torch.cat([frames, extra], dim=2)
        for unit in self.units:
            frames, _ = unit(frames)
        out: Tensor = self.out(frames[:, -1])
        return out


def hydra(n_time: int, n_extra: int, hidden: tuple[int, ...], stride: int) -> nn.Module:
    """HYDRA's non-local residual network over time, then two numbers.

    Two convolutions of 21 points, then residual blocks, each of twice the channels at half the
    points; after each a non-local block; the mean over time; a linear layer.

    Sources: P. Song et al., Med Phys 46:4951 (2019), doi 10.1002/mp.13727; non-local block,
    embedded Gaussian: X. Wang et al., CVPR 2018, doi 10.1109/CVPR.2018.00813.
    """
    return _Hydra(n_time, n_extra, hidden, stride)


class _Hydra(nn.Module):
    def __init__(self, n_time: int, n_extra: int, hidden: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.n_time = n_time
        first = nn.Conv1d(1 + n_extra, hidden[0], 21, stride=stride, padding=10)
        second = nn.Conv1d(hidden[0], hidden[0], 21, padding=10)
        self.stem = nn.Sequential(first, nn.ReLU(), second, nn.ReLU())
        blocks: list[nn.Module] = [_NonLocal(hidden[0])]
        for width_in, width_out in pairwise(hidden):
            blocks += [nn.MaxPool1d(2), _Residual(width_in, width_out), _NonLocal(width_out)]
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Linear(hidden[-1], 2)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows `(voxel, n_time + n_extra)` to `(voxel, 2)`.

        Each extra number is a channel that is constant in time.
        """
        channels = rows[:, None, : self.n_time]
        if rows.shape[1] > self.n_time:
            extra = rows[:, self.n_time :, None].expand(-1, -1, self.n_time)
            channels = torch.cat([channels, extra], dim=1)
        out: Tensor = self.out(self.blocks(self.stem(channels)).mean(dim=2))
        return out


class _Residual(nn.Module):
    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.widen = nn.Conv1d(width_in, width_out, 1)
        self.convolve = nn.Conv1d(width_out, width_out, 21, padding=10)

    def forward(self, x: Tensor) -> Tensor:
        wide = relu(self.widen(x))
        return wide + relu(self.convolve(wide))


class _NonLocal(nn.Module):
    """x + W softmax(theta(x)' phi(x)) g(x): every point in time sees all others."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(width // 2, 1)
        self.query, self.key, self.value = (nn.Conv1d(width, inner, 1) for _ in range(3))
        self.back = nn.Conv1d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.query(x).transpose(1, 2) @ self.key(x), dim=2)
        weighted = self.value(x) @ weights.transpose(1, 2)
        return x + self.back(weighted)  # type: ignore[no-any-return]
