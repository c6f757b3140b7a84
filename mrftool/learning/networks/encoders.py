"""Encoders: networks from a fingerprint to log T1 and log(T2/T1), the latter never above 0."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mrftool.errors import ArgumentError
from mrftool.learning.networks.layers import fully_connected, gru, hydra

Takes = Literal["features", "fingerprint"]


@dataclass(frozen=True)
class Preset:
    """A kind of encoder: what it takes, and the layers between.

    body: how they are connected, see `mrftool.learning.networks.layers`. hidden: their widths.
    stride: points of time that enter a step of "gru" together (0: all), or between neighbours that
    "hydra" keeps.
    """

    takes: Takes
    body: Literal["fully_connected", "gru", "hydra"]
    hidden: tuple[int, ...]
    activation: Literal["relu", "silu"] = "relu"
    stride: int = 1


PRESETS: dict[str, Preset] = {
    "compact": Preset("features", "fully_connected", (128, 128, 128), "silu"),
    "fc": Preset("fingerprint", "fully_connected", (1000, 300, 300)),  # the paper's
    "rnn": Preset("fingerprint", "gru", (128, 128), stride=25),
    "rnn-whole": Preset(
        "fingerprint", "gru", (300, 300, 300), stride=0
    ),  # the paper authors': one step
    "hydra": Preset(
        "fingerprint", "hydra", (16, 32, 64, 128)
    ),  # P. Song et al., Med Phys 46:4951 (2019)
    "hydra-fast": Preset("fingerprint", "hydra", (16, 32, 64, 128), stride=4),
}


@dataclass(frozen=True)
class EncoderSpec:
    """All that rebuilds an encoder, but for its weights.

    kind: name of the preset.
    takes: "features" = phase-aligned unit-norm compressed coefficients, "fingerprint" = real part
        of the phase-aligned unit-norm signal (magnitude form: the unit-norm magnitude).
    body, hidden, activation, stride: see `Preset`.
    n_inputs: length of that row, without B1. takes_b1: whether B1 is appended to it.
    n_used: how many columns of it count: of a real manifold the imaginary parts hold nothing but
    noise.
    center, scale: of log T1 and log(T2/T1).
    """

    kind: str
    takes: Takes
    body: str
    n_inputs: int
    hidden: tuple[int, ...]
    activation: str
    stride: int
    n_used: int
    takes_b1: bool
    center: tuple[float, float]
    scale: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON writes it."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> "EncoderSpec":
        """What to_dict gave."""
        facts: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return EncoderSpec(**facts)


def preset(kind: str) -> Preset:
    """The preset of that name. Raises ArgumentError for an unknown kind."""
    if kind not in PRESETS:
        raise ArgumentError(f"no encoder {kind!r}, expected one of: {', '.join(PRESETS)}")
    return PRESETS[kind]


class Encoder(nn.Module):
    """A body, then log T1 = center + scale x out, log(T2/T1) = -softplus(center + scale x out)."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.layers = _body(spec)
        self.n_inputs, self.n_used = spec.n_inputs, spec.n_used
        columns = spec.n_used + spec.takes_b1
        self.register_buffer("offset", torch.zeros(columns))
        self.register_buffer("gain", torch.ones(columns))
        self.register_buffer("center", torch.tensor(spec.center))
        self.register_buffer("scale", torch.tensor(spec.scale))
        self.offset: Tensor
        self.gain: Tensor
        self.center: Tensor
        self.scale: Tensor

    def standardise(self, rows: Tensor) -> None:
        """Take offset and gain from typical rows, so that each column that counts has mean 0 and
        variance 1.
        """
        columns = self._used(rows)
        self.offset.copy_(columns.mean(dim=0))
        self.gain.copy_(1 / columns.std(dim=0).clamp_min(1e-6))

    def _used(self, rows: Tensor) -> Tensor:
        return torch.cat([rows[:, : self.n_used], rows[:, self.n_inputs :]], dim=1)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows `(voxel, n_inputs [+ 1])` to log T1 [log s] and log(T2/T1) `(voxel, 2)`."""
        out = self.center + self.scale * self.layers((self._used(rows) - self.offset) * self.gain)
        return torch.stack([out[:, 0], -nn.functional.softplus(out[:, 1])], dim=1)


def times_of(out: Tensor) -> Tensor:
    """Log T1, log T2 [log s] `(voxel, 2)` of an encoder's output: log T1 and log(T2/T1)."""
    return torch.stack([out[:, 0], out[:, 0] + out[:, 1]], dim=1)


def _body(spec: EncoderSpec) -> nn.Module:
    if spec.body == "fully_connected":
        return fully_connected((spec.n_used + spec.takes_b1, *spec.hidden, 2), spec.activation)
    build = {"gru": gru, "hydra": hydra}[spec.body]
    return build(spec.n_used, int(spec.takes_b1), spec.hidden, spec.stride)
