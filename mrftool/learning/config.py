"""What a training run is, as plain numbers: written beside its checkpoints, enough to repeat it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from mrftool.errors import UsageError

Form = Literal["complex", "magnitude"]
Loss = Literal["bound", "log"]
Decoder = Literal["bloch", "none"]
Range = tuple[float, float]

_CHOICES = {
    "decoder": ("bloch", "none"),
    "loss": ("bound", "log"),
    "form": ("complex", "magnitude"),
    "optimiser": ("muon", "adam"),
}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run. Raises UsageError if one is out of range.

    encoder: "compact" (compressed coefficients in, SiLU) or "fc" (the paper's, whole fingerprints in).
    decoder: "bloch" adds the reconstruction loss through the EPG engine, "none" leaves it out.
    weight: lambda, weight of the reconstruction loss [1].
    loss: "bound" measures errors in units of the Cramer-Rao bound and the noise, "log" plainly (the paper's).
    form: whether the encoder sees complex signals or magnitudes.
    t1_range, t2_range: [s]. b1_range: [1], or None for no B1 input (nominal flip angles). adc: [m2/s].
    snr_range: drawn log-uniformly [1]; None trains without noise.
    steps, batch: optimiser steps, and voxels in each. rate: peak learning rate. seed: of everything random.
    optimiser: "muon" for hidden matrices, with Adam for the rest, or "adam" for all (the paper's).
    validate_every: steps between validations.
    """

    encoder: str = "compact"
    decoder: Decoder = "bloch"
    weight: float = 1.0
    loss: Loss = "bound"
    form: Form = "complex"
    t1_range: Range = (0.03, 5.0)
    t2_range: Range = (0.006, 2.5)
    b1_range: Range | None = None
    adc: float = 0.0
    snr_range: Range | None = (4.0, 100.0)
    optimiser: Literal["muon", "adam"] = "muon"
    steps: int = 10_000
    batch: int = 512
    rate: float = 3e-3
    seed: int = 0
    validate_every: int = 250

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                raise UsageError(f"{key} {getattr(self, key)!r}, expected one of: {', '.join(choices)}")
        for key in ("t1_range", "t2_range", "b1_range", "snr_range"):
            value = getattr(self, key)
            if value is not None:
                object.__setattr__(self, key, (float(value[0]), float(value[1])))
                if not 0 < value[0] <= value[1] < float("inf"):
                    raise UsageError(f"{key} {value[0]:g} to {value[1]:g}, expected 0 < low <= high")
        if self.t2_range[0] > self.t1_range[1]:
            raise UsageError("the T2 range lies above the T1 range, expected T2 <= T1 to be possible")
        for key in ("steps", "batch", "validate_every", "rate"):
            if not getattr(self, key) > 0:
                raise UsageError(f"{key} {getattr(self, key):g}, expected more than 0")
        if self.weight < 0 or self.adc < 0 or self.seed < 0:
            raise UsageError("weight, adc and seed must be 0 or more")

    def to_dict(self) -> dict[str, Any]:
        """As JSON writes it."""
        return asdict(self)
