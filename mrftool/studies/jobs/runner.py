"""Jobs as processes of their own, several at a time: what is done stays done, and whoever stops us
stops them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mrftool.studies.jobs.children import Child, children, start_child
from mrftool.studies.jobs.records import Job, is_done, job_folder, write_job

_POLL = 0.2  # [s]


@dataclass
class State:
    """What a run of jobs has come to.

    found: done before. since: when those running began. seconds: that each finished one took here
    [s].
    failed: why, for each that failed.
    """

    jobs: Sequence[Job]
    at_once: int
    found: list[Job] = field(default_factory=list)
    waiting: list[Job] = field(default_factory=list)
    since: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def n_ended(self) -> int:
        """Jobs that were done before, are done now, or failed."""
        return len(self.found) + len(self.seconds) + len(self.failed)

    def seconds_left(self) -> float | None:
        """Estimate from what jobs of the same kind took, None before there is anything to go by
        [s].
        """
        typical = _Typical(self)
        left = [typical.of(job) for job in self.waiting]
        left += [
            max(typical.of(job) - (time.monotonic() - self.since[job["name"]]), 0)
            for job in self._running()
        ]
        return None if not typical.known else sum(left) / self.at_once

    def _running(self) -> list[Job]:
        return [job for job in self.jobs if job["name"] in self.since]


class _Typical:
    """What jobs took that are done: the same method, or else any."""

    def __init__(self, state: State) -> None:
        self.known: dict[str, list[float]] = {}
        for job in state.jobs:
            if job["name"] in state.seconds:
                self.known.setdefault(_likeness(job), []).append(state.seconds[job["name"]])

    def of(self, job: Job) -> float:
        alike = self.known.get(_likeness(job)) or [
            x for values in self.known.values() for x in values
        ]
        return sum(alike) / len(alike) if alike else 0.0


def _likeness(job: Job) -> str:
    train = job["train"]
    return f"{job['kind']} {train.get('encoder')} {train.get('decoder')} {train.get('steps')}"


def run_jobs(
    output: Path, jobs: Sequence[Job], *, at_once: int, watch: Callable[[State], None]
) -> State:
    """Run what is not done yet, `at_once` at a time. watch: called several times a second, and when
    something ends.

    An exception, such as a keyboard interrupt, stops the running jobs, which go on from their
    checkpoints next time.
    Raises InputError if a folder cannot be written.
    """
    state = State(jobs, at_once)
    for job in jobs:
        write_job(job_folder(output, job["name"]), job)
        (state.found if is_done(job_folder(output, job["name"])) else state.waiting).append(job)
    with children() as running:
        while state.waiting or running:
            _start_some(output, state, running)
            _gather(output, state, running)
            watch(state)
            if running:
                time.sleep(_POLL)
    return state


def _start_some(output: Path, state: State, running: dict[str, Child]) -> None:
    for job in list(state.waiting):
        if len(running) >= state.at_once:
            return
        name, start = job["name"], job["start"]
        if start in state.failed:
            state.waiting.remove(job)
            state.failed[name] = f"it begins from {start}, which failed"
        elif start is None or is_done(job_folder(output, start)):
            state.waiting.remove(job)
            state.since[name] = time.monotonic()
            place = min(set(range(state.at_once)) - {child.place for child in running.values()})
            running[name] = start_child(job_folder(output, name), place, state.at_once)


def _gather(output: Path, state: State, running: dict[str, Child]) -> None:
    for name, child in list(running.items()):
        code = child.process.poll()
        if code is None:
            continue
        del running[name]
        took, folder = time.monotonic() - state.since.pop(name), job_folder(output, name)
        if code == 0 and is_done(folder):
            state.seconds[name] = took
        else:
            state.failed[name] = f"exit code {code}: {child.last_words()}"
