"""`mrftool sequence`: look at RF-sequence files, check them, list the shipped ones, bring in those
of other tools.
"""

from pathlib import Path
from typing import Annotated

import typer

from mrftool.cli.checks import between, named
from mrftool.cli.commands.sequences.sequence_design import compare_command, optimise_command
from mrftool.cli.commands.sequences.sequence_files import export_command, import_command
from mrftool.cli.console import (
    Terminal,
    note,
    show_document,
    show_line,
    show_table,
    show_text_table,
    wrote,
)
from mrftool.cli.messages.session import session
from mrftool.cli.options import Heartbeats, SequenceArgument, SignalForm
from mrftool.errors import CheckFailedError, InputError

app = typer.Typer(
    help="Look at RF-sequence files and check them; bring in those of other tools.",
    no_args_is_help=True,
)
app.command("import")(import_command)
app.command("export")(export_command)
app.command("optimise")(optimise_command)
app.command("compare")(compare_command)


@app.command()
def show(
    name: SequenceArgument,
    rr: Heartbeats = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", callback=named(".png"), help="Picture (PNG); others go beside it."
        ),
    ] = None,
    snr: Annotated[
        float,
        typer.Option(
            callback=between(1e-3, 1e9),
            help="Rms of each tissue's fingerprint / noise sd per channel.",
        ),
    ] = 20.0,
    form: SignalForm = "complex",
    compare: Annotated[
        str | None, typer.Option(help="Another sequence, to compare the precision with.")
    ] = None,
) -> None:
    """Print a summary of a sequence and the precision of T1 and T2 that it can reach; draw both.

    NAME.png shows flip angles, RF phases, TR and TE. NAME_diagram.png shows over time what is
    played: pulses, preparations, waits, triggers and frames. NAME_precision.png shows the
    Cramer-Rao bound over T1 and T2: the smallest standard deviation that any unbiased estimate can
    have. NAME_sensitivity.png shows how far T1 and T2 of common tissues move where B1, the
    inversion efficiency and other given values are off by their typical uncertainty. With
    --compare, NAME_against_OTHER.png shows the ratio of the two bounds.
    """
    from mrftool.formats.sequence.yaml_file import sequence_summary
    from mrftool.workflows.sequences.show_sequence import show_sequence

    view = show_sequence(name, output, Terminal(), rr=rr, compare=compare, snr=snr, form=form)
    show_table(f"sequence {view.sequence.name}", sequence_summary(view.sequence))
    show_text_table(view.precision)
    show_text_table(view.sensitivity)
    wrote(view.paths)


@app.command()
def check(
    names: Annotated[list[str], typer.Argument(metavar="FILE...", help="Sequence files.")],
) -> None:
    """Check sequence files; name every fault with its line, and exit with 3 if there is one.

    A file whose numbers are most likely in another unit is not called good, and exits with 5.
    """
    from mrftool.formats.sequence.doubts import sequence_doubts
    from mrftool.workflows.sequences.sequence_files import check_sequences

    sound, faults = check_sequences(names)
    doubtful = []
    for name, sequence in sound.items():
        facts = {"repetitions": len(sequence), "sequence_id": sequence.sequence_id}
        doubts, verdict = sequence_doubts(sequence), "good"
        if doubts:
            verdict = "look"
            doubtful.append(name)
        text = f"{name}: {verdict}, {len(sequence)} repetitions, id {sequence.sequence_id}"
        show_line(text, file=name, **facts)
        for doubt in doubts:
            note(f"{name}: {doubt}")
    if faults:
        raise InputError("\nmrftool: ".join(faults))
    if doubtful:
        raise CheckFailedError(
            f"{', '.join(doubtful)}: numbers most likely in another unit, expected plausible ones"
        )


@app.command(name="list")
def list_shipped() -> None:
    """List the sequences that come with mrftool."""
    from mrftool.environment.shipped import shipped_files
    from mrftool.formats.sequence.yaml_file import read_sequence

    for path in shipped_files("sequences"):
        if path.suffix == ".yaml":
            sequence = read_sequence(path)
            show_line(
                f"{path.stem:16} {len(sequence):5} repetitions {sequence.duration:8.3f} s  {path}",
                name=path.stem,
                repetitions=len(sequence),
                duration_s=round(sequence.duration, 6),
                path=str(path),
            )


@app.command()
def schema() -> None:
    """Print the JSON Schema of sequence files, for editors."""
    import json

    from mrftool.formats.sequence.schema import json_schema

    show_document(json_schema())
    if not session().as_json:
        typer.echo(json.dumps(json_schema(), indent=1))
