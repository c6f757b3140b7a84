"""`mrftool serve`: on the scanner (MRD), and in the hospital (DICOM)."""

import typer

from mrftool.cli.commands.servers.serve_dicom import dicom
from mrftool.cli.commands.servers.serve_mrd import mrd

app = typer.Typer(
    help="Quantify what a scanner or an archive sends, with no one typing.", no_args_is_help=True
)
app.command()(mrd)
app.command()(dicom)


@app.callback()
def _group() -> None:
    """Quantify what a scanner or an archive sends, with no one typing."""
