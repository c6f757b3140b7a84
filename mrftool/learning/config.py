"""What a training run is, as plain numbers: written beside its checkpoints, enough to repeat it."""

from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import Any, Literal

from mrftool.arrays import Range
from mrftool.errors import ArgumentError, InputError

Form = Literal["complex", "magnitude"]
Loss = Literal["bound", "log"]
Decoder = Literal["bloch", "fc", "rnn", "none"]

_CHOICES = {
    "decoder": ("bloch", "fc", "rnn", "none"),
    "loss": ("bound", "log"),
    "form": ("complex", "magnitude"),
    "optimiser": ("muon", "adam"),
    "tissue": ("random", "grid"),
}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run. Raises ArgumentError if one is out of range.

    encoder: one of `mrftool.learning.networks.encoders.PRESETS`: "compact" (compressed coefficients
    in), "fc", "rnn", ...
    decoder: "bloch" adds the reconstruction loss through the EPG engine, "fc" and "rnn" through a
        network that learns with the encoder, "none" leaves it out.
    weight: lambda, weight of the reconstruction loss [1].
    decode_voxels: how many voxels of each batch are decoded, 0 for all: a slow decoder sees fewer.
    labels: whether the embedding loss takes part; without it, the reconstruction alone teaches the
    encoder.
    loss: "bound" measures errors in units of the Cramer-Rao bound and the noise, "log" plainly (the
    paper's).
    form: whether the encoder sees complex signals or magnitudes.
    tissue: "random" draws T1 and T2 afresh, log-uniform over their ranges; "grid" takes the pairs
        of the paper's grid in these ranges, each once an epoch. share: how much of that grid there
        is to learn from [1].
    t1_range, t2_range: [s]. b1_range: [1], or None for no B1 input (nominal flip angles). adc:
    [m2/s].
    snr_range: drawn log-uniformly [1]; None trains without noise.
    steps, batch: optimiser steps, and voxels in each. rate: peak learning rate. seed: of everything
    random.
    optimiser: "muon" for hidden matrices, with Adam for the rest, or "adam" for all (the paper's).
    validate_every: steps between validations.
    """

    encoder: str = "compact"
    decoder: Decoder = "bloch"
    weight: float = 1.0
    decode_voxels: int = 0
    labels: bool = True
    loss: Loss = "bound"
    form: Form = "complex"
    tissue: Literal["random", "grid"] = "random"
    share: float = 1.0
    t1_range: Range = (0.03, 5.0)
    t2_range: Range = (0.006, 2.5)
    b1_range: Range | None = None
    adc: float = 0.0
    snr_range: Range | None = (1.0, 100.0)
    optimiser: Literal["muon", "adam"] = "muon"
    steps: int = 16_000
    batch: int = 512
    rate: float = 3e-3
    seed: int = 0
    validate_every: int = 250

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                raise ArgumentError(
                    f"{key} {getattr(self, key)!r}, expected one of: {', '.join(choices)}"
                )
        self._check_ranges()
        self._check_numbers()

    def _check_ranges(self) -> None:
        for key in ("t1_range", "t2_range", "b1_range", "snr_range"):
            value = getattr(self, key)
            if value is not None:
                object.__setattr__(self, key, (float(value[0]), float(value[1])))
                if not 0 < value[0] <= value[1] < float("inf"):
                    raise ArgumentError(
                        f"{key} {value[0]:g} to {value[1]:g}, expected 0 < low <= high"
                    )
        if self.t2_range[0] > self.t1_range[1]:
            raise ArgumentError(
                "the T2 range lies above the T1 range, expected T2 <= T1 to be possible"
            )

    def _check_numbers(self) -> None:
        for key in ("steps", "batch", "validate_every", "rate"):
            if not getattr(self, key) > 0:
                raise ArgumentError(f"{key} {getattr(self, key):g}, expected more than 0")
        if min(self.weight, self.adc, self.seed, self.decode_voxels) < 0:
            raise ArgumentError("weight, adc, seed and decode_voxels must be 0 or more")
        if not 0 < self.share <= 1:
            raise ArgumentError(
                f"share {self.share:g} of the grid, expected more than 0 and at most 1"
            )
        if not self.labels and (self.decoder != "bloch" or self.weight == 0):
            raise ArgumentError(
                "without labels only the Bloch decoder can teach, expected decoder bloch with a weight"
            )

    def to_dict(self) -> dict[str, Any]:
        """As JSON writes it."""
        return asdict(self)


def checkpoint_file(path: Path) -> Path:
    """The file of a training run: the best checkpoint of its folder, or one that is named.

    Raises InputError if there is none. Here, where torch is not loaded, so that a slip of the
    keyboard shows at once.
    """
    file = path / "best.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"{file}: no such file, expected a folder that mrftool train wrote, or one of its checkpoints"
        )
    return file


def log_range(bounds: Range) -> tuple[float, float]:
    """Middle and half width of a range on the logarithmic scale."""
    low, high = log(bounds[0]), log(bounds[1])
    return (low + high) / 2, (high - low) / 2
