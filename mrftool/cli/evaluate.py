"""`mrftool evaluate`: maps against the truth."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Compare maps with the truth.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Compare maps with the truth."""


@app.command()
def maps(
    folder: Annotated[Path, typer.Argument(help="Folder that mrftool quantify wrote.")],
    truth: Annotated[
        Path, typer.Argument(help="Scan that mrftool simulate wrote, tissue maps in a .npz, or another such folder.")
    ],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder; by default FOLDER/errors.")] = None,
) -> None:
    """Print errors of T1 and T2 for each tissue; write them as JSON, Markdown and pictures.

    Where the scan was simulated with noise, RMSE is compared with the Cramer-Rao bound: the smallest that any unbiased
    estimate can reach from these data. Where the maps have standard deviations, the errors are compared with those.
    bins.png shows RMSE / bound and bias over T1 and T2.
    """
    from rich.console import Console

    from mrftool.cli.comparison import compare
    from mrftool.cli.console import wrote
    from mrftool.evaluation.tables import score_table

    scores, paths = compare(folder, truth, output or folder / "errors")
    Console().print(score_table(scores, f"{folder} against {truth}"))
    for path in paths:
        wrote(path)
