"""`mrftool serve`: on the scanner (MRD)."""

import typer

from mrftool.cli.commands.servers.serve_mrd import mrd

app = typer.Typer(help="Quantify what a scanner sends, with no one typing.", no_args_is_help=True)
app.command()(mrd)


@app.callback()
def _group() -> None:
    """Quantify what a scanner sends, with no one typing."""
