"""Where the model of a run comes from: a file, or the sequence of the scan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from mrftool.arrays import Float32Array
from mrftool.environment.reporter import Reporter
from mrftool.environment.shipped import find_file, shipped_file
from mrftool.errors import InputError
from mrftool.formats.sequence.heartbeats import read_with_heartbeats
from mrftool.formats.sequence.yaml_file import sequence_from_dict
from mrftool.inference.session import Model, load_model
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence
from mrftool.workflows.steps.mean_rhythm import mean_rhythm_sentence
from mrftool.workflows.steps.sequence_model import (
    model_of_sequence,
    require_length,
    settings_for,
)

_OF_MAGNITUDES = "_magnitude"  # ends the name of a shipped model


class ModelSource(Protocol):
    """What a run asks of the origin of its model."""

    @property
    def sequence(self) -> PulseSequence:
        """That the model is made for."""

    @property
    def digest(self) -> str:
        """Tells this model from others, before it exists."""

    @property
    def chosen(self) -> dict[str, object]:
        """What the caller chose, for the report."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a reader of the report should know of the model."""

    def load(self, series: Series, given: Mapping[str, Float32Array], reporter: Reporter) -> Model:
        """The model for a scan and the maps that are given with it."""


def model_source(model: "str | Path | SequenceModel") -> ModelSource:
    """The origin of a model, read as far as it can be without the scan.

    Raises
    ------
    InputError
        If the model or the sequence is missing or malformed.
    """
    if isinstance(model, SequenceModel):
        _ = model.sequence
        return model
    if str(model).endswith((".yaml", ".yml")):
        raise InputError(
            f"{model}: a sequence file, expected a model (.onnx), or a sequence as `load_sequence` "
            "reads it",
            arguments=("seq",),
        )
    of_magnitudes = shipped_file("models", f"{model}{_OF_MAGNITUDES}.onnx")
    return ModelFile(load_model(find_file("models", str(model), ".onnx")), of_magnitudes)


@dataclass(frozen=True)
class ModelFile:
    """A model that was read from its file.

    Parameters
    ----------
    model
        The model.
    of_magnitudes
        File of the shipped model of the same name for magnitudes, where there is one.
    """

    model: Model
    of_magnitudes: Path | None = None
    chosen: dict[str, object] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()

    @cached_property
    def sequence(self) -> PulseSequence:
        """See `ModelSource`."""
        return sequence_from_dict(self.model.manifest.sequence, str(self.model.path))

    @property
    def digest(self) -> str:
        """See `ModelSource`."""
        return self.model.manifest.weights_sha256

    def load(self, series: Series, given: Mapping[str, Float32Array], reporter: Reporter) -> Model:
        """See `ModelSource`."""
        if self.of_magnitudes is None or series.form == self.model.form:
            return self.model
        reporter.note(f"the scan holds magnitudes: quantified with {self.of_magnitudes.stem}")
        return load_model(self.of_magnitudes)


@dataclass(frozen=True)
class SequenceModel:
    """A model that is made for the sequence of one scan, and kept in the user's cache.

    Parameters
    ----------
    name
        Sequence file, or the name of a shipped one.
    rr
        RR intervals, or times of the triggers [ms], as `read_heartbeats` reads them; by default
        those of the sequence file.
    """

    name: str | Path
    rr: str | None = None

    @cached_property
    def sequence(self) -> PulseSequence:
        """See `ModelSource`."""
        return read_with_heartbeats(self.name, self.rr)

    @property
    def digest(self) -> str:
        """See `ModelSource`."""
        return self.sequence.sequence_id

    @property
    def chosen(self) -> dict[str, object]:
        """See `ModelSource`."""
        return {"seq": self.name, "rr": self.rr}

    @property
    def sentences(self) -> tuple[str, ...]:
        """See `ModelSource`."""
        if self.rr is None:
            return ()
        sentence = mean_rhythm_sentence(self.name, self.rr, self.sequence)
        return (sentence,) if sentence else ()

    def load(self, series: Series, given: Mapping[str, Float32Array], reporter: Reporter) -> Model:
        """See `ModelSource`."""
        require_length(series, self.sequence)
        return model_of_sequence(self.sequence, settings_for(series, given), reporter)
