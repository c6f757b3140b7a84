"""`mrftool bids`: every fingerprint scan of a BIDS data set, as a BIDS App."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mrftool.cli.checks import between
from mrftool.cli.console import Terminal, show_table, wrote
from mrftool.cli.options import Anonymous, ModelName

_Labels = Annotated[list[str] | None, typer.Option(help="Labels to take; all by default.")]
_Suffix = Annotated[str, typer.Option(help="Last part of the names of the scans.")]
_Work = Annotated[Path | None, typer.Option(help="Folder for unfinished work.")]
_Processes = Annotated[int, typer.Option(help="Scans at a time.", callback=between(1, 4096))]
_Memory = Annotated[
    int | None,
    typer.Option(help="Memory of all local workers together [MB].", callback=between(1, 1e9)),
]
_Scheduler = Annotated[str | None, typer.Option(help="Address of a running dask scheduler.")]
_Slurm = Annotated[bool, typer.Option("--slurm", help="Start workers as Slurm jobs.")]
_Skip = Annotated[bool, typer.Option("--skip-bids-validation", help="Do not validate.")]


def bids(
    dataset: Annotated[Path, typer.Argument(help="Folder of the BIDS data set.")],
    output: Annotated[Path, typer.Argument(help="Folder of the derivative data set.")],
    level: Annotated[
        Literal["participant", "group"],
        typer.Argument(help="participant: scans to maps; group: regions over all scans."),
    ],
    participant_label: _Labels = None,
    session_label: _Labels = None,
    model: ModelName = "fisp",
    suffix: _Suffix = "MRF",
    work_dir: _Work = None,
    n_cpus: _Processes = 1,
    mem_mb: _Memory = None,
    scheduler: _Scheduler = None,
    slurm: _Slurm = False,
    anonymous: Anonymous = False,
    skip_bids_validation: _Skip = False,
) -> None:
    """Quantify every fingerprint scan of a BIDS data set, or summarise the maps of all.

    Scans that are done already are skipped. Exits with 1 if a scan failed.
    """
    from mrftool.cohort.cluster import ClusterChoice
    from mrftool.cohort.dataset import find_scans, validate
    from mrftool.cohort.participants import Resources, run_participants
    from mrftool.environment.shipped import find_file

    terminal = Terminal()
    if not skip_bids_validation and not validate(dataset):
        terminal.note("the BIDS validator is not installed: the data set is taken as it is")
    if level == "group":
        _group(dataset, output, terminal)
        return
    labels = {"participants": participant_label or (), "sessions": session_label or ()}
    scans = find_scans(dataset, suffix=suffix, **labels)
    memory = None if mem_mb is None else mem_mb << 20
    resources = Resources(ClusterChoice(n_cpus, scheduler, slurm), memory)
    path = find_file("models", model, ".onnx")
    results = run_participants(
        scans, path, output, terminal, resources=resources, work=work_dir, anonymous=anonymous
    )
    states = [result.state for result in results]
    counts = {state: states.count(state) for state in ("done", "skipped", "failed")}
    show_table(str(dataset), counts)
    wrote([output / "status.tsv"])
    if "failed" in states:
        raise typer.Exit(1)


def _group(dataset: Path, output: Path, terminal: Terminal) -> None:
    """Summarise the scans that are done, and name outliers."""
    from mrftool.cohort.group import summarise_group

    rows = summarise_group(dataset, output, terminal)
    for row in rows:
        if row.is_outlier:
            score = row.score
            terminal.note(
                f"{row.scan}: {score.parameter.upper()} of region {score.region} is "
                f"{1e3 * score.mean:.0f} ms, {row.z:+.1f} deviations from the other scans"
            )
    scans = len({row.scan for row in rows})
    show_table(str(output), {"scans": scans, "rows": len(rows)})
    wrote([output / "group.tsv"])
