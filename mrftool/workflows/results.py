"""What quantification leaves in its folder: maps with sidecars, a picture, and a report."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrftool.cli.console import note, show_table, wrote
from mrftool.cli.options import keep_inputs
from mrftool.formats.bids import (
    Provenance,
    dataset_texts,
    is_bids,
    map_description,
    map_path,
    map_sidecar,
    versions,
)
from mrftool.formats.nifti.write import write_maps
from mrftool.formats.open_scan import file_kind
from mrftool.maps import Maps
from mrftool.series import Series
from mrftool.workflows.dicom_output import DicomOutput, dicom_maps
from mrftool.workflows.stopwatch import Stopwatch

if TYPE_CHECKING:
    from mrftool.reports.run import Method


def write_results(
    maps: Maps,
    folder: Path,
    source: Path,
    series: Series,
    method: "Method",
    *,
    command: str = "quantify",
    watch: Stopwatch | None = None,
    options: Mapping[str, object] | None = None,
    dicom: DicomOutput | None = None,
) -> list[Path]:
    """Write maps, overview.png, report.html and report.json into `folder`; the files that were
    written.

    method: what made the maps. watch: of the stages until now.
    options: what the user chose, by option; those that are None are left out. dicom: write DICOM
    maps too.
    """
    from mrftool.figures.maps import overview_figure

    watch = watch or Stopwatch()
    provenance = _provenance(source, series, method)
    picture = folder / "overview.png"
    others: dict[Path, str | bytes] = {**(dataset_texts(folder) if is_bids(source) else {})}
    with watch.stage("picture"), tempfile.TemporaryDirectory() as scratch:
        drawn = Path(scratch) / picture.name
        overview_figure(maps, series.affine, drawn, title=source.name)
        others[picture] = drawn.read_bytes()
    reports = _reports(maps, folder, source, series, method, command, watch, options or {})
    others |= reports
    images = [
        (
            map_path(folder, source, name),
            image,
            map_description(name),
            map_sidecar(name, provenance),
        )
        for name, image in maps.images()
    ]
    paths = [*(path for path, *_ in images), picture, *reports]
    keep_inputs(
        [source, *(value for value in (options or {}).values() if isinstance(value, Path))], paths
    )
    with dicom_maps(maps, folder, series, dicom, provenance) as dicom_paths:
        write_maps(images, series.placement, others=others)
    return [*paths, *dicom_paths]


def show_results(source: Path, maps: Maps, paths: list[Path]) -> None:
    """What came out, on stdout: voxels and flags, and the files."""
    show_table(str(source), {text: str(n) for text, n in maps.counts().items() if n})
    for path in paths:
        wrote(path)


def _reports(
    maps: Maps,
    folder: Path,
    source: Path,
    series: Series,
    method: "Method",
    command: str,
    watch: Stopwatch,
    options: Mapping[str, object],
) -> dict[Path, str]:
    """The report of the run, as a page and as numbers; its warnings go to stderr too."""
    from mrftool.reports.page import make_report
    from mrftool.reports.run import Run

    run = Run(
        command=command,
        source=str(source),
        kind=file_kind(source),
        series=series,
        maps=maps,
        method=method,
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


def _provenance(source: Path, series: Series, method: "Method") -> Provenance:
    return Provenance(
        sources=(source.name,),
        algorithm=f"MR fingerprinting, {method.kind} {method.name}: {method.algorithm}",
        pulse_sequence=f"{method.sequence_name}, {series.n_time} repetitions",
        details=_facts(method),
    )


def _facts(method: "Method") -> dict[str, Any]:
    return {
        method.kind: method.name,
        f"{method.kind}_sha256": method.sha256,
        "sequence": method.sequence_name,
        "sequence_id": method.sequence_id,
        "t1_range_ms": [round(x * 1e3, 6) for x in method.t1_range],
        "t2_range_ms": [round(x * 1e3, 6) for x in method.t2_range],
        **{key: value for key, value in method.numbers.items() if key == "adc_m2_per_s"},
    }
