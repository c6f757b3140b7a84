"""One scan of a cohort, from its files to its maps: what a worker runs."""

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
from mrftool.environment.reporter import SilentReporter
from mrftool.errors import MrftoolError
from mrftool.workflows.quantify import quantify_scan
from mrftool.workflows.steps.scan import ScanFiles

_DECORATIONS = ("report.html", "report.json", "overview.png")


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

    """

    scan: CohortScan
    model: Path
    output: Path
    work: Path
    memory: int | None = None

    @property
    def folder(self) -> Path:
        """Where the report and the marker of the scan lie."""
        parts = (part for part in (self.scan.subject, self.scan.session) if part)
        return self.output.joinpath(*parts, "anat", f"{self.scan.key}_report")

    @property
    def marker(self) -> Path:
        """The file that says that the scan is done."""
        return self.folder / "done.json"


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
        facts = fingerprint_of(task.scan, task.model)
        if is_done(task.marker, facts):
            return TaskResult(task.scan.key, "skipped")
        with _memory_limit(task.memory):
            notes = _quantify(task, facts)
    except MrftoolError as error:
        return TaskResult(task.scan.key, "failed", str(error), time.monotonic() - start)
    except (MemoryError, OSError) as error:
        reason = f"{type(error).__name__}: {error}"
        return TaskResult(task.scan.key, "failed", reason, time.monotonic() - start)
    return TaskResult(task.scan.key, "done", "", time.monotonic() - start, notes)


def _quantify(task: Task, facts: dict[str, Any]) -> tuple[str, ...]:
    reporter = SilentReporter()
    task.work.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{task.scan.key}-", dir=task.work))
    try:
        files = ScanFiles(task.scan.image, imag=task.scan.imaginary, phase=task.scan.phase)
        quantify_scan(files, scratch, reporter, model=task.model, threads=1)
        task.marker.unlink(missing_ok=True)
        outputs = _publish(task, scratch)
        write_marker(task.marker, {**facts, "outputs": outputs})
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return tuple(reporter.notes)


def _publish(task: Task, scratch: Path) -> list[str]:
    """Move the maps and the report of a scan into the data set; their paths in it."""
    moved = []
    for source in sorted(path for path in scratch.rglob("*") if path.is_file()):
        if source.name in _DECORATIONS:
            target = task.folder / source.name
        elif task.scan.subject in source.relative_to(scratch).parts:
            target = task.output / source.relative_to(scratch)
        else:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
        moved.append(str(target.relative_to(task.output)))
    return moved


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
