"""What a training run is, as plain numbers: written beside its checkpoints, enough to repeat it."""

from dataclasses import asdict, dataclass
from math import inf, log
from pathlib import Path
from typing import Any

from mrftool.arrays import Range
from mrftool.errors import ArgumentError, InputError
from mrftool.learning.settings import Decoder, Form, Loss, TrainSettings
from mrftool.manifold.parameters import PARAMETERS, range_key

__all__ = ["Decoder", "Form", "Loss", "TrainConfig", "checkpoint_file", "log_range"]

_CHOICES = {
    "decoder": ("bloch", "fc", "rnn", "none"),
    "loss": ("bound", "log"),
    "form": ("complex", "magnitude"),
    "optimiser": ("muon", "adam"),
    "tissue": ("random", "grid"),
}


@dataclass(frozen=True)
class TrainConfig(TrainSettings):
    """Settings of a training run, valid once built.

    Raises
    ------
    ArgumentError
        If a setting is out of range or contradicts another one.

    """

    def __post_init__(self) -> None:
        self._require_choices()
        for key in (*map(range_key, PARAMETERS), "snr_range"):
            if getattr(self, key) is not None:
                object.__setattr__(self, key, _require_range(key, getattr(self, key)))
        if self.t2_range[0] > self.t1_range[1]:
            raise ArgumentError(
                "the T2 range lies above the T1 range, expected T2 <= T1 to be possible"
            )
        self._require_numbers()
        if not self.labels and (self.decoder != "bloch" or self.weight == 0):
            raise ArgumentError(
                "without labels only the Bloch decoder can train the encoder, expected decoder"
                " bloch with a weight above 0"
            )

    @property
    def range_keywords(self) -> dict[str, Range | None]:
        """Ranges of all parameters, as t1_range and so on; None where one is no input."""
        return {
            range_key(parameter): getattr(self, range_key(parameter)) for parameter in PARAMETERS
        }

    @property
    def ranges(self) -> dict[str, Range]:
        """Ranges by name of the parameter, of those that are fitted or an input."""
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

    def _require_numbers(self) -> None:
        for key in ("steps", "batch", "validate_every", "rate"):
            if not getattr(self, key) > 0:
                raise ArgumentError(f"{key} {getattr(self, key):g}, expected more than 0")
        for key in ("weight", "adc", "seed", "decode_voxels"):
            if getattr(self, key) < 0:
                raise ArgumentError(f"{key} {getattr(self, key):g}, expected 0 or more")
        if not 0 < self.share <= 1:
            raise ArgumentError(
                f"share {self.share:g} of the grid, expected more than 0 and at most 1"
            )

    def to_dict(self) -> dict[str, Any]:
        """As JSON writes it."""
        return asdict(self)


def _require_range(key: str, value: Range) -> Range:
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


def log_range(bounds: Range) -> tuple[float, float]:
    """Middle and half width of a range on the logarithmic scale."""
    low, high = log(bounds[0]), log(bounds[1])
    return (low + high) / 2, (high - low) / 2


def log_ratio_range(config: TrainConfig) -> tuple[float, float]:
    """Middle and half width of the range of log(T2 / T1), which is at most 0."""
    return log_range((config.t2_range[0] / config.t1_range[1], 1.0))
