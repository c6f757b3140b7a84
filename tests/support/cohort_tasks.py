"""Work for the tasks of a cohort that goes wrong on purpose; workers import it by name."""

import os
import signal

from mrftool.cohort.task import Task, TaskResult, run_task


def killing_sub_03(task: Task) -> TaskResult:
    """As `run_task`, but the scan of sub-03 kills its worker."""
    if task.scan.subject == "sub-03":
        os.kill(os.getpid(), signal.SIGKILL)
    return run_task(task)


def killing_sub_40(task: Task) -> TaskResult:
    """As `run_task`, but the scan of sub-40 kills its worker."""
    if task.scan.subject == "sub-40":
        os.kill(os.getpid(), signal.SIGKILL)
    return run_task(task)
