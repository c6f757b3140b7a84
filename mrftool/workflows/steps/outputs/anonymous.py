"""Outputs that say nothing of the patient: no names, dates, places or texts of the scan."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mrftool.environment.anonymous import HIDDEN, without_paths
from mrftool.formats.open_scan import file_kind
from mrftool.workflows.steps.outputs.maps_run import MapsRun
from mrftool.workflows.steps.outputs.run_record import ANONYMOUS


def anonymous_run(run: MapsRun) -> MapsRun:
    """The run, with a neutral name for the scan, and without the words of its header.

    Of the header, the field strength and the digest of the sequence are kept. Options that name
    files or hold text only say that they were given.
    """
    files = tuple(run.inputs())
    maps = run.maps
    said = tuple(without_paths(sentence, files) for sentence in maps.assumptions)
    series = replace(
        run.series,
        name=ANONYMOUS.name,
        sidecar=_kept_facts(run.series.sidecar or {}),
        assumptions=tuple(without_paths(text, files) for text in run.series.assumptions),
    )
    return replace(
        run,
        source=ANONYMOUS,
        kind=file_kind(run.source),
        files=files,
        series=series,
        maps=replace(maps, assumptions=said),
        options={name: _shown(value) for name, value in run.options.items()},
    )


def _kept_facts(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """The field strength, and the digest of the sequence, which is no text of the scanner."""
    kept = ("MagneticFieldStrength", "sequence_id")
    return {key: sidecar[key] for key in kept if key in sidecar}


def _shown(value: object) -> object:
    if isinstance(value, str | Path):
        return HIDDEN
    return value
