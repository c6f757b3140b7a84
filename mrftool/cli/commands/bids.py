"""`mrftool bids`: every fingerprint scan of a BIDS data set, as a BIDS App."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mrftool.cli.checks import between


def bids(
    dataset: Annotated[Path, typer.Argument(help="Folder of the BIDS data set.")],
    output: Annotated[Path, typer.Argument(help="Folder of the derivative data set.")],
    level: Annotated[
        Literal["participant", "group"],
        typer.Argument(help="participant: scans to maps; group: regions over all scans."),
    ],
    participant_label: Annotated[
        list[str] | None, typer.Option(help="Participants to take, with or without sub-.")
    ] = None,
    session_label: Annotated[
        list[str] | None, typer.Option(help="Sessions to take, with or without ses-.")
    ] = None,
    model: Annotated[str, typer.Option(help="Model file (.onnx), or a shipped one.")] = "fisp",
    suffix: Annotated[str, typer.Option(help="Last part of the names of the scans.")] = "MRF",
    work_dir: Annotated[Path | None, typer.Option(help="Folder for unfinished work.")] = None,
    n_cpus: Annotated[
        int, typer.Option(help="Scans at the same time.", callback=between(1, 4096))
    ] = 1,
    mem_mb: Annotated[
        int | None,
        typer.Option(help="Memory of all local workers [MB].", callback=between(1024, 1e9)),
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler.")] = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="Workers are Slurm jobs.")] = False,
    skip_bids_validation: Annotated[
        bool, typer.Option("--skip-bids-validation", help="Accepted; nothing is validated.")
    ] = False,
) -> None:
    """Quantify every fingerprint scan of a BIDS data set; exit with 1 if one failed."""
    from mrftool.cli.console import Terminal

    terminal = Terminal()
    if level == "group":
        _group(dataset, output, terminal)
        return
    from mrftool.cohort.cluster import ClusterChoice
    from mrftool.cohort.dataset import find_scans
    from mrftool.cohort.participants import Resources, run_participants
    from mrftool.shipped import find_file

    scans = find_scans(
        dataset,
        suffix=suffix,
        participants=participant_label or (),
        sessions=session_label or (),
    )
    memory = None if mem_mb is None else mem_mb << 20
    cluster = ClusterChoice(n_cpus, scheduler, slurm)
    results = run_participants(
        scans,
        find_file("models", model, ".onnx"),
        output,
        terminal,
        resources=Resources(cluster, memory),
        work=work_dir,
    )
    states = [result.state for result in results]
    counts = {state: str(states.count(state)) for state in ("done", "skipped", "failed")}
    terminal.table(str(dataset), counts)
    terminal.wrote(output / "status.tsv")
    if "failed" in states:
        raise typer.Exit(1)
