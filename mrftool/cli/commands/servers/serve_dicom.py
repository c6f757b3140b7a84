"""`mrftool serve dicom`: a DICOM node that answers series with maps."""

from pathlib import Path
from typing import Annotated

import typer

from mrftool.cli.console import Terminal, note, show_table
from mrftool.errors import CheckFailedError


def dicom(
    settings: Annotated[
        Path, typer.Argument(help="Peers, destinations and rules of the node (YAML).")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Try all that the node needs, and do not serve.")
    ] = False,
) -> None:
    """Take series from a scanner or PACS, and send their maps to named destinations.

    What came in and what is to be sent lies in the node's folder: a crash, or a destination that
    does not answer, loses nothing.
    """
    from mrftool.servers.dicom.settings import read_settings

    node = read_settings(settings)
    if check:
        from mrftool.servers.dicom.check import check_node

        found = check_node(node)
        show_table(str(settings), found)
        bad = [name for name, outcome in found.items() if outcome != "good"]
        if bad:
            raise CheckFailedError(f"{settings}: {', '.join(bad)}: expected all to be good")
        return
    from mrftool.servers.dicom.node import serve

    serve(
        node,
        Terminal(),
        ready=lambda port: note(f"{node.ae_title} listens at {node.host}, port {port}"),
    )
