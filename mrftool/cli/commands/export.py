"""`mrftool export`: one self-contained ONNX file, from a training run or from a sequence alone."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mrftool.cli.options import ascending, between, named, refuse


def export(
    context: typer.Context,
    run: Annotated[
        Path | None, typer.Argument(help="Folder of a training run, or one of its checkpoints.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The model; by default NAME.onnx.", callback=named(".onnx")
        ),
    ] = None,
    seq: Annotated[
        str | None,
        typer.Option(
            "--seq",
            help="Sequence file: for a model without a network, or one that the run learned.",
        ),
    ] = None,
    encoder: Annotated[
        Literal["run", "none"] | None,
        typer.Option(help="run: the trained one; none: coarse search (with --seq)."),
    ] = None,
    polish: Annotated[
        int,
        typer.Option(help="Gauss-Newton steps on the tabulated signals.", callback=between(0, 16)),
    ] = 2,
    form: Annotated[
        Literal["complex", "magnitude"], typer.Option(help="Of the signals (with --seq).")
    ] = "complex",
    t1_ms: Annotated[
        tuple[float, float],
        typer.Option(help="T1 range [ms] (with --seq).", callback=ascending(0.01, 1e6)),
    ] = (
        100.0,
        4500.0,
    ),
    t2_ms: Annotated[
        tuple[float, float],
        typer.Option(help="T2 range [ms] (with --seq).", callback=ascending(0.01, 1e6)),
    ] = (
        10.0,
        2000.0,
    ),
    b1: Annotated[
        tuple[float, float] | None,
        typer.Option(help="B1 range (with --seq).", callback=ascending(0.01, 10)),
    ] = None,
    adc: Annotated[
        float,
        typer.Option(help="Diffusion coefficient [m2/s] (with --seq).", callback=between(0, 1e-6)),
    ] = 0.0,
) -> None:
    """Write a model and verify it against the exact engine; exit with 5 if it does not hold."""
    from mrftool.cli.console import file_stem, show_table, working, wrote
    from mrftool.errors import UsageError
    from mrftool.export.make import make_model
    from mrftool.formats.atomic import writing
    from mrftool.inference.onnx_file import write_model
    from mrftool.inference.summary import summary

    if (run is None and seq is None) or encoder not in (None, "run" if run else "none"):
        raise UsageError("expected a training run, or --seq FILE --encoder none")
    if run is not None:
        refuse(
            context,
            ("form", "t1_ms", "t2_ms", "b1", "adc"),
            "goes with --encoder none; a run knows its own",
        )
    sequence, settings = (
        _from_run(run, seq) if run else _from_sequence(str(seq), form, (t1_ms, t2_ms), b1, adc)
    )
    path = output or Path(f"{file_stem(sequence.name)}.onnx")
    with writing(path) as part, working("building and verifying the model"):
        model, manifest = make_model(sequence, polish=polish, **settings)
        write_model(model, part)
    show_table(f"model {path}", summary(manifest))
    wrote(path)


def _from_sequence(
    seq: str,
    form: str,
    ranges_ms: tuple[tuple[float, float], tuple[float, float]],
    b1: tuple[float, float] | None,
    adc: float,
) -> tuple[Any, dict[str, Any]]:
    """The sequence, and what make_model takes of the options."""
    from mrftool.formats.sequence.yaml_file import read_sequence

    t1_range, t2_range = ((low / 1e3, high / 1e3) for low, high in ranges_ms)
    return read_sequence(seq), {
        "t1_range": t1_range,
        "t2_range": t2_range,
        "b1_range": b1,
        "adc": adc,
        "form": form,
    }


def _from_run(path: Path, seq: str | None) -> tuple[Any, dict[str, Any]]:
    """A sequence of a run, and what make_model takes from it."""
    from mrftool.learning.config import checkpoint_file

    file = checkpoint_file(path)  # before torch is loaded
    import torch

    from mrftool.learning.checkpoint import load_run
    from mrftool.learning.export import model_settings, source_of

    run, scores = load_run(file, torch.device("cpu"))
    source = source_of(run, seq)
    return source.sequence, model_settings(run, source, scores)
