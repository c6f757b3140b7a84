"""`mrftool export`: one self-contained ONNX file, from a training run or from a sequence alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mrftool.cli.checks import between, named, refuse
from mrftool.cli.console import Terminal, show_table, wrote
from mrftool.cli.options import (
    Adc,
    AllowInaccurate,
    Heartbeats,
    ModelOutput,
    Polish,
    RangeB1,
    RangeT1,
    RangeT2,
    SignalForm,
    in_seconds,
)
from mrftool.errors import UsageError

if TYPE_CHECKING:
    from mrftool.workflows.export import WrittenModel

_OF_A_MODEL = (
    *("run", "output", "encoder", "polish", "allow_inaccurate"),
    *("form", "t1_ms", "t2_ms", "adc"),
)
_OF_A_SEQUENCE = ("form", "rr", "t1_ms", "t2_ms", "b1", "adc")


def export(
    context: typer.Context,
    run: Annotated[
        Path | None, typer.Argument(help="Folder of a training run, or one of its checkpoints.")
    ] = None,
    output: ModelOutput = None,
    seq: Annotated[
        str | None,
        typer.Option(
            "--seq",
            help="Sequence file: for a model without a network, or one that the run learned.",
        ),
    ] = None,
    rr: Heartbeats = None,
    encoder: Annotated[
        Literal["run", "none"] | None,
        typer.Option(help="run: the trained one; none: coarse search (with --seq)."),
    ] = None,
    polish: Polish = 2,
    allow_inaccurate: AllowInaccurate = False,
    form: SignalForm = "complex",
    t1_ms: RangeT1 = (100.0, 4500.0),
    t2_ms: RangeT2 = (10.0, 2000.0),
    b1: RangeB1 = None,
    adc: Adc = 0.0,
    basis: Annotated[
        Path | None,
        typer.Option(
            help="Write the sequence's temporal basis instead (with --seq).",
            callback=named(".npy", ".cfl"),
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(help="Vectors of the basis; by default 5 or 6.", callback=between(3, 32)),
    ] = None,
) -> None:
    """Write a model and verify it against the exact engine; exit with 5 if it does not hold.

    Form, ranges and diffusion belong to a model without a network: a run knows its own.
    """
    if basis is not None:
        _export_basis(context, seq, rr, basis, rank, b1)
        return
    refuse(context, ["rank"], "goes with --basis")
    if run is None and seq is None:
        raise UsageError("expected a training run, or --seq FILE --encoder none")
    if (run is None and encoder == "run") or (run is not None and encoder == "none"):
        raise UsageError("expected a training run, or --seq FILE --encoder none")
    from mrftool.formats.sequence.heartbeats import read_with_heartbeats
    from mrftool.workflows.export import export_run, export_sequence

    if run is not None:
        refuse(context, _OF_A_SEQUENCE, "goes with --encoder none; a run knows its own")
        written = export_run(
            run,
            output,
            Terminal(),
            sequence=seq,
            polish=polish,
            allow_inaccurate=allow_inaccurate,
        )
    else:
        written = export_sequence(
            read_with_heartbeats(str(seq), rr),
            output,
            Terminal(),
            polish=polish,
            allow_inaccurate=allow_inaccurate,
            t1_range=in_seconds(t1_ms),
            t2_range=in_seconds(t2_ms),
            b1_range=b1,
            adc=adc,
            form=form,
        )
    show_model(written)


def _export_basis(
    context: typer.Context,
    seq: str | None,
    rr: str | None,
    path: Path,
    rank: int | None,
    b1: tuple[float, float] | None,
) -> None:
    """Write a temporal basis for other reconstructions."""
    from mrftool.formats.sequence.heartbeats import read_with_heartbeats
    from mrftool.workflows.kspace.export_basis import export_basis

    refuse(context, _OF_A_MODEL, "goes with a model, not with --basis")
    if seq is None:
        raise UsageError("--basis needs a sequence, expected --seq FILE")
    wrote(export_basis(read_with_heartbeats(seq, rr), path, rank=rank, b1_range=b1))


def show_model(written: "WrittenModel") -> None:
    """What the model says of itself, and its file, on stdout."""
    from mrftool.inference.model.summary import summary

    show_table(f"model {written.path}", summary(written.manifest))
    wrote([written.path])
