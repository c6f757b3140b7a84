"""`mrftool reconstruct`: raw k-space into coefficient images with their covariance."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mrftool.cli.checks import between
from mrftool.cli.options import Allow, Anonymous

Unit = Literal["1/FOV", "1/m", "cycles/pixel", "rad/pixel"]


def reconstruct(
    scan: Annotated[Path, typer.Argument(help="Raw data: MRD (ISMRMRD in HDF5).")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the coefficient images.")
    ] = Path("recon"),
    seq: Annotated[
        str | None,
        typer.Option("--seq", help="Sequence file, or a shipped one; by default the scan's own."),
    ] = None,
    trajectory: Annotated[
        Path | None,
        typer.Option(help="Trajectory (.npy, or Pulseq .seq) in place of the scan's own."),
    ] = None,
    trajectory_unit: Annotated[
        Unit | None, typer.Option(help="By default as the file says, or what fits.")
    ] = None,
    coils: Annotated[
        str, typer.Option(help="auto: from the data; or coil maps (NIfTI, x, y, z, coil).")
    ] = "auto",
    rank: Annotated[
        int | None,
        typer.Option(help="Coefficients; by default 5 or 6.", callback=between(3, 32)),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            help="Conjugate gradient steps; by default 20, or 30 beyond rank 6.",
            callback=between(1, 1000),
        ),
    ] = None,
    replicas: Annotated[
        int,
        typer.Option(help="Noise replicas for the covariance; 0: none.", callback=between(0, 1000)),
    ] = 6,
    b0: Annotated[Path | None, typer.Option("--b0", help="Off-resonance map (NIfTI, Hz).")] = None,
    segments: Annotated[
        int, typer.Option(help="Time segments with --b0.", callback=between(1, 16))
    ] = 4,
    bart: Annotated[
        bool, typer.Option("--bart", help="Coefficients and basis as BART's .cfl too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the replicas.", callback=between(0, 2**63))] = 0,
    threads: Annotated[
        int | None, typer.Option(help="Threads of the arithmetic.", callback=between(1, 256))
    ] = None,
    allow: Allow = None,
    anonymous: Anonymous = False,
) -> None:
    """Reconstruct raw k-space: coefficient images, their covariance, coil maps and a report."""
    from mrftool.cli.console import Terminal, show_table, wrote
    from mrftool.cli.messages.session import session
    from mrftool.reconstruction.reconstruct import Settings
    from mrftool.workflows.kspace.reconstruct import Request, reconstruct_scan, summary_of

    request = Request(
        scan,
        seq,
        trajectory,
        trajectory_unit,
        None if coils == "auto" else Path(coils),
        rank,
        b0,
        Settings(iterations, replicas, segments, threads, seed),
        anonymous=anonymous,
    )
    result, paths = reconstruct_scan(request, output, Terminal(), bart=bart, allow=allow or ())
    show_table(session().shown(str(scan)), summary_of(result))
    wrote(paths)
