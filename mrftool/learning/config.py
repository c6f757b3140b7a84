"""What a training run is, as plain numbers: written beside its checkpoints, enough to repeat it.

The command line reads the defaults before numpy is loaded: nothing heavy is imported at once.
"""

from dataclasses import asdict, dataclass
from math import inf, log
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mrftool.errors import ArgumentError, InputError

if TYPE_CHECKING:
    from mrftool.arrays import Range

Form = Literal["complex", "magnitude"]
Loss = Literal["bound", "log"]
Decoder = Literal["bloch", "table", "fc", "rnn", "none"]

_CHOICES = {
    "decoder": ("bloch", "table", "fc", "rnn", "none"),
    "loss": ("bound", "log"),
    "form": ("complex", "magnitude"),
    "optimiser": ("muon", "adam"),
    "tissue": ("random", "grid"),
}
_LARGEST = {  # of each count: days of work, gigabytes of signals, and what a generator takes
    "steps": 10_000_000,
    "batch": 1_000_000,
    "validate_every": 10_000_000,
    "decode_voxels": 1_000_000,
    "seed": 2**63 - 1,
}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run: the one home of their defaults. Valid once built.

    Parameters
    ----------
    encoder
        One of `mrftool.learning.networks.encoders.PRESETS`, such as "compact" or "fc".
    decoder
        "bloch" adds the reconstruction loss through the EPG engine, "table" through its table of
        signals, which is exact to the table's stated error and much faster; "fc" and "rnn" through
        a network that is trained with the encoder; "none" leaves it out.
    weight
        Lambda, the weight of the reconstruction loss [1].
    decode_voxels
        How many voxels of each batch are decoded, 0 for all: a slow decoder sees fewer.
    labels
        Whether the embedding loss takes part. Without it the reconstruction alone trains the
        encoder.
    loss
        "bound" measures errors in units of the Cramer-Rao bound and the noise, "log" plainly, as
        the paper does.
    form
        Whether the encoder sees complex signals or magnitudes.
    tissue
        "random" draws T1 and T2 anew for each batch, log-uniform over their ranges; "grid" takes
        the pairs of the paper's grid in these ranges, each once an epoch.
    share
        How much of that grid there is to learn from [1].
    t1_range, t2_range
        Lowest and highest T1 and T2 [s].
    b1_range
        Lowest and highest B1 [1]; None for nominal flip angles and no B1 input.
    adc
        Diffusion coefficient [m2/s].
    snr_range
        Lowest and highest SNR, drawn log-uniformly [1]; None trains without noise.
    optimiser
        "muon" for the matrices between layers with Adam for the rest, or "adam" for all, as the
        paper.
    steps, batch
        Optimiser steps, and voxels in each.
    rate
        Peak learning rate.
    seed
        Of everything random.
    validate_every
        Steps between validations.

    Raises
    ------
    ArgumentError
        If a setting is out of range or contradicts another one.

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
    t1_range: "Range" = (0.03, 5.0)
    t2_range: "Range" = (0.006, 2.5)
    b1_range: "Range | None" = None
    adc: float = 0.0
    snr_range: "Range | None" = (1.0, 100.0)
    optimiser: Literal["muon", "adam"] = "muon"
    steps: int = 16_000
    batch: int = 512
    rate: float = 3e-3
    seed: int = 0
    validate_every: int = 250

    def __post_init__(self) -> None:
        from mrftool.manifold.parameters import PARAMETERS, range_key

        self._require_choices()
        self._require_types()
        for key in (*map(range_key, PARAMETERS), "snr_range"):
            if getattr(self, key) is not None:
                object.__setattr__(self, key, _require_range(key, getattr(self, key)))
        if self.t2_range[0] > self.t1_range[1]:
            raise ArgumentError(
                "the T2 range lies above the T1 range, expected T2 <= T1 to be possible"
            )
        self._require_numbers()
        if not self.labels and (self.decoder not in ("bloch", "table") or self.weight == 0):
            raise ArgumentError(
                "without labels only the Bloch or the table decoder can train the encoder, "
                "expected decoder bloch or table with a weight above 0"
            )

    @property
    def range_keywords(self) -> "dict[str, Range | None]":
        """Ranges of all parameters, as t1_range and so on; None where one is no input."""
        from mrftool.manifold.parameters import PARAMETERS, range_key

        return {
            range_key(parameter): getattr(self, range_key(parameter)) for parameter in PARAMETERS
        }

    @property
    def ranges(self) -> "dict[str, Range]":
        """Ranges by name of the parameter, of those that are fitted or an input."""
        from mrftool.manifold.parameters import PARAMETERS, range_key

        ranges = {}
        for parameter in PARAMETERS:
            limits = getattr(self, range_key(parameter))
            if limits is not None:
                ranges[parameter.name] = limits
        return ranges

    def _require_choices(self) -> None:
        for key, choices in _CHOICES.items():
            value = getattr(self, key)
            if value not in choices:
                raise ArgumentError(f"{key} {value!r}, expected one of: {', '.join(choices)}")

    def _require_types(self) -> None:
        """A checkpoint or a plan can hold values of any type."""
        if not isinstance(self.labels, bool):
            raise ArgumentError(f"labels {str(self.labels)[:40]!r}, expected true or false")
        for key in _LARGEST:
            value = getattr(self, key)
            if not isinstance(value, int):
                raise ArgumentError(f"{key} {str(value)[:40]!r}, expected a whole number")

    def _require_numbers(self) -> None:
        for key in ("steps", "batch", "validate_every", "rate"):
            if not 0 < getattr(self, key) < inf:
                raise ArgumentError(f"{key} {getattr(self, key):g}, expected more than 0")
        for key in ("weight", "adc", "seed", "decode_voxels"):
            if not 0 <= getattr(self, key) < inf:
                raise ArgumentError(f"{key} {getattr(self, key):g}, expected 0 or more")
        for key, most in _LARGEST.items():
            if getattr(self, key) > most:
                raise ArgumentError(f"{key} {getattr(self, key):g}, expected at most {most:g}")
        if not 0 < self.share <= 1:
            raise ArgumentError(
                f"share {self.share:g} of the grid, expected more than 0 and at most 1"
            )

    def to_dict(self) -> dict[str, Any]:
        """As JSON writes it."""
        return asdict(self)


def _require_range(key: str, value: "Range") -> "Range":
    low, high = float(value[0]), float(value[1])
    if not 0 < low <= high < inf:
        raise ArgumentError(f"{key} {low:g} to {high:g}, expected 0 < low <= high")
    return low, high


def checkpoint_file(path: Path) -> Path:
    """The file of a training run: the best checkpoint of its folder, or one that is named.

    It stands here, where torch is not imported, so that a missing file is reported at once.

    Raises
    ------
    InputError
        If there is none.
    """
    file = path
    if path.is_dir():
        file = path / "best.safetensors"
    if not file.is_file():
        raise InputError(
            f"{file}: no such file, expected a folder that mrftool train wrote, or one of its"
            " checkpoints"
        )
    return file


def log_range(bounds: "Range") -> tuple[float, float]:
    """Middle and half width of a range on the logarithmic scale."""
    low, high = log(bounds[0]), log(bounds[1])
    return (low + high) / 2, (high - low) / 2


def log_ratio_range(config: TrainConfig) -> tuple[float, float]:
    """Middle and half width of the range of log(T2 / T1), which is at most 0."""
    return log_range((config.t2_range[0] / config.t1_range[1], 1.0))
