"""The paper's comparison: run the jobs of the study, and write its report."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from mrftool.environment.extras import install_hint
from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError, InputError, MissingExtraError
from mrftool.studies.jobs.records import digest
from mrftool.studies.jobs.runner import State, run_jobs
from mrftool.studies.paper.plan import choose, make_plan
from mrftool.studies.paper.results import PLAN, load_study, read_plan, write_plan
from mrftool.studies.paper.sets import ANATOMICAL, make_sets
from mrftool.workflows.steps.outputs.places import require_folder

DATA_VARIABLE = "MRFTOOL_DATA"


def run_study(
    output: Path,
    reporter: Reporter,
    *,
    quick: bool,
    at_once: int,
    seeds: int,
    only: str | None,
    device: str = "auto",
    command: str = "",
    watch: Callable[[State], None] = lambda _: None,
) -> dict[str, str]:
    """Run what is not done yet. Returns why jobs failed, by name.

    Parameters
    ----------
    output : Path
        Folder of the study.
    reporter : Reporter
        Hears of progress and notes.
    quick : bool
        A tenth of the training.
    at_once : int
        Number of jobs that run at the same time.
    seeds : int
        Trainings of each method.
    only : str, optional
        Pattern of the names of jobs to run.
    device : str
        That torch works on: "cpu", "cuda" or "auto".
    command : str
        How the study was called, for its report.
    watch : callable
        Called with the state of the jobs whenever it changes.

    Raises MissingExtraError without torch, InputError for folders that cannot be used,
    ArgumentError for a pattern without a match.

    """
    if find_spec("torch") is None:
        raise MissingExtraError("torch is not installed", hint=install_hint("train"))
    require_folder(output)
    output.mkdir(parents=True, exist_ok=True)
    _refuse_other_form(output, quick)
    with reporter.working("making the test data"):
        sets = make_sets(output, _data(reporter), quick=quick)
    jobs = make_plan(sets, quick=quick, seeds=seeds)
    chosen = choose(jobs, only)
    write_plan(
        output,
        {
            "command": command,
            "quick": quick,
            "seeds": seeds,
            "jobs": {job["name"]: digest(job) for job in jobs},
        },
    )
    return run_jobs(output, chosen, at_once=at_once, watch=watch, device=device).failed


def report_study(output: Path, reporter: Reporter) -> list[Path]:
    """Write the report of what is done; the files written. Raises InputError if the folder holds no
    study.
    """
    from mrftool.studies.report.report import write_report

    with reporter.working("writing the report"):
        return write_report(load_study(output))


def _refuse_other_form(output: Path, quick: bool) -> None:
    """Raises ArgumentError where the folder holds the other form: nobody loses a night's work by a
    slip.
    """
    if not (output / PLAN).exists():
        return
    if bool(read_plan(output).get("quick")) != quick:
        other, asked = ("full", "quick") if quick else ("quick", "full")
        raise ArgumentError(
            f"{output} holds the {other} form of the study, expected another folder for the "
            f"{asked} one"
        )


def _data(reporter: Reporter) -> Path | None:
    """The folder of measured data. Raises InputError if the environment names one that is not
    there.
    """
    place = os.environ.get(DATA_VARIABLE)
    if not place:
        reporter.note(
            f"${DATA_VARIABLE} is not set: the study goes without the paper's anatomical maps"
        )
        return None
    if not (Path(place) / ANATOMICAL).exists():
        raise InputError(
            f"{Path(place) / ANATOMICAL}: no such file, expected the anatomical maps in "
            f"${DATA_VARIABLE}"
        )
    return Path(place)
