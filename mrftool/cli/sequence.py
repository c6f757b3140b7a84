"""`mrftool sequence`: look at RF-sequence files, check them, list the shipped ones."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look at RF-sequence files and check them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="FILE", help="Sequence file (YAML), or the name of a shipped one.")]


@app.command()
def show(
    name: Name,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where the picture goes (PNG).")] = None,
) -> None:
    """Print a summary of a sequence and draw its flip angles, RF phases, TR and TE."""
    from mrftool.cli.console import show_table, wrote
    from mrftool.evaluation.figures import sequence_figure
    from mrftool.formats.sequence_yaml import read_sequence, sequence_summary

    sequence = read_sequence(name)
    show_table(f"sequence {sequence.name}", sequence_summary(sequence))
    picture = output or Path(f"{sequence.name}.png")
    sequence_figure(sequence, picture)
    wrote(picture)


@app.command()
def check(names: Annotated[list[str], typer.Argument(metavar="FILE...", help="Sequence files.")]) -> None:
    """Check sequence files; name every fault with its line, and exit with 3 if there is one."""
    from mrftool.errors import InputError
    from mrftool.formats.sequence_yaml import read_sequence

    faults = []
    for name in names:
        try:
            sequence = read_sequence(name)
            typer.echo(f"{name}: good, {len(sequence)} repetitions, id {sequence.sequence_id}")
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\nmrftool: ".join(faults))


@app.command(name="list")
def list_shipped() -> None:
    """List the sequences that come with mrftool."""
    from mrftool.formats.sequence_yaml import read_sequence
    from mrftool.shipped import shipped_files

    for path in shipped_files("sequences"):
        if path.suffix == ".yaml":
            sequence = read_sequence(path)
            typer.echo(f"{path.stem:16} {len(sequence):5} repetitions {sequence.duration:8.3f} s  {path}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of sequence files, for editors."""
    import json

    from mrftool.formats.sequence_yaml import json_schema

    typer.echo(json.dumps(json_schema(), indent=1))
