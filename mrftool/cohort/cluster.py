"""Where the tasks of a cohort run: local processes, or a cluster that exists. Home of dask."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrftool.cohort.task import Task, TaskResult, run_task
from mrftool.environment.child_process import safe_start
from mrftool.errors import InputError

if TYPE_CHECKING:
    from dask.distributed import Client

_CONNECT = "10s"
_SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,  # a scan that kills its worker is not repeated
    "distributed.scheduler.work-stealing": True,
    "distributed.worker.memory.terminate": False,  # mapped files count as memory there
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.daemon": True,
    "distributed.admin.tick.limit": "60s",
    "distributed.scheduler.worker-saturation": 1.0,
    # Worker processes must not import what lies in the working folder, not even while they start.
    "distributed.nanny.pre-spawn-environ.PYTHONSAFEPATH": "1",
}


@dataclass(frozen=True)
class ClusterChoice:
    """Which workers take the tasks.

    Parameters
    ----------
    workers
        Local processes, or jobs of a Slurm cluster.
    scheduler
        Address of a dask scheduler that runs already, as in `tcp://127.0.0.1:8786`.
    slurm
        Whether to start workers as Slurm jobs, by dask-jobqueue.
    memory
        Bytes of each worker, asked from Slurm.

    """

    workers: int = 1
    scheduler: str | None = None
    slurm: bool = False
    memory: int = 4 << 30


@contextmanager
def open_cluster(choice: ClusterChoice) -> Iterator["Client"]:
    """A dask client whose workers take tasks; local ones end with it.

    Raises
    ------
    InputError
        If the scheduler does not answer.

    """
    import dask
    from dask.distributed import Client

    with dask.config.set(_SETTINGS), ExitStack() as stack:
        if choice.scheduler is not None:
            try:
                client = Client(choice.scheduler, timeout=_CONNECT)
            except (OSError, ValueError) as error:
                raise InputError(
                    f"{choice.scheduler}: no scheduler answers there ({type(error).__name__}), "
                    "expected the address of a dask scheduler"
                ) from error
        elif choice.slurm:
            client = Client(stack.enter_context(_slurm(choice)))
        else:
            with safe_start():  # also for the resource tracker, which starts with the first worker
                client = Client(stack.enter_context(_local(choice.workers)))
        yield stack.enter_context(client)


def run_tasks(
    client: "Client", tasks: list[Task], work: Callable[[Task], TaskResult] = run_task
) -> Iterator[TaskResult]:
    """Run tasks on the workers of a client, and give each result as it comes.

    A worker that dies takes with it the task that it ran, and may take others that waited in the
    same process. All of these run again, one after the other, so that only the scan that kills
    its worker fails.
    """
    from dask.distributed import as_completed

    waiting = {client.submit(work, task, pure=False, retries=0): task for task in tasks}
    suspects: list[Task] = []
    for future in as_completed(list(waiting), raise_errors=False):
        if future.status == "finished":
            yield future.result()
        else:
            suspects.append(waiting[future])
    for task in suspects:
        yield _run_alone(client, task, work)


def _run_alone(client: "Client", task: Task, work: Callable[[Task], TaskResult]) -> TaskResult:
    """Run one task while no other runs."""
    future = client.submit(work, task, pure=False, retries=0)
    error = future.exception()
    if error is None:
        result: TaskResult = future.result()
        return result
    if type(error).__name__ == "KilledWorker":
        reason = "its worker process died: killed from outside, or a crash"
    else:
        reason = f"{type(error).__name__}: {error}"
    return TaskResult(task.scan.key, "failed", reason)


def _local(workers: int):  # type: ignore[no-untyped-def]
    """Processes on this machine, on the loopback interface, without a web page."""
    from dask.distributed import LocalCluster

    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # of its metrics: any free port
        memory_limit=0,
        silence_logs=50,
        env={"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"},
    )


def _slurm(choice: ClusterChoice):  # type: ignore[no-untyped-def]
    """Jobs of a Slurm cluster, one core each."""
    from dask_jobqueue import SLURMCluster

    cluster = SLURMCluster(
        cores=1,
        processes=1,
        memory=f"{choice.memory >> 20}MB",
        python=sys.executable,
        job_script_prologue=["export PYTHONSAFEPATH=1 OMP_NUM_THREADS=1"],
        log_directory=os.devnull,
    )
    cluster.scale(jobs=choice.workers)
    return cluster
