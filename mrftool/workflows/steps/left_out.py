"""What a scan has that its model or dictionary was not made for: frames that are left out, and
the number of coils.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrftool.arrays import Range
from mrftool.formats.sequence.yaml_file import sequence_from_dict, sequence_to_dict
from mrftool.inference.quantify import check_model
from mrftool.inference.session import Model
from mrftool.manifold.parameters import parameters_of, range_key
from mrftool.reports.parts.tables import frames_text
from mrftool.scan.frames import require_frames, without_frames
from mrftool.scan.series import Form, Series
from mrftool.sequence import PulseSequence
from mrftool.sequence.echoes import without_echoes

if TYPE_CHECKING:
    from mrftool.matching.dictionary import Source

_LEAST_POLISH = 2  # Gauss-Newton steps after a coarse search


def series_and_model(
    series: Series, model: Model, skipped: Collection[int], coils: int | None = None
) -> tuple[Series, Model]:
    """A scan without some of its frames, and a model of what is left, made for it.

    The model starts with a coarse search: an encoder reads all frames that it was trained with.

    Parameters
    ----------
    series : Series
        The scan.
    model : Model
        Of all its frames.
    skipped : collection of int
        Indices of frames, from 0.
    coils : int, optional
        Whose root sum of squares the scan is; by default that of the model.

    Raises
    ------
    MismatchError
        If the scan does not belong to the model, or has no such frames.

    """
    manifest = model.manifest
    coils = coils or manifest.coils
    if not skipped and coils == manifest.coils:
        return series, model
    form = model.form
    if coils > 1:
        form = "magnitude"
    check_model(series, model, form=form)
    require_frames(series, skipped)
    sequence = sequence_from_dict(manifest.sequence, str(model.path))
    name = manifest.name
    if skipped:
        sequence = without_echoes(sequence, skipped)
        name = f"{name}, without {skipped_text(skipped)}"
    made = model_like(model, sequence, name, form=series.form, coils=coils)
    if not skipped:
        return series, made
    return _left(series, skipped, sequence.sequence_id), made


def model_like(
    model: Model,
    sequence: PulseSequence,
    name: str,
    *,
    form: Form | None = None,
    coils: int | None = None,
    **ranges: Range,
) -> Model:
    """A model made for the run in place of another one, which starts with a coarse search.

    Parameters
    ----------
    model : Model
        Whose diffusion coefficient and ranges the new one has.
    sequence : PulseSequence
        That it is made for.
    name : str
        Of the new model.
    form : {"complex", "magnitude"}, optional
        Of the signals; by default that of `model`.
    coils : int, optional
        Whose root sum of squares magnitudes are; by default as `model` takes it.
    ranges
        Other ranges, by name of the parameter [SI unit].

    """
    from mrftool.exporting.make import make_model

    manifest = model.manifest
    keywords: dict[str, Any] = {}
    for parameter in parameters_of({**manifest.ranges, **ranges}):
        limits = ranges.get(parameter.name, manifest.ranges.get(parameter.name))
        keywords[range_key(parameter)] = limits
    proto, facts = make_model(
        sequence,
        form=form or model.form,  # type: ignore[arg-type]
        coils=coils or manifest.coils,
        polish=max(manifest.polish, _LEAST_POLISH),
        adc=manifest.adc,
        name=name,
        check=False,
        **keywords,
    )
    return Model(model.path, facts, proto.SerializeToString())


def series_and_dictionary(
    series: Series, source: "Source", skipped: Collection[int]
) -> tuple[Series, "Source"]:
    """A scan and the entries of a dictionary, both without some frames.

    Parameters
    ----------
    series : Series
        The scan.
    source : Source
        The dictionary, of all frames.
    skipped : collection of int
        Indices of frames, from 0; with none, both stay as they are.

    Raises
    ------
    MismatchError
        If the scan does not belong to the dictionary, or has no such frames.

    """
    if not skipped:
        return series, source
    from mrftool.matching.match import check_source

    check_source(series, source, series.form)
    require_frames(series, skipped)
    kept = np.setdiff1d(np.arange(source.n_time), list(skipped))
    facts, sequence_id = source.sequence, source.sequence_id
    if facts is not None:
        sequence = without_echoes(sequence_from_dict(dict(facts), source.name), skipped)
        facts, sequence_id = sequence_to_dict(sequence), sequence.sequence_id
    left = replace(
        source,
        n_time=len(kept),
        rows=lambda index: source.rows(index)[:, kept],
        sequence=facts,
        sequence_id=sequence_id,
    )
    return _left(series, skipped, sequence_id), left


def skip_option(skipped: Collection[int]) -> str | None:
    """The choice as a report names it; None for none."""
    if not skipped:
        return None
    return ",".join(str(index + 1) for index in sorted(skipped))


def skipped_text(skipped: Collection[int]) -> str:
    """Frames in words that count from 1: "frames 1 and 18 to 21"."""
    noun = "frame"
    if len(skipped) > 1:
        noun = "frames"
    return f"{noun} {frames_text(sorted(skipped))}"


def _left(series: Series, skipped: Collection[int], sequence_id: str | None) -> Series:
    left = without_frames(series, skipped, sequence_id)
    sentence = f"left out: {skipped_text(skipped)} of {series.n_time}"
    return replace(left, assumptions=(*series.assumptions, sentence))
