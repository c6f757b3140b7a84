"""`mrftool adapt`: teach a trained encoder another sequence."""

from typing import Annotated

import typer

from mrftool.cli.checks import between
from mrftool.cli.commands.export import show_model
from mrftool.cli.console import Terminal
from mrftool.cli.options import AllowInaccurate, Device, ModelOutput, Polish, Rate, Steps
from mrftool.cli.torch_threads import let_torch_threads_sleep


def adapt(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Trained model (.onnx), a shipped one, or a run.")
    ],
    seq: Annotated[
        str, typer.Option("--seq", help="The new sequence: a file, or the name of a shipped one.")
    ],
    output: ModelOutput = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels/--no-labels", help="Whether labels teach too, or the Bloch decoder alone."
        ),
    ] = True,
    steps: Steps = 1500,
    rate: Rate = 3e-3,
    seed: Annotated[
        int, typer.Option(help="Seed of tissue and noise.", callback=between(0, 2**63))
    ] = 0,
    polish: Polish = 2,
    allow_inaccurate: AllowInaccurate = False,
    device: Device = "auto",
) -> None:
    """Fine-tune the encoder of MODEL on a sequence that it has not seen, and write a verified model
    of that sequence.

    An encoder is wrong on any sequence but its own. Where its layers fit the new one they are where
    training begins; the fingerprints come from the exact engine, so no scan is needed. Ranges,
    noise and form stay those of MODEL.
    """
    let_torch_threads_sleep()
    from mrftool.workflows.adapt import adapt_model

    written = adapt_model(
        model,
        seq,
        output,
        Terminal(),
        labels=labels,
        steps=steps,
        rate=rate,
        seed=seed,
        polish=polish,
        allow_inaccurate=allow_inaccurate,
        device=device,
    )
    show_model(written)
