"""Run jobs as processes, several at a time. What is done is not run again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mrftool.studies.jobs.children import Child, children, start_child
from mrftool.studies.jobs.records import Job, is_done, job_folder, write_job

_POLL_INTERVAL = 0.2  # [s]


@dataclass
class State:
    """How far the jobs have come.

    Parameters
    ----------
    jobs, at_once
        All jobs, and how many run at a time.
    device
        That torch works on.
    done_before
        Jobs that were done before.
    waiting
        Jobs that have not started.
    since
        When each running job began (`time.monotonic`) [s], by name.
    seconds
        How long each job took that is done now [s], by name.
    failed
        The reason for each job that failed, by name.
    """

    jobs: Sequence[Job]
    at_once: int
    device: str = "auto"
    done_before: list[Job] = field(default_factory=list)
    waiting: list[Job] = field(default_factory=list)
    since: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def n_ended(self) -> int:
        """Jobs that were done before, are done now, or failed."""
        return len(self.done_before) + len(self.seconds) + len(self.failed)

    def seconds_left(self) -> float | None:
        """Estimate from what similar jobs took [s]; None before any job is done."""
        durations = _durations(self)
        if not durations:
            return None
        left = sum(_expected_duration(job, durations) for job in self.waiting)
        for job in self.jobs:
            since = self.since.get(job["name"])
            if since is not None:
                spent = time.monotonic() - since
                left += max(_expected_duration(job, durations) - spent, 0)
        return left / self.at_once


def _durations(state: State) -> dict[str, list[float]]:
    """Durations of the jobs that are done [s], by kind."""
    durations: dict[str, list[float]] = {}
    for job in state.jobs:
        if job["name"] in state.seconds:
            durations.setdefault(_kind(job), []).append(state.seconds[job["name"]])
    return durations


def _expected_duration(job: Job, durations: dict[str, list[float]]) -> float:
    """Mean over jobs of the same kind, or over all if there is none [s]."""
    similar = durations.get(_kind(job))
    if similar is None:
        similar = [seconds for each in durations.values() for seconds in each]
    return sum(similar) / len(similar)


def _kind(job: Job) -> str:
    """Jobs of one kind take about equally long."""
    train = job["train"]
    return f"{job['kind']} {train.get('encoder')} {train.get('decoder')} {train.get('steps')}"


def run_jobs(
    output: Path,
    jobs: Sequence[Job],
    *,
    at_once: int,
    watch: Callable[[State], None],
    device: str = "auto",
) -> State:
    """Run the jobs that are not done yet.

    An exception, such as a keyboard interrupt, stops the running jobs; the next call resumes them
    from their checkpoints.

    Parameters
    ----------
    output
        Folder of the study.
    jobs
        All jobs, each after the one that it starts from.
    at_once
        How many run at a time.
    watch
        Called several times a second, and when a job ends.
    device
        That torch works on: "cpu", "cuda" or "auto".

    Raises
    ------
    InputError
        If a folder cannot be written.
    """
    state = State(jobs, at_once, device)
    for job in jobs:
        folder = job_folder(output, job["name"])
        write_job(folder, job)
        if is_done(folder):
            state.done_before.append(job)
        else:
            state.waiting.append(job)
    with children() as running:
        while state.waiting or running:
            _start_some(output, state, running)
            _collect(output, state, running)
            watch(state)
            if running:
                time.sleep(_POLL_INTERVAL)
    return state


def _start_some(output: Path, state: State, running: dict[str, Child]) -> None:
    """Start jobs until as many run as may; one that starts from another waits for it."""
    for job in list(state.waiting):
        if len(running) >= state.at_once:
            return
        name, start = job["name"], job["start"]
        if start in state.failed:
            state.waiting.remove(job)
            state.failed[name] = f"it starts from {start}, which failed"
        elif start is None or is_done(job_folder(output, start)):
            state.waiting.remove(job)
            state.since[name] = time.monotonic()
            place = min(set(range(state.at_once)) - {child.place for child in running.values()})
            folder = job_folder(output, name)
            running[name] = start_child(folder, place, state.at_once, state.device)


def _collect(output: Path, state: State, running: dict[str, Child]) -> None:
    """Take the jobs that have ended out of `running`."""
    for name, child in list(running.items()):
        code = child.process.poll()
        if code is None:
            continue
        del running[name]
        seconds = time.monotonic() - state.since.pop(name)
        if code == 0 and is_done(job_folder(output, name)):
            state.seconds[name] = seconds
        else:
            state.failed[name] = f"exit code {code}: {child.last_line()}"
