"""`mrftool train`: an encoder for a sequence, taught by labels and by the Bloch decoder."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mrftool.cli.options import ascending, between, refuse


def train(
    context: typer.Context,
    seq: Annotated[
        list[str] | None,
        typer.Option(
            "--seq",
            help="Sequence file, or the name of a shipped one (fisp); may be given several times.",
        ),
    ] = None,
    decoder: Annotated[
        Literal["bloch", "fc", "rnn", "none"],
        typer.Option(
            help="bloch: reconstruct through the EPG engine; fc, rnn: through a network; none: labels only."
        ),
    ] = "bloch",
    encoder: Annotated[
        Literal["compact", "fc", "rnn", "rnn-whole", "hydra", "hydra-fast"],
        typer.Option(
            help="compact; the paper's fc, rnn-whole, hydra; rnn: over time; hydra-fast: a quarter of time."
        ),
    ] = "compact",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder; by default runs/SEQUENCE.")
    ] = None,
    weight: Annotated[
        float,
        typer.Option(
            "--lambda", help="Weight of the reconstruction loss.", callback=between(0, 1e9)
        ),
    ] = 1.0,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Whether labels teach, or only Bloch.")
    ] = True,
    decode_voxels: Annotated[
        int,
        typer.Option(
            help="Voxels of each batch that are decoded; 0: all.", callback=between(0, 1_000_000)
        ),
    ] = 0,
    loss: Annotated[
        Literal["bound", "log"],
        typer.Option(help="bound: errors in units of noise; log: the paper's."),
    ] = "bound",
    form: Annotated[
        Literal["complex", "magnitude"], typer.Option(help="What the scans hold.")
    ] = "complex",
    tissue: Annotated[
        Literal["random", "grid"],
        typer.Option(help="random: fresh, log-uniform; grid: the paper's pairs in epochs."),
    ] = "random",
    share: Annotated[
        float, typer.Option(help="Share of the grid to learn from.", callback=between(1e-6, 1))
    ] = 1.0,
    t1_ms: Annotated[
        tuple[float, float], typer.Option(help="T1 range [ms].", callback=ascending(0.01, 1e6))
    ] = (
        30.0,
        5000.0,
    ),
    t2_ms: Annotated[
        tuple[float, float], typer.Option(help="T2 range [ms].", callback=ascending(0.01, 1e6))
    ] = (
        6.0,
        2500.0,
    ),
    b1: Annotated[
        tuple[float, float] | None,
        typer.Option(help="B1 range: the model then takes a B1 map.", callback=ascending(0.01, 10)),
    ] = None,
    adc: Annotated[
        float, typer.Option(help="Diffusion coefficient [m2/s].", callback=between(0, 1e-6))
    ] = 0.0,
    snr: Annotated[
        tuple[float, float],
        typer.Option(help="SNR range of the noise.", callback=ascending(0.01, 1e6, or_equal=True)),
    ] = (1.0, 100.0),
    noise: Annotated[bool, typer.Option("--noise/--no-noise", help="Train with noise.")] = True,
    optimiser: Annotated[
        Literal["muon", "adam"], typer.Option(help="muon, or adam (the paper's).")
    ] = "muon",
    steps: Annotated[
        int, typer.Option(help="Optimiser steps.", callback=between(1, 10_000_000))
    ] = 16_000,
    batch: Annotated[
        int, typer.Option(help="Voxels per step.", callback=between(2, 1_000_000))
    ] = 512,
    rate: Annotated[
        float, typer.Option(help="Peak learning rate.", callback=between(1e-9, 1e3))
    ] = 3e-3,
    seed: Annotated[
        int, typer.Option(help="Seed of weights, tissue and noise.", callback=between(0, 2**63))
    ] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder.")
    ] = False,
) -> None:
    """Train an encoder; write checkpoints, a curve (CSV and PNG) and scores into a folder.

    Ctrl-C keeps the last step; --resume goes on from it, to the same weights as without a pause.
    """
    if resume:
        own = {param.name for param in context.command.params} - {
            "seq",
            "output",
            "device",
            "resume",
        }
        refuse(context, own, "is a setting of the run that --resume goes on with, expected none")
        refuse(
            context,
            ["seq"] if output else [],
            "is a setting of the run that --resume goes on with, expected none",
        )
    if decoder == "none":
        refuse(context, ["weight", "decode_voxels"], "does nothing with --decoder none")
    if tissue == "random":
        refuse(context, ["share"], "goes with --tissue grid")
    if not noise:
        refuse(context, ["snr"], "does nothing with --no-noise")
    # Threads of torch that wait by spinning hold up the one that draws the next batch: five times
    # as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from mrftool.workflows.train import run_training

    settings: dict[str, Any] = {
        "encoder": encoder,
        "decoder": decoder,
        "weight": weight,
        "labels": labels,
        "decode_voxels": decode_voxels,
        "loss": loss,
        "form": form,
        "tissue": tissue,
        "share": share,
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
    seqs = seq or ["fisp"]
    name = "+".join(Path(each).stem for each in seqs)
    run_training(seqs, settings, output or Path("runs") / name, device, resume=resume)
