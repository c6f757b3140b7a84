"""What quantification and matching write: maps with sidecars, then a picture, a report and DICOM.

The maps come first, with a short report.json that names them. All else is made after them: what
fails there is told in one line, and the maps stay.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrftool.environment.reporter import Reporter
from mrftool.formats.atomic import write_text
from mrftool.formats.bids import (
    dataset_texts,
    is_bids,
    map_description,
    map_path,
    map_sidecar,
    report_folder,
    sidecar_path,
)
from mrftool.formats.nifti.write import Map, write_maps
from mrftool.maps import Maps
from mrftool.reports.run import Report
from mrftool.workflows.steps.outputs.anonymous import anonymous_run
from mrftool.workflows.steps.outputs.decorations import (
    Failures,
    draw_picture,
    make_run_numbers,
    make_run_report,
    names_of_maps,
)
from mrftool.workflows.steps.outputs.dicom_output import DicomOutput, write_dicom
from mrftool.workflows.steps.outputs.maps_run import MapsRun
from mrftool.workflows.steps.outputs.places import keep_inputs
from mrftool.workflows.steps.outputs.run_record import (
    PAGE,
    PICTURE,
    REPORT,
    former_outputs,
    remove_stale,
    require_own_outputs,
    with_record,
)


@dataclass(frozen=True, eq=False)
class MapsResult:
    """What was made and written.

    Parameters
    ----------
    maps
        The maps.
    paths
        Files, and folders of DICOM maps.
    warnings
        Sentences of the report; empty if the run looks good.
    failures
        Sentences on what could not be made beside the maps.
    """

    maps: Maps
    paths: tuple[Path, ...]
    warnings: tuple[str, ...]
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Decorated:
    """What was made beside the maps. record: contents of report.json."""

    pages: list[Path]
    record: Mapping[str, Any]
    warnings: tuple[str, ...]


def write_results(
    run: MapsRun,
    folder: Path,
    reporter: Reporter,
    *,
    dicom: DicomOutput | None = None,
    report: bool = True,
    overwrite: bool = False,
) -> MapsResult:
    """Write maps, overview.png, report.html and report.json into `folder`, and DICOM maps if asked.

    All maps are written, or none and earlier ones stay as they were. What a former run left in
    `folder` is removed; see `require_own_outputs`. A picture, a report or DICOM maps that cannot be
    made are told to `reporter`, and the maps stay.

    Parameters
    ----------
    run
        What was done, and the maps that came out.
    folder
        Where they go; it is made where it does not exist.
    reporter
        Hears of warnings and failures.
    dicom
        Where DICOM maps go; None for none.
    report
        Whether picture and report are made; else report.json names the files alone.
    overwrite
        Whether the maps of another run in `folder` may be replaced.

    Raises
    ------
    ArgumentError
        If `folder` holds the maps of another run.
    InputError
        If the maps cannot be written.
    """
    require_own_outputs(folder, run.whose(), overwrite=overwrite)
    if run.whose().is_anonymous:
        run = anonymous_run(run)
    images = _images(run, folder)
    paths = [path for path, *_ in images]
    _write_maps_first(run, folder, images)
    failures = Failures(reporter)
    made = _Decorated([], _short_record(run, folder), ())
    if report:
        made = _with_report(run, folder, reporter, failures)
    studies = failures.attempt(
        lambda: write_dicom(run, folder, dicom, reporter), "the maps could not be written as DICOM"
    )
    record = report_folder(folder, run.source) / REPORT
    outputs = [*paths, *map(sidecar_path, paths), record, *made.pages, *_files_in(studies or [])]
    text = with_record(made.record, record.parent, run.whose(), outputs)
    failures.attempt(lambda: write_text(text, record), f"{REPORT} could not be completed")
    written = (*paths, *made.pages, record, *(studies or []))
    return MapsResult(run.maps, written, made.warnings, tuple(failures.sentences))


def _write_maps_first(run: MapsRun, folder: Path, images: list[Map]) -> None:
    """Write the maps and a record of them, and remove what a former run left."""
    place = report_folder(folder, run.source)
    paths = [path for path, *_ in images]
    record = place / REPORT
    keep_inputs(run.inputs(), [*paths, record, place / PICTURE, place / PAGE])
    outputs = [*paths, *map(sidecar_path, paths), record]
    others: dict[Path, str | bytes] = {}
    if is_bids(run.source):
        others |= dataset_texts(folder)
    others[record] = with_record(_short_record(run, folder), place, run.whose(), outputs)
    former = former_outputs(place)
    write_maps(images, run.series.placement, others=others)
    remove_stale(folder, former, outputs)


def _with_report(run: MapsRun, folder: Path, reporter: Reporter, failures: Failures) -> _Decorated:
    """Make picture and report, each on its own."""
    place = report_folder(folder, run.source)
    picture = failures.attempt(
        lambda: draw_picture(run, place / PICTURE), f"{PICTURE} could not be drawn"
    )
    report = _report(run, folder, failures)
    page = None
    if report.html:
        page = failures.attempt(
            lambda: _write_page(report.html, place / PAGE), f"{PAGE} could not be written"
        )
    for text in report.warnings:
        reporter.note(text)
    pages = [path for path in (picture, page) if path is not None]
    return _Decorated(pages, report.contents, report.warnings)


def _report(run: MapsRun, folder: Path, failures: Failures) -> Report:
    """The report; without its page, or with the names of the maps alone, where the rest fails."""
    report = failures.attempt(lambda: make_run_report(run, folder), f"{PAGE} could not be made")
    if report is None:
        report = failures.attempt(
            lambda: make_run_numbers(run, folder), f"{REPORT} could not be completed"
        )
    return report or Report("", _short_record(run, folder), ())


def _images(run: MapsRun, folder: Path) -> list[Map]:
    """The maps as they are written: path, image, description, sidecar."""
    provenance = run.provenance()
    return [
        (
            map_path(folder, run.source, name),
            image,
            map_description(name),
            map_sidecar(name, provenance),
        )
        for name, image in run.maps.images()
    ]


def _short_record(run: MapsRun, folder: Path) -> dict[str, Any]:
    """A report.json that names the maps alone."""
    return {"command": run.command, "maps": names_of_maps(run, folder)}


def _write_page(html: str, path: Path) -> Path:
    write_text(html, path)
    return path


def _files_in(places: Iterable[Path]) -> list[Path]:
    """Files, and those in folders."""
    files: list[Path] = []
    for place in places:
        if place.is_dir():
            files += (path for path in place.rglob("*") if path.is_file())
        else:
            files.append(place)
    return files
