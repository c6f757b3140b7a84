"""Encoders: networks from a fingerprint to log T1 and log(T2/T1), the latter never above 0."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from mrftool.errors import ArgumentError
from mrftool.learning.networks.layers import fully_connected, gru, hydra

Takes = Literal["features", "fingerprint"]
_LONGEST_ROW = 100_000


@dataclass(frozen=True)
class Preset:
    """A kind of encoder.

    Parameters
    ----------
    takes
        What it takes: see `EncoderSpec`.
    body
        How its layers are connected: see `mrftool.learning.networks.layers`.
    hidden
        Widths of the layers.
    activation
        Between fully connected layers.
    stride
        Points in time that enter a step of "gru" together (0: all of them), or the distance of
        those that "hydra" keeps.
    """

    takes: Takes
    body: Literal["fully_connected", "gru", "hydra"]
    hidden: tuple[int, ...]
    activation: Literal["relu", "silu"] = "relu"
    stride: int = 1


_HYDRA_WIDTHS = (16, 32, 64, 128)  # P. Song et al., Med Phys 46:4951 (2019)
PRESETS: dict[str, Preset] = {
    "compact": Preset("features", "fully_connected", (128, 128, 128), "silu"),
    "fc": Preset("fingerprint", "fully_connected", (1000, 300, 300)),  # the paper's
    "rnn": Preset("fingerprint", "gru", (128, 128), stride=25),
    # As the paper's authors ran it: all points in time in one step.
    "rnn-whole": Preset("fingerprint", "gru", (300, 300, 300), stride=0),
    "hydra": Preset("fingerprint", "hydra", _HYDRA_WIDTHS),
    "hydra-fast": Preset("fingerprint", "hydra", _HYDRA_WIDTHS, stride=4),
}


@dataclass(frozen=True)
class EncoderSpec:
    """All that rebuilds an encoder but for its weights.

    Parameters
    ----------
    kind
        Name of the preset.
    takes
        "features": compressed coefficients of norm 1, their phase aligned. "fingerprint": the real
        part of the signal of norm 1, its phase aligned; of magnitudes, the magnitude of norm 1.
    body, hidden, activation, stride
        See `Preset`.
    n_inputs
        Length of the input row without given parameters.
    n_used
        How many of its columns are used. If all signals have one phase the imaginary parts hold
        nothing but noise, and are left out.
    n_given
        How many given parameters (B1) are appended to the row.
    center, scale
        Of log T1 and log(T2 / T1): see `Encoder`.
    """

    kind: str
    takes: Takes
    body: str
    n_inputs: int
    hidden: tuple[int, ...]
    activation: str
    stride: int
    n_used: int
    n_given: int
    center: tuple[float, float]
    scale: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON writes it."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> "EncoderSpec":
        """What to_dict gave."""
        facts: dict[str, Any] = dict(data)
        if "takes_b1" in facts:  # of version 0.1.0
            facts["n_given"] = int(facts.pop("takes_b1"))
        for key in ("hidden", "center", "scale"):
            facts[key] = tuple(facts[key])
        spec = EncoderSpec(**facts)
        spec.require_sound()
        return spec

    def require_sound(self) -> None:
        """Raise ValueError unless rows can have these lengths, and are of a known kind."""
        if self.takes not in get_args(Takes):
            raise ValueError(f"takes is {self.takes!r}, expected one of {get_args(Takes)}")
        for key in ("n_inputs", "n_used", "n_given", "stride"):
            value = getattr(self, key)
            if not isinstance(value, int) or not 0 <= value <= _LONGEST_ROW:
                raise ValueError(f"{key} is {value!r}, expected a number up to {_LONGEST_ROW}")
        if not 1 <= self.n_used <= self.n_inputs:
            raise ValueError(f"n_used is {self.n_used}, expected 1 to {self.n_inputs}")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode; at the end its former mode is restored."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def preset(kind: str) -> Preset:
    """The preset of that name. Raises ArgumentError if there is none."""
    if kind not in PRESETS:
        raise ArgumentError(f"no encoder {kind!r}, expected one of: {', '.join(PRESETS)}")
    return PRESETS[kind]


class Encoder(nn.Module):
    """A body, then log T1 = center + scale x out, log(T2/T1) = -softplus(center + scale x out)."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.layers = _body(spec)
        self.n_inputs, self.n_used = spec.n_inputs, spec.n_used
        columns = spec.n_used + spec.n_given
        self.register_buffer("offset", torch.zeros(columns))
        self.register_buffer("gain", torch.ones(columns))
        self.register_buffer("center", torch.tensor(spec.center))
        self.register_buffer("scale", torch.tensor(spec.scale))
        self.offset: Tensor
        self.gain: Tensor
        self.center: Tensor
        self.scale: Tensor

    def standardise(self, rows: Tensor) -> None:
        """Take offset and gain from typical rows: each used column gets mean 0 and variance 1."""
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
        return fully_connected((spec.n_used + spec.n_given, *spec.hidden, 2), spec.activation)
    build = {"gru": gru, "hydra": hydra}[spec.body]
    return build(spec.n_used, spec.n_given, spec.hidden, spec.stride)
