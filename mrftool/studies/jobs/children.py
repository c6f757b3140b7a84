"""The processes of jobs: each gets its share of the processors, and ends when the study ends."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mrftool.environment.child_process import python_command, python_environment
from mrftool.environment.threads import usable_processors
from mrftool.studies.jobs.machine import COMMIT_VARIABLE, commit
from mrftool.studies.jobs.records import LOG

MODULE = "mrftool.studies.jobs.job"
_TERMINATION_TIME = 20.0  # [s] that a job has to end when it is asked to
_LOG_END = 2000  # bytes of a log in which its last line is searched


@dataclass(frozen=True)
class Child:
    """A running job. place: which share of the processors it has, from 0."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    place: int

    def last_line(self) -> str:
        """The last line of its log."""
        with (self.folder / LOG).open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - _LOG_END, 0))
            text = log.read().decode("utf-8", "replace").strip()
        if not text:
            return "no message"
        return text.splitlines()[-1].strip()


def start_child(folder: Path, place: int, at_once: int, device: str) -> Child:
    """Start the job in `folder` as one of `at_once`; its output goes to its log.

    device: that torch works on: "cpu", "cuda" or "auto".
    """
    threads = max(usable_processors() // at_once, 1)
    variables = {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        COMMIT_VARIABLE: commit(),
    }
    command = python_command(MODULE, str(folder.resolve()), device)
    environment = python_environment(variables)
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
    if at_once > 1:
        _pin(process.pid, place, threads)
    return Child(process, folder, place)


def _pin(process_id: int, place: int, threads: int) -> None:
    """Bind a process to its share of the processors, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return
    processors = sorted(os.sched_getaffinity(0))
    share = {processors[(place * threads + k) % len(processors)] for k in range(threads)}
    with suppress(OSError):  # it has ended already, or the system does not allow it
        os.sched_setaffinity(process_id, share)


@contextmanager
def children() -> Iterator[dict[str, Child]]:
    """Yields a dictionary; processes that are in it when the block ends, however, are stopped."""
    running: dict[str, Child] = {}
    try:
        yield running
    finally:
        for child in running.values():
            child.process.terminate()
        for child in running.values():
            try:
                child.process.wait(_TERMINATION_TIME)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
