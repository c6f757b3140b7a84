"""What goes with maps and may fail without them: a picture, the report, and DICOM maps.

The maps are written before. Each failure here is told in one line, and nothing is left half
written.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from mrftool.environment.reporter import Reporter
from mrftool.errors import MrftoolError
from mrftool.formats.atomic import writing
from mrftool.formats.bids import map_path, report_folder, versions
from mrftool.formats.open_scan import file_kind
from mrftool.inference.assessment.background import background_of
from mrftool.reports.run import Report, Run
from mrftool.workflows.steps.outputs.maps_run import MapsRun

Made = TypeVar("Made")


class Failures:
    """Sentences on what could not be made; each is told as it happens."""

    def __init__(self, reporter: Reporter) -> None:
        self.sentences: list[str] = []
        self._reporter = reporter

    def attempt(self, make: Callable[[], Made], otherwise: str) -> Made | None:
        """What `make` returns; None if it fails, which is told as `otherwise: why`."""
        try:
            return make()
        except Exception as error:
            sentence = f"{otherwise}: {_why(error)}"
            self.sentences.append(sentence)
            self._reporter.note(sentence)
            return None


def draw_picture(run: MapsRun, path: Path) -> Path:
    """Write overview.png, whole or not at all."""
    from mrftool.pages.maps import overview_figure

    with run.watch.stage("picture"), writing(path) as part:
        overview_figure(run.maps, run.series.affine, part, title=run.source.name)
    return path


def make_run_report(run: MapsRun, folder: Path) -> Report:
    """The report of a run on the maps in `folder`, as a page and as numbers."""
    from mrftool.reports.page import make_report

    return make_report(_report_facts(run, folder))


def make_run_numbers(run: MapsRun, folder: Path) -> Report:
    """The same without a page, for where that cannot be made."""
    from mrftool.reports.page import report_without_page

    return report_without_page(_report_facts(run, folder))


def _report_facts(run: MapsRun, folder: Path) -> Run:
    """What the report of a run is made from."""
    from mrftool.workflows.steps.fit import look_at_fit

    source, maps = run.source, run.maps
    with run.watch.stage("look at the fit"):
        residuals, budget = look_at_fit(
            run.series, maps, run.method, run.given, run.stated, run.following, run.sample
        )
    return Run(
        command=run.command,
        source=str(source),
        kind=run.kind or file_kind(source),
        series=run.series,
        maps=maps,
        method=run.method,
        files=names_of_maps(run, folder),
        n_bytes=_size_of(run),
        options=_option_texts(run.options),
        assumptions=maps.assumptions,
        started=_started(run),
        seconds=run.watch.seconds,
        versions=versions(),
        residuals=residuals,
        budget=budget,
        background=background_of(run.series),
        noise_sd=run.noise_sd,
    )


def names_of_maps(run: MapsRun, folder: Path) -> dict[str, str]:
    """Where each map lies, relative to the report."""
    place = report_folder(folder, run.source)
    return {
        name: os.path.relpath(map_path(folder, run.source, name), place)
        for name, _ in run.maps.images()
    }


def _size_of(run: MapsRun) -> int | None:
    """Bytes of a file; None for a folder, and for a scan that is not named."""
    if not run.whose().is_anonymous and run.source.is_file():
        return run.source.stat().st_size
    return None


def _started(run: MapsRun) -> str:
    """When the run began: often the day of the scan, so nothing where that is not said."""
    if run.whose().is_anonymous:
        return ""
    return run.watch.started


def _why(error: Exception) -> str:
    """An error in one line, with its kind where it is none of our own."""
    text = " ".join(str(error).split())
    if isinstance(error, MrftoolError):
        return text
    return f"{type(error).__name__}: {text}"


def _option_texts(options: Mapping[str, object]) -> dict[str, str]:
    """What the caller chose, in words."""
    texts = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            texts[name] = ", ".join(f"{key} {size}" for key, size in value.items())
        elif value is not None:
            texts[name] = str(value)
    return texts
