"""What quantification leaves in its folder: maps with sidecars, a picture, and a report."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrftool.cli.checks import keep_inputs
from mrftool.cli.console import note, shown
from mrftool.cli.scans import file_kind
from mrftool.cli.stages import Stopwatch
from mrftool.formats.bids import (
    Provenance,
    dataset_texts,
    is_bids,
    map_description,
    map_path,
    map_sidecar,
    versions,
)
from mrftool.formats.nifti_write import write_maps
from mrftool.inference.session import Model
from mrftool.maps import Maps
from mrftool.series import Series


def write_results(
    maps: Maps,
    folder: Path,
    source: Path,
    series: Series,
    model: Model,
    *,
    watch: Stopwatch | None = None,
    options: Mapping[str, object] | None = None,
) -> list[Path]:
    """Write maps, overview.png, report.html and report.json into `folder`; the files that were written.

    watch: of the stages until now. options: what the user chose, by option; those that are None are left out.
    """
    from mrftool.evaluation.figures import overview_figure

    watch = watch or Stopwatch()
    provenance = _provenance(source, model)
    picture = folder / "overview.png"
    others: dict[Path, str | bytes] = {**(dataset_texts(folder) if is_bids(source) else {})}
    with watch.stage("picture"), tempfile.TemporaryDirectory() as scratch:
        drawn = Path(scratch) / picture.name
        overview_figure(maps, series.affine, drawn, title=shown(source.name))
        others[picture] = drawn.read_bytes()
    reports = _reports(maps, folder, source, series, model, watch, options or {})
    others |= reports
    images = [
        (map_path(folder, source, name), image, map_description(name), map_sidecar(name, provenance))
        for name, image in maps.images()
    ]
    paths = [*(path for path, *_ in images), picture, *reports]
    keep_inputs([source, *(value for value in (options or {}).values() if isinstance(value, Path))], paths)
    write_maps(images, series.placement, others=others)
    return paths


def _reports(
    maps: Maps,
    folder: Path,
    source: Path,
    series: Series,
    model: Model,
    watch: Stopwatch,
    options: Mapping[str, object],
) -> dict[Path, str]:
    """The report of the run, as a page and as numbers; its warnings go to stderr too."""
    from mrftool.evaluation.report import make_report
    from mrftool.evaluation.run import Run, method_of

    run = Run(
        command="quantify",
        source=str(source),
        kind=file_kind(source),
        series=series,
        maps=maps,
        method=method_of(model),
        files={name: str(map_path("", source, name)) for name, _ in maps.images()},
        n_bytes=source.stat().st_size if source.is_file() else None,
        options={name: str(value) for name, value in options.items() if value is not None},
        assumptions=maps.assumptions,
        started=watch.started,
        seconds=watch.seconds,
        versions=versions(),
    )
    report = make_report(run)
    for text in report.warnings:
        note(text)
    return {folder / "report.html": report.html, folder / "report.json": report.json}


def _provenance(source: Path, model: Model) -> Provenance:
    manifest = model.manifest
    polished = f", {manifest.polish} Gauss-Newton steps on the tabulated signals" if manifest.polish else ""
    return Provenance(
        sources=(source.name,),
        algorithm=f"MR fingerprinting, model {manifest.name}: {_start(manifest.encoder)}{polished}",
        pulse_sequence=f"{manifest.sequence_name}, {manifest.n_time} repetitions",
        details=_model_facts(model),
    )


def _start(encoder: str) -> str:
    return "coarse search" if encoder == "none" else "encoder network"


def _model_facts(model: Model) -> dict[str, Any]:
    manifest = model.manifest
    return {
        "model": manifest.name,
        "model_sha256": manifest.weights_sha256,
        "sequence": manifest.sequence_name,
        "sequence_id": manifest.sequence_id,
        "t1_range_ms": [round(x * 1e3, 6) for x in manifest.t1_range],
        "t2_range_ms": [round(x * 1e3, 6) for x in manifest.t2_range],
        "adc_m2_per_s": manifest.adc,
    }
