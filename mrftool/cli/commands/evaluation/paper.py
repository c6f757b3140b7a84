"""`mrftool evaluate paper`: the paper's methods, tables and figures, made again and compared
fairly.
"""

from pathlib import Path
from typing import Annotated

import typer

from mrftool.cli.checks import between, refuse
from mrftool.cli.console import Terminal, note, wrote
from mrftool.cli.options import Device
from mrftool.errors import CheckFailedError


def paper(
    context: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the study.")] = Path(
        "paper_study"
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the training, one seed: half an hour.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", help="Trainings at a time.", callback=between(1, 256))
    ] = 1,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Trainings of each method; by default 3, 1 if quick.", callback=between(1, 1000)
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Run those jobs only, such as 'table1-*'.")
    ] = None,
    device: Device = "auto",
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Write the report of what is done.")
    ] = False,
) -> None:
    """Train the paper's seven methods and ours, test them, and write report.md with tables and
    figures.

    Tested on a digital head, and on the paper's anatomical maps where $MRFTOOL_DATA holds them,
    with and without noise, on the sequence of the training and on another. Interrupt it when you
    like: the same command goes on where it was. The full form took 3 h 46 min of computing on an
    AMD EPYC, two jobs at a time; the quick one takes about half an hour. report.md finds its
    pictures in paper/ beside it.
    """
    from mrftool.cli.messages.study_table import watching
    from mrftool.studies.paper.study import report_study, run_study

    failed: dict[str, str] = {}
    if report_only:
        refuse(
            context,
            ["quick", "jobs", "seeds", "only", "device"],
            "runs jobs, which --report-only does not",
        )
    else:
        n_seeds = seeds or _default_seeds(quick)
        if quick and not only:
            note(f"about {30 * n_seeds} min of computing; what is left is told as jobs end")
        with watching() as watch:
            failed = run_study(
                output,
                Terminal(),
                quick=quick,
                at_once=jobs,
                seeds=n_seeds,
                only=only,
                device=device,
                command=_command_line(output, quick, jobs, n_seeds, only, device),
                watch=watch,
            )
    wrote(report_study(output, Terminal()))
    for name, why in failed.items():
        note(f"{name} failed: {why} ({output / 'jobs' / name / 'log.txt'})")
    if failed:
        raise CheckFailedError(
            f"{len(failed)} of the jobs failed; the report says where they are missing",
            hint="the same command tries them again",
        )


def _default_seeds(quick: bool) -> int:
    if quick:
        return 1
    return 3


def _command_line(
    output: Path, quick: bool, jobs: int, seeds: int, only: str | None, device: str
) -> str:
    """The command that makes the study again."""
    words = ["mrftool evaluate paper", f"-o {output}"]
    if quick:
        words.append("--quick")
    if jobs != 1:
        words.append(f"--jobs {jobs}")
    words.append(f"--seeds {seeds}")
    if only:
        words.append(f"--only '{only}'")
    if device != "auto":
        words.append(f"--device {device}")
    return " ".join(words)
