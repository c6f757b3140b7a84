"""`mrftool train`: an encoder for a sequence, taught by labels and by the Bloch decoder."""

from pathlib import Path
from typing import Annotated, Any

import typer


def train(
    seq: Annotated[str, typer.Option("--seq", help="Sequence file, or the name of a shipped one.")] = "fisp",
    decoder: Annotated[
        str, typer.Option(help="bloch: reconstruct through the EPG engine; none: labels only.")
    ] = "bloch",
    encoder: Annotated[str, typer.Option(help="compact, or fc (the paper's).")] = "compact",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder; by default runs/SEQUENCE.")] = None,
    weight: Annotated[float, typer.Option("--lambda", help="Weight of the reconstruction loss.")] = 1.0,
    loss: Annotated[str, typer.Option(help="bound: errors in units of noise; log: the paper's.")] = "bound",
    form: Annotated[str, typer.Option(help="complex or magnitude: what the scans hold.")] = "complex",
    t1_ms: Annotated[tuple[float, float], typer.Option(help="T1 range [ms].")] = (30.0, 5000.0),
    t2_ms: Annotated[tuple[float, float], typer.Option(help="T2 range [ms].")] = (6.0, 2500.0),
    b1: Annotated[tuple[float, float] | None, typer.Option(help="B1 range: the model then takes a B1 map.")] = None,
    adc: Annotated[float, typer.Option(help="Diffusion coefficient [m2/s].")] = 0.0,
    snr: Annotated[tuple[float, float], typer.Option(help="SNR range of the noise.")] = (4.0, 100.0),
    noise: Annotated[bool, typer.Option("--noise/--no-noise", help="Train with noise.")] = True,
    optimiser: Annotated[str, typer.Option(help="muon, or adam (the paper's).")] = "muon",
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 4000,
    batch: Annotated[int, typer.Option(help="Voxels per step.")] = 512,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-3,
    seed: Annotated[int, typer.Option(help="Seed of weights, tissue and noise.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
) -> None:
    """Train an encoder; write checkpoints, a curve (CSV and PNG) and scores into a folder."""
    settings: dict[str, Any] = {
        "encoder": encoder,
        "decoder": decoder,
        "weight": weight,
        "loss": loss,
        "form": form,
        "t1_range": (t1_ms[0] / 1e3, t1_ms[1] / 1e3),
        "t2_range": (t2_ms[0] / 1e3, t2_ms[1] / 1e3),
        "b1_range": b1,
        "adc": adc,
        "snr_range": snr if noise else None,
        "optimiser": optimiser,
        "steps": steps,
        "batch": batch,
        "rate": rate,
        "seed": seed,
    }
    run_training(seq, settings, output or Path("runs") / Path(seq).stem, device, resume=resume)


def run_training(seq: str, settings: dict[str, Any], folder: Path, device: str, *, resume: bool) -> None:
    """Begin or resume a run, train it with a live table, and print its scores."""
    from mrftool.cli.console import show_table, wrote
    from mrftool.cli.training_table import TrainingTable
    from mrftool.formats.sequence_yaml import read_sequence
    from mrftool.learning.config import TrainConfig
    from mrftool.learning.loop import pick_device, prepare_run, resume_run, train

    chosen = pick_device(device)
    if resume:
        run = resume_run(folder, chosen)
    else:
        run = prepare_run(read_sequence(seq), TrainConfig(**settings), folder, chosen)
    with TrainingTable(run.config.steps, folder, from_step=run.step) as table:
        scores = train(run, folder, table.report)
    show_table(f"run {folder}", {key: f"{value:.3f}" for key, value in scores.items()})
    for name in ("best.safetensors", "last.safetensors", "curve.csv", "curve.png"):
        wrote(folder / name)
