"""What quantification and matching write: maps with sidecars, a picture, and a report."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrftool.arrays import Float32Array
from mrftool.environment.reporter import Reporter
from mrftool.formats.bids import (
    Provenance,
    dataset_texts,
    is_bids,
    map_description,
    map_path,
    map_sidecar,
    report_folder,
    sidecar_path,
    versions,
)
from mrftool.formats.nifti.write import write_maps
from mrftool.formats.open_scan import file_kind
from mrftool.formats.sequence.write import write_text
from mrftool.maps import Maps
from mrftool.scan.series import Series
from mrftool.workflows.steps.dicom_output import DicomOutput, dicom_maps
from mrftool.workflows.steps.places import keep_inputs
from mrftool.workflows.steps.run_record import (
    REPORT,
    RunIdentity,
    former_outputs,
    remove_stale,
    require_own_outputs,
    with_record,
)
from mrftool.workflows.steps.stopwatch import Stopwatch

if TYPE_CHECKING:
    from mrftool.reports.page import Report
    from mrftool.reports.run import Method


@dataclass(frozen=True, eq=False)
class MapsRun:
    """One run: from a scan, by a method, to maps.

    Parameters
    ----------
    command : str
        Its name in the report.
    source : Path
        The scan as it was named.
    series : Series
        The scan.
    maps : Maps
        What came out.
    method : Method
        The model or dictionary that made the maps.
    given : dict
        Images `(x, y, z)` of what the method took as known, by name: b1 [1].
    stated : dict, optional
        Standard uncertainty of what the method took as known, by name [SI unit]; None for typical
        ones.
    allowed : tuple of str
        Contradictions of the header that the caller let stand.
    options : dict
        What the caller chose, by name; None where the default was taken.
    identity : RunIdentity, optional
        What makes it the same run when it is repeated; by default its command, source and options.
    watch : Stopwatch
        Of the stages until now.

    """

    command: str
    source: Path
    series: Series
    maps: Maps
    method: "Method"
    given: dict[str, Float32Array] = field(default_factory=dict)
    stated: Mapping[str, float] | None = None
    allowed: tuple[str, ...] = ()
    options: dict[str, object] = field(default_factory=dict)
    identity: RunIdentity | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)

    def provenance(self) -> Provenance:
        """What each map says of its origin."""
        method = self.method
        details = _details(method)
        if self.allowed:
            details["allowed"] = list(self.allowed)
        return Provenance(
            sources=(self.source.name,),
            algorithm=f"MR fingerprinting, {method.kind} {method.name}: {method.algorithm}",
            pulse_sequence=f"{method.sequence_name}, {self.series.n_time} repetitions",
            details=details,
        )


@dataclass(frozen=True, eq=False)
class MapsResult:
    """What was made and written.

    maps: the maps. paths: files, and folders of DICOM maps. warnings: sentences of the report;
    empty if the run looks good.
    """

    maps: Maps
    paths: tuple[Path, ...]
    warnings: tuple[str, ...]


def write_results(
    run: MapsRun,
    folder: Path,
    reporter: Reporter,
    *,
    dicom: DicomOutput | None = None,
    overwrite: bool = False,
) -> MapsResult:
    """Write maps, overview.png, report.html and report.json into `folder`, and DICOM maps if asked.

    Either all files but the DICOM maps are written, or none and earlier ones stay as they were.
    What a former run left there is removed; see `require_own_outputs`.
    """
    identity = run.identity or RunIdentity(run.command, run.source, run.options)
    require_own_outputs(folder, identity, overwrite=overwrite)
    maps, series, source = run.maps, run.series, run.source
    provenance, place = run.provenance(), report_folder(folder, source)
    former = former_outputs(place)
    texts: dict[Path, str | bytes] = {}
    if is_bids(source):
        texts |= dataset_texts(folder)
    picture = _picture(run, reporter)
    pages: dict[Path, str | bytes] = {}
    if picture is not None:
        pages[place / "overview.png"] = picture
    report = _report(run, folder)
    for text in report.warnings:
        reporter.note(text)
    images = [
        (
            map_path(folder, source, name),
            image,
            map_description(name),
            map_sidecar(name, provenance),
        )
        for name, image in maps.images()
    ]
    page, record = place / "report.html", place / REPORT
    paths = [*(path for path, *_ in images), *pages, page, record]
    inputs = [value for value in run.options.values() if isinstance(value, Path)]
    keep_inputs([source, *inputs], paths)
    outputs = [*paths, *(sidecar_path(path) for path, *_ in images)]
    pages[page] = report.html
    pages[record] = with_record(report.json, place, identity, outputs)
    write_maps(images, series.placement, others={**texts, **pages})
    dicom_paths: list[Path] = []
    try:
        with dicom_maps(maps, folder, series, dicom, provenance, reporter) as dicom_paths:
            outputs += _files_in(dicom_paths)
            if dicom_paths:
                text = with_record(report.json, place, identity, outputs)
                write_text(text, record)
    except Exception:
        reporter.note(f"the maps are written to {folder}, but not as DICOM")
        raise
    finally:
        remove_stale(folder, former, outputs)
    return MapsResult(maps, (*paths, *dicom_paths), report.warnings)


def _files_in(places: Iterable[Path]) -> list[Path]:
    """Files, and those in folders."""
    files: list[Path] = []
    for place in places:
        if place.is_dir():
            files += (path for path in place.rglob("*") if path.is_file())
        else:
            files.append(place)
    return files


def _picture(run: MapsRun, reporter: Reporter) -> bytes | None:
    """overview.png; maps do without it where it cannot be drawn."""
    from mrftool.figures.maps import overview_figure

    with run.watch.stage("picture"), tempfile.TemporaryDirectory() as scratch:
        drawn = Path(scratch) / "overview.png"
        try:
            overview_figure(run.maps, run.series.affine, drawn, title=run.source.name)
        except Exception as error:
            reporter.note(f"overview.png could not be drawn: {type(error).__name__}: {error}")
            return None
        return drawn.read_bytes()


def _report(run: MapsRun, folder: Path) -> "Report":
    """The report of the run, as a page and as numbers."""
    from mrftool.reports.page import make_report
    from mrftool.reports.run import Run
    from mrftool.workflows.steps.fit import look_at_fit

    source, maps = run.source, run.maps
    with run.watch.stage("look at the fit"):
        residuals, budget = look_at_fit(run.series, maps, run.method, run.given, run.stated)
    n_bytes = None
    if source.is_file():
        n_bytes = source.stat().st_size
    facts = Run(
        command=run.command,
        source=str(source),
        kind=file_kind(source),
        series=run.series,
        maps=maps,
        method=run.method,
        files={name: _from_report(folder, source, name) for name, _ in maps.images()},
        n_bytes=n_bytes,
        options=_option_texts(run.options),
        assumptions=maps.assumptions,
        started=run.watch.started,
        seconds=run.watch.seconds,
        versions=versions(),
        residuals=residuals,
        budget=budget,
    )
    return make_report(facts)


def _from_report(folder: Path, source: Path, name: str) -> str:
    """Where a map lies, relative to the report."""
    return os.path.relpath(map_path(folder, source, name), report_folder(folder, source))


def _details(method: "Method") -> dict[str, Any]:
    """Facts of the method for a sidecar."""
    details = {
        method.kind: method.name,
        f"{method.kind}_sha256": method.sha256,
        "sequence": method.sequence_name,
        "sequence_id": method.sequence_id,
        "t1_range_ms": _in_ms(method.t1_range),
        "t2_range_ms": _in_ms(method.t2_range),
    }
    if "adc_m2_per_s" in method.numbers:
        details["adc_m2_per_s"] = method.numbers["adc_m2_per_s"]
    return details


def _in_ms(seconds: tuple[float, float]) -> list[float]:
    return [round(value * 1e3, 6) for value in seconds]


def _option_texts(options: Mapping[str, object]) -> dict[str, str]:
    """What the caller chose, in words."""
    texts = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            texts[name] = ", ".join(f"{key} {size}" for key, size in value.items())
        elif value is not None:
            texts[name] = str(value)
    return texts
