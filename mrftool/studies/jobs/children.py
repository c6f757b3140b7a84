"""The processes of jobs: started with their share of the processors, and stopped with us."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mrftool.child_process import python_command, python_environment
from mrftool.studies.jobs.machine import COMMIT_VARIABLE, commit
from mrftool.studies.jobs.records import LOG
from mrftool.threads import usable_processors

MODULE = "mrftool.studies.jobs.job"
_PATIENCE = 20.0  # [s] for a job to end when it is asked to
_LOG_END = 2000  # bytes of a log in which its last line is looked for


@dataclass(frozen=True)
class Child:
    """A running job. place: which share of the processors it has, from 0."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    place: int

    def last_words(self) -> str:
        """The last line that it wrote."""
        with (self.folder / LOG).open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - _LOG_END, 0))
            lines = [
                line.strip()
                for line in log.read().decode("utf-8", "replace").splitlines()
                if line.strip()
            ]
        return lines[-1] if lines else "it said nothing"


def start_child(folder: Path, place: int, at_once: int) -> Child:
    """Start the job in `folder` as one of `at_once`; what it says goes to its log."""
    threads = max(usable_processors() // at_once, 1)
    shared = {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        COMMIT_VARIABLE: commit(),
    }
    command = python_command(MODULE, str(folder.resolve()))
    environment = python_environment(shared)
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
    if at_once > 1 and hasattr(os, "sched_setaffinity"):
        own = sorted(os.sched_getaffinity(0))
        with suppress(OSError):  # it has ended already, or the system does not let us
            os.sched_setaffinity(
                process.pid, {own[(place * threads + k) % len(own)] for k in range(threads)}
            )
    return Child(process, folder, place)


@contextmanager
def children() -> Iterator[dict[str, Child]]:
    """Yields a dictionary; the processes that are in it when the block ends, however it ends, are
    stopped.
    """
    running: dict[str, Child] = {}
    try:
        yield running
    finally:
        for child in running.values():
            child.process.terminate()
        for child in running.values():
            try:
                child.process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
