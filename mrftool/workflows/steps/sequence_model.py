"""A model of the sequence of one scan, made when it is needed and kept in a cache."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import mrftool
from mrftool.arrays import Float32Array, Range
from mrftool.environment.cache import cache_folder, keep_newest, make_cache_folder, mark_used
from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError, MismatchError
from mrftool.inference.session import Model, load_model
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence
from mrftool.workflows.steps.doubts import note_echoes
from mrftool.workflows.steps.outputs.places import file_stem

_KEPT = 64  # models in the cache
_B1_STEP = 0.1  # ranges of B1 end at multiples of it, so that similar maps share a model
_FORMAT = 1  # raise it when models of the same settings come out differently


@dataclass(frozen=True)
class ModelSettings:
    """What a model is made for, beside its sequence.

    Parameters
    ----------
    form
        "complex" or "magnitude".
    b1_range
        Of the B1 map that is given [1], or None.
    """

    form: str
    b1_range: Range | None = None


def settings_for(series: Series, given: Mapping[str, Float32Array]) -> ModelSettings:
    """The settings for a scan and the maps that are given with it, by name."""
    b1 = given.get("b1")
    if b1 is None:
        return ModelSettings(series.form)
    known = b1[np.isfinite(b1) & (b1 > 0)]
    if not known.size:
        return ModelSettings(series.form)
    low = max(np.floor(known.min() / _B1_STEP), 1.0) * _B1_STEP
    high = np.ceil(known.max() / _B1_STEP) * _B1_STEP
    if high <= low:
        high = low + _B1_STEP
    return ModelSettings(series.form, (round(float(low), 3), round(float(high), 3)))


def require_length(series: Series, sequence: PulseSequence) -> None:
    """Raise MismatchError unless the scan has a frame for each echo of the sequence."""
    if series.n_time != len(sequence):
        raise MismatchError(
            f"{series.name}: {series.n_time} frames, expected {len(sequence)} as sequence "
            f"{sequence.name} acquires{series.axis_fault(len(sequence))}"
        )


def model_of_sequence(
    sequence: PulseSequence, settings: ModelSettings, reporter: Reporter
) -> Model:
    """The model of a sequence: from the cache, or made, verified and kept there.

    Parameters
    ----------
    sequence
        That made the scan.
    settings
        What else the model depends on.
    reporter
        Hears of the work, and of a cache that cannot be used.

    Raises
    ------
    CheckFailedError
        If the model does not hold against the exact engine.
    """
    place = _place(sequence, settings, reporter)
    if place is not None:
        cached = _cached(place, sequence, settings)
        if cached is not None:
            mark_used(place)
            return cached
    note_echoes(sequence, reporter)
    with reporter.working(f"making the model of {sequence.name}"):
        model = _made(sequence, settings)
    if place is not None:
        _keep(model, place, reporter)
    return model


def _place(sequence: PulseSequence, settings: ModelSettings, reporter: Reporter) -> Path | None:
    """The file of a model in the cache."""
    key = [_FORMAT, mrftool.__version__, sequence.sequence_id, settings.form, settings.b1_range]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    try:
        return cache_folder("models") / f"{file_stem(sequence.name)}-{digest}.onnx"
    except InputError as error:
        reporter.note(f"the model is not kept: {error}")
        return None


def _cached(path: Path, sequence: PulseSequence, settings: ModelSettings) -> Model | None:
    """The model in the cache; None if there is none, or it is damaged or another one."""
    with suppress(InputError):
        model = load_model(path)
        b1_range = model.manifest.ranges.get("b1")
        found = (model.sequence_id, model.form, b1_range)
        if found == (sequence.sequence_id, settings.form, settings.b1_range):
            return model
    return None


def _made(sequence: PulseSequence, settings: ModelSettings) -> Model:
    from mrftool.exporting.make import make_model  # heavy

    chosen: dict[str, Any] = {"form": settings.form, "b1_range": settings.b1_range}
    proto, manifest = make_model(sequence, **chosen)
    return Model(Path(f"{file_stem(sequence.name)}.onnx"), manifest, proto.SerializeToString())


def _keep(model: Model, path: Path, reporter: Reporter) -> None:
    """Write a model into the cache, whole or not at all; a cache that is full loses its oldest."""
    from mrftool.formats.atomic import writing

    try:
        make_cache_folder(path.parent)
        with writing(path) as part:
            part.write_bytes(model.content)
    except (InputError, OSError) as error:
        reporter.note(f"the model is not kept for the next scan of this rhythm: {error}")
        return
    keep_newest(path.parent, ".onnx", _KEPT)
