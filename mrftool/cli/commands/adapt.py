"""`mrftool adapt`: teach a trained encoder another sequence."""

from pathlib import Path
from typing import Annotated

import typer

from mrftool.cli.options import between, named


def adapt(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Trained model (.onnx), a shipped one, or a run.")
    ],
    seq: Annotated[
        str, typer.Option("--seq", help="The new sequence: a file, or the name of a shipped one.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The new model; by default NAME.onnx.", callback=named(".onnx")
        ),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels/--no-labels", help="Whether labels teach too, or the Bloch decoder alone."
        ),
    ] = True,
    steps: Annotated[
        int, typer.Option(help="Optimiser steps.", callback=between(1, 10_000_000))
    ] = 1500,
    rate: Annotated[
        float, typer.Option(help="Peak learning rate.", callback=between(1e-9, 1e3))
    ] = 3e-3,
    seed: Annotated[
        int, typer.Option(help="Seed of tissue and noise.", callback=between(0, 2**63))
    ] = 0,
    polish: Annotated[
        int,
        typer.Option(help="Gauss-Newton steps on the tabulated signals.", callback=between(0, 16)),
    ] = 2,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
) -> None:
    """Fine-tune the encoder of MODEL on a sequence that it has not seen, and write a verified model
    of that sequence.

    An encoder is wrong on any sequence but its own. Where its layers fit the new one they are where
    training begins; the fingerprints come from the exact engine, so no scan is needed. Ranges,
    noise and form stay those of MODEL.
    """
    from mrftool.workflows.adapt import run_adaptation

    run_adaptation(
        model,
        seq,
        output,
        {"labels": labels, "steps": steps, "rate": rate, "seed": seed},
        polish=polish,
        device=device,
    )
