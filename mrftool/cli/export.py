"""`mrftool export`: one self-contained ONNX file, from a training run or from a sequence alone."""

from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    run: Annotated[Path | None, typer.Argument(help="Folder of a training run, or one of its checkpoints.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The model; by default NAME.onnx.")] = None,
    seq: Annotated[str | None, typer.Option("--seq", help="Sequence file, for a model without a network.")] = None,
    encoder: Annotated[str, typer.Option(help="run: the trained one; none: coarse search, no training.")] = "run",
    polish: Annotated[int, typer.Option(help="Gauss-Newton steps on the tabulated signals.")] = 2,
    form: Annotated[str, typer.Option(help="complex or magnitude (with --seq).")] = "complex",
    t1_ms: Annotated[tuple[float, float], typer.Option(help="T1 range [ms] (with --seq).")] = (100.0, 4500.0),
    t2_ms: Annotated[tuple[float, float], typer.Option(help="T2 range [ms] (with --seq).")] = (10.0, 2000.0),
    b1: Annotated[tuple[float, float] | None, typer.Option(help="B1 range (with --seq).")] = None,
    adc: Annotated[float, typer.Option(help="Diffusion coefficient [m2/s] (with --seq).")] = 0.0,
) -> None:
    """Write a model and verify it against the exact engine; exit with 5 if it does not hold."""
    from mrftool.cli.console import show_table, working, wrote
    from mrftool.errors import UsageError
    from mrftool.formats.sequence_yaml import read_sequence
    from mrftool.inference.make import make_model
    from mrftool.inference.summary import summary
    from mrftool.inference.onnx_file import write_model

    if (run is None) == (seq is None) or (seq is not None and encoder == "run") != (seq is not None and encoder != "none"):
        raise UsageError("expected a training run, or --seq FILE --encoder none")
    with working("building and verifying the model"):
        if run is not None:
            sequence, settings = _from_run(run)
        else:
            ranges = {"t1_range": (t1_ms[0] / 1e3, t1_ms[1] / 1e3), "t2_range": (t2_ms[0] / 1e3, t2_ms[1] / 1e3)}
            sequence = read_sequence(str(seq))
            settings = {**ranges, "b1_range": b1, "adc": adc, "form": form}
        model, manifest = make_model(sequence, polish=polish, **settings)
    path = output or Path(f"{sequence.name}.onnx")
    write_model(model, path)
    show_table(f"model {path}", summary(manifest))
    wrote(path)


def _from_run(path: Path) -> tuple[Any, dict[str, Any]]:
    """Sequence of a run, and what make_model takes from it."""
    import torch

    from mrftool.learning.checkpoint import load_run
    from mrftool.learning.export import encoder_to_onnx

    run, scores = load_run(path / "best.safetensors" if path.is_dir() else path, torch.device("cpu"))
    config = run.config
    return run.sequence, {
        "encoder": encoder_to_onnx(run.encoder, run.spec),
        "basis": run.table.basis,
        "t1_range": config.t1_range,
        "t2_range": config.t2_range,
        "b1_range": config.b1_range,
        "adc": config.adc,
        "form": config.form,
        "training": {"config": config.to_dict(), "steps_done": run.step, "scores": scores},
    }
