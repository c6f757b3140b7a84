"""`mrftool serve mrd`: maps for a scanner that speaks MRD."""

import re
from pathlib import Path
from typing import Annotated

import typer

from mrftool.cli.checks import between
from mrftool.cli.console import Terminal, note
from mrftool.cli.options import Allow, Threads
from mrftool.errors import UsageError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _bytes(text: str) -> int:
    """`8G` as a number of bytes."""
    match = re.fullmatch(r"([0-9]{1,12})([KMGT]?)", text.strip().upper())
    if match is None or int(match[1]) < 1:
        raise UsageError(f"{text!r} is no size, expected a whole number with K, M, G or T")
    return int(match[1]) * _UNITS[match[2]]


def mrd(
    host: Annotated[
        str, typer.Option(help="Address to listen at; the default serves this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: a free one.", callback=between(0, 65535))] = 9002,
    config: Annotated[
        list[str] | None,
        typer.Option(help="NAME=MODEL or NAME=SEQUENCE: what a scanner's configuration means."),
    ] = None,
    max_bytes: Annotated[str, typer.Option(help="Data in one session.")] = "8G",
    max_memory: Annotated[str, typer.Option(help="Memory of one session.")] = "2G",
    jobs: Annotated[int, typer.Option(help="Sessions at a time.", callback=between(1, 256))] = 1,
    save_incoming: Annotated[
        Path | None, typer.Option(help="Folder that keeps each session's data and maps.")
    ] = None,
    silence: Annotated[
        float,
        typer.Option(help="Longest pause of a scanner in a session [s].", callback=between(1, 1e6)),
    ] = 600.0,
    max_seconds: Annotated[
        float, typer.Option(help="Longest session [s].", callback=between(1, 1e6))
    ] = 3600.0,
    threads: Threads = None,
    allow: Allow = None,
) -> None:
    """Serve a scanner over MRD: raw data or images in; T1, T2, uncertainty and M0 out.

    The sequence is the one in the header of the data, or that of the configuration that the
    scanner names.
    """
    from mrftool.servers.mrd.listen import serve
    from mrftool.servers.mrd.service import Service, parse_configs
    from mrftool.workflows.steps.header import allowed_names

    service = Service(
        parse_configs(config or ()),
        _bytes(max_bytes),
        _bytes(max_memory),
        silence,
        max_seconds,
        save_incoming,
        threads,
        tuple(sorted(allowed_names(allow or ()))),
    )
    serve(
        host,
        port,
        service,
        Terminal(),
        jobs=jobs,
        ready=lambda number: note(f"listening at {host}, port {number}"),
    )
