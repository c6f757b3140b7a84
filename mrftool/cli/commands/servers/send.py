"""`mrftool send`: a scan to an MRD server, as a scanner sends it."""

from pathlib import Path
from typing import Annotated

import typer

from mrftool.cli.checks import between, named
from mrftool.cli.console import Terminal, show_table, wrote
from mrftool.errors import CheckFailedError


def send(
    scan: Annotated[
        Path,
        typer.Argument(help="MRD file of raw data or images, or a folder of mrftool reconstruct."),
    ],
    host: Annotated[str, typer.Option(help="Of the server.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the server.", callback=between(1, 65535))] = 9002,
    config: Annotated[str, typer.Option(help="Name of the configuration.")] = "",
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="MRD file of the images.", callback=named(".mrd", ".h5")
        ),
    ] = Path("maps.mrd"),
) -> None:
    """Send a scan to a server, and keep the images that come back.

    Fails with exit code 5 if none come back.
    """
    from mrftool.servers.mrd.client import as_mrd, send_scan, write_answer

    with as_mrd(scan) as file:
        answer = send_scan(file, host, port, Terminal(), config=config)
        if not answer.images:
            raise CheckFailedError(f"{host}:{port}: sent no images, expected maps")
        write_answer(output, file, answer.images)
    counts: dict[str, int] = {}
    for image in answer.images:
        counts[f"series {image.series}"] = counts.get(f"series {image.series}", 0) + 1
    show_table(str(scan), {name: f"{count} images" for name, count in counts.items()})
    wrote([output])
