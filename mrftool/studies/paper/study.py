"""The work behind `mrftool evaluate paper`: run the jobs of the study while a person watches, and
write its report.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mrftool.cli.console import note, working
from mrftool.cli.options import require_folder
from mrftool.errors import ArgumentError, InputError, MissingExtraError
from mrftool.studies.jobs.records import digest
from mrftool.studies.jobs.runner import State, run_jobs
from mrftool.studies.paper.plan import choose, make_plan
from mrftool.studies.paper.results import PLAN, load_study, read_plan, write_plan
from mrftool.studies.paper.sets import ANATOMICAL, make_sets
from mrftool.studies.report.cells import duration

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

DATA_VARIABLE = "MRFTOOL_DATA"


def run_study(
    output: Path, *, quick: bool, at_once: int, seeds: int, only: str | None
) -> dict[str, str]:
    """Run what is not done yet. Returns why jobs failed, by name.

    Raises MissingExtraError without torch, InputError for folders that cannot be used, ArgumentError
    for a pattern without a match.
    """
    if find_spec("torch") is None:
        raise MissingExtraError("torch is not installed", hint="pip install 'mrftool[train]'")
    require_folder(output)
    output.mkdir(parents=True, exist_ok=True)
    _refuse_other_form(output, quick)
    with working("making the test data"):
        sets = make_sets(output, _data(), quick=quick)
    jobs = make_plan(sets, quick=quick, seeds=seeds)
    chosen = choose(jobs, only)
    command = _command(output, quick, at_once, seeds, only)
    write_plan(
        output,
        {
            "command": command,
            "quick": quick,
            "seeds": seeds,
            "jobs": {job["name"]: digest(job) for job in jobs},
        },
    )
    with _watching() as watch:
        return run_jobs(output, chosen, at_once=at_once, watch=watch.look).failed


def report_study(output: Path) -> list[Path]:
    """Write the report of what is done; the files written. Raises InputError if the folder holds no
    study.
    """
    from mrftool.studies.report.report import write_report

    with working("writing the report"):
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
            f"{output} holds the {other} form of the study, expected another folder for the {asked} one"
        )


def _data() -> Path | None:
    """The folder of measured data. Raises InputError if the environment names one that is not
    there.
    """
    place = os.environ.get(DATA_VARIABLE)
    if not place:
        note(f"${DATA_VARIABLE} is not set: the study goes without the paper's anatomical maps")
        return None
    if not (Path(place) / ANATOMICAL).exists():
        raise InputError(
            f"{Path(place) / ANATOMICAL}: no such file, expected the anatomical maps in ${DATA_VARIABLE}"
        )
    return Path(place)


def _command(output: Path, quick: bool, at_once: int, seeds: int, only: str | None) -> str:
    options = {
        "--quick": quick,
        f"--jobs {at_once}": at_once != 1,
        f"--seeds {seeds}": True,
        f"--only '{only}'": only,
    }
    return " ".join(
        [
            "mrftool evaluate paper",
            f"-o {output}",
            *(text for text, used in options.items() if used),
        ]
    )


class _Watch:
    """Tells what runs and what has ended: a table that changes where a person watches, else a line
    for each job.
    """

    def __init__(self, live: "Live | None") -> None:
        self.live = live
        self.told: set[str] = set()

    def look(self, state: State) -> None:
        """Take in the state."""
        if self.live is not None:
            self.live.update(_display(state))
            return
        for name in {*state.seconds, *state.failed} - self.told:
            self.told.add(name)
            how = (
                f"took {duration(state.seconds[name])}"
                if name in state.seconds
                else f"failed: {state.failed[name]}"
            )
            note(f"{name} {how}; {_progress(state)}")


@contextmanager
def _watching() -> Iterator[_Watch]:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Watch(None)
        return
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        yield _Watch(live)


def _display(state: State) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row(_progress(state))
    for name, since in state.since.items():
        table.add_row(f"  {name}", f"running for {duration(time.monotonic() - since)}")
    for name, why in state.failed.items():
        table.add_row(f"  {name}", f"failed: {why}")
    return table


def _progress(state: State) -> str:
    left = state.seconds_left()
    estimate = "" if left is None else f", about {duration(left)} left"
    return f"{state.n_ended} of {len(state.jobs)} jobs{estimate}"
