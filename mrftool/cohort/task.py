"""One scan of a cohort, from its files to its maps: what a worker runs."""

import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mrftool.cohort.dataset import CohortScan
from mrftool.cohort.marker import fingerprint_of, is_done, write_marker
from mrftool.environment.anonymous import HIDDEN, without_paths
from mrftool.environment.reporter import SilentReporter
from mrftool.errors import MrftoolError
from mrftool.formats.bids import map_path, sidecar_path, to_json
from mrftool.quantities import QUANTITIES
from mrftool.workflows.quantify import quantify_scan
from mrftool.workflows.steps.scan import ScanFiles

_REPORT = "report.json"
_DECORATIONS = ("report.html", _REPORT, "overview.png")


@dataclass(frozen=True)
class Task:
    """What to do with one scan.

    Parameters
    ----------
    scan
        The scan.
    model
        Model file (.onnx).
    output
        Folder of the derivative data set.
    work
        Folder for unfinished work.
    memory
        Bytes of memory that the work may take, or None for no limit.
    is_anonymous
        Whether outputs say nothing of the scan but its name in the data set.

    """

    scan: CohortScan
    model: Path
    output: Path
    work: Path
    memory: int | None = None
    is_anonymous: bool = False

    @property
    def folder(self) -> Path:
        """Where the report and the marker of the scan lie."""
        parts = (part for part in (self.scan.subject, self.scan.session) if part)
        return self.output.joinpath(*parts, "anat", f"{self.scan.key}_report")

    @property
    def marker(self) -> Path:
        """The file that says that the scan is done."""
        return self.folder / "done.json"

    def facts(self) -> dict[str, Any]:
        """What the outputs depend on."""
        facts = fingerprint_of(self.scan, self.model)
        if not self.is_anonymous:
            return facts
        model = {**facts["model"], "name": HIDDEN}
        return {**facts, "model": model, "anonymous": True}

    def shown(self, text: str) -> str:
        """What may be said of a text."""
        if not self.is_anonymous:
            return text
        return without_paths(text, [*self.scan.files, *(each.parent for each in self.scan.files)])


@dataclass(frozen=True)
class TaskResult:
    """How a scan ended: "done", "skipped" (was done before) or "failed", and why.

    Parameters
    ----------
    key
        The name of the scan.
    state
        How it ended.
    reason
        Why it failed, or "".
    seconds
        Wall-clock time [s].
    notes
        What was assumed or noticed.

    """

    key: str
    state: str
    reason: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default=())


def run_task(task: Task) -> TaskResult:
    """Quantify the scan of a task, unless its marker says that this was done.

    What mrftool reports as an error, or memory that runs out, becomes a failed result.
    """
    start = time.monotonic()
    try:
        facts = task.facts()
        if is_done(task.marker, facts):
            return TaskResult(task.scan.key, "skipped")
        with _memory_limit(task.memory):
            notes = _quantify(task, facts)
    except MrftoolError as error:
        reason = task.shown(str(error))
        return TaskResult(task.scan.key, "failed", reason, time.monotonic() - start)
    except (MemoryError, OSError) as error:
        reason = task.shown(f"{type(error).__name__}: {error}")
        return TaskResult(task.scan.key, "failed", reason, time.monotonic() - start)
    return TaskResult(task.scan.key, "done", "", time.monotonic() - start, notes)


def _quantify(task: Task, facts: dict[str, Any]) -> tuple[str, ...]:
    reporter = SilentReporter()
    task.work.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{task.scan.key}-", dir=task.work))
    try:
        files = ScanFiles(task.scan.image, imag=task.scan.imaginary, phase=task.scan.phase)
        options: dict[str, Any] = {"model": task.model, "anonymous": task.is_anonymous}
        quantify_scan(files, scratch, reporter, threads=1, **options)
        task.marker.unlink(missing_ok=True)
        outputs = _publish(task, scratch)
        write_marker(task.marker, {**facts, "outputs": outputs})
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return tuple(reporter.notes)


def _publish(task: Task, scratch: Path) -> list[str]:
    """Move the maps and the report of a scan into the data set; their paths in it."""
    moved = []
    names = _names_in_the_data_set(task)
    for source in sorted(path for path in scratch.rglob("*") if path.is_file()):
        if source.name in _DECORATIONS:
            target = task.folder / source.name
        elif task.scan.subject in source.relative_to(scratch).parts:
            target = task.output / source.relative_to(scratch)
        elif source.name in names:
            target = names[source.name]
        else:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
        moved.append(str(target.relative_to(task.output)))
    if task.is_anonymous:
        _name_outputs(task, names)
    return moved


def _names_in_the_data_set(task: Task) -> dict[str, Path]:
    """Where maps go that an anonymous run wrote under neutral names."""
    places: dict[str, Path] = {}
    if task.is_anonymous:
        for name in QUANTITIES:
            neutral = map_path("", HIDDEN, name)
            place = map_path(task.output, task.scan.image, name)
            places[neutral.name] = place
            places[sidecar_path(neutral).name] = sidecar_path(place)
    return places


def _name_outputs(task: Task, names: dict[str, Path]) -> None:
    """Let an anonymous report name the files by their names in the data set."""
    report = task.folder / _REPORT
    facts = json.loads(report.read_text("utf-8"))
    places = [names.get(name, task.folder / name) for name in facts["outputs"]]
    facts["outputs"] = sorted(os.path.relpath(place, task.folder) for place in places)
    report.write_text(to_json(facts), "utf-8")


@contextmanager
def _memory_limit(n_bytes: int | None) -> Iterator[None]:
    """While open, more anonymous memory of this process than this is a MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    if n_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
