"""The participant level: every fingerprint scan of a data set through its model."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mrftool.cohort.cluster import ClusterChoice, open_cluster, run_tasks
from mrftool.cohort.dataset import CohortScan
from mrftool.cohort.marker import is_done
from mrftool.cohort.task import Task, TaskResult
from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError
from mrftool.formats.atomic import writing
from mrftool.formats.bids import dataset_texts

LEAST_MEMORY = 1 << 30  # bytes of a worker: libraries and the blocks of a scan
_COLUMNS = ("scan", "state", "seconds", "reason")


@dataclass(frozen=True)
class Resources:
    """What a run may take.

    Parameters
    ----------
    cluster
        Which workers take the tasks.
    memory
        Bytes of all local workers together, or None for no limit.

    """

    cluster: ClusterChoice
    memory: int | None = None

    @property
    def worker_memory(self) -> int | None:
        """Bytes of each worker."""
        if self.memory is None:
            return None
        return self.memory // self.cluster.workers


def run_participants(
    scans: Iterable[CohortScan],
    model: Path,
    output: Path,
    reporter: Reporter,
    *,
    resources: Resources,
    work: Path | None = None,
    anonymous: bool = False,
) -> list[TaskResult]:
    """Quantify scans into a derivative data set; how each ended, by name.

    What was done before, with the same input, model and version, is skipped. Also writes
    `status.tsv`. Anonymous outputs say nothing of a scan but its name in the data set.

    Raises
    ------
    ArgumentError
        If a worker has less memory than one scan needs.

    """
    memory = resources.worker_memory
    if memory is not None and memory < LEAST_MEMORY:
        raise ArgumentError(
            f"{memory >> 20} MB for each of {resources.cluster.workers} workers, "
            f"expected at least {LEAST_MEMORY >> 20} MB: fewer workers or more memory"
        )
    scratch = work or output / ".work"
    places = model.absolute(), output.absolute(), scratch, memory, anonymous
    tasks = [Task(scan, *places) for scan in scans]
    _write_dataset_texts(output)
    started = time.time()
    results = _results_by_key(tasks, resources.cluster, reporter)
    with suppress(OSError):  # what a killed worker left there stays
        scratch.rmdir()
    ordered = [_believed(task, results[task.scan.key], started) for task in tasks]
    write_status(output / "status.tsv", ordered)
    return ordered


def _results_by_key(
    tasks: list[Task], choice: ClusterChoice, reporter: Reporter
) -> dict[str, TaskResult]:
    """Run all tasks, and say why a scan failed as soon as it has."""
    results = {task.scan.key: TaskResult(task.scan.key, "failed", "not run") for task in tasks}
    with (
        open_cluster(choice) as client,
        reporter.progress("quantifying", len(tasks)) as progress,
    ):
        for result in run_tasks(client, tasks):
            results[result.key] = result
            if result.state == "failed":
                reporter.note(f"{result.key}: {result.reason}")
            progress(1)
    return results


def write_status(path: Path, results: Iterable[TaskResult]) -> None:
    """Write how each scan ended, as tab-separated values."""
    lines = ["\t".join(_COLUMNS)]
    for result in results:
        reason = " ".join(result.reason.split()) or "n/a"
        lines.append(f"{result.key}\t{result.state}\t{result.seconds:.1f}\t{reason}")
    with writing(path) as part:
        part.write_text("\n".join(lines) + "\n", "utf-8")


def _believed(task: Task, result: TaskResult, started: float) -> TaskResult:
    """The marker on disk counts: a scan may be done although its worker was lost afterwards.

    Such a scan is found done when it is tried again: it counts as done in this run.

    Parameters
    ----------
    started
        When this run began [s since 1970].

    """
    if result.state == "done" or not task.marker.exists():
        return result
    is_new = task.marker.stat().st_mtime >= started
    if result.state == "skipped" and not is_new:
        return result
    if is_done(task.marker, task.facts()):
        return TaskResult(task.scan.key, "done", "", result.seconds)
    return result


def _write_dataset_texts(output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for path, text in dataset_texts(output).items():
        with writing(path) as part:
            part.write_text(text, "utf-8")
