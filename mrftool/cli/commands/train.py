"""`mrftool train`: an encoder for a sequence, taught by labels and by the Bloch decoder."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mrftool.cli.checks import ascending, between, given, refuse
from mrftool.cli.console import Terminal, note, show_table, wrote
from mrftool.cli.options import (
    Adc,
    Device,
    RangeB1,
    RangeT1,
    RangeT2,
    Rate,
    SignalForm,
    Steps,
    in_ms,
    in_seconds,
)
from mrftool.cli.stop_signals import StopSignals
from mrftool.cli.torch_threads import let_torch_threads_sleep
from mrftool.learning.config import TrainConfig

if TYPE_CHECKING:
    from mrftool.workflows.train import TrainingResult

_DEFAULT = TrainConfig  # its class holds the defaults
_T1_MS, _T2_MS = in_ms(_DEFAULT.t1_range), in_ms(_DEFAULT.t2_range)
_FIELDS = {  # of TrainConfig, by option
    "t1_ms": "t1_range",
    "t2_ms": "t2_range",
    "b1": "b1_range",
    "snr": "snr_range",
    "noise": "snr_range",
}
_OWN_CONVERSION = {"t1_range", "t2_range", "b1_range", "snr_range", "validate_every"}
_SAME_NAMES = tuple(each.name for each in fields(TrainConfig) if each.name not in _OWN_CONVERSION)


def train(
    context: typer.Context,
    seq: Annotated[
        list[str] | None,
        typer.Option(
            "--seq",
            help="Sequence file, or a shipped one; by default fisp; may be given several times.",
        ),
    ] = None,
    decoder: Annotated[
        Literal["bloch", "table", "fc", "rnn", "none"],
        typer.Option(
            help="bloch: reconstruct through the EPG engine; table: through its table; fc, rnn: "
            "through a network; none: labels only."
        ),
    ] = _DEFAULT.decoder,
    encoder: Annotated[
        Literal["compact", "fc", "rnn", "rnn-whole", "hydra", "hydra-fast"],
        typer.Option(
            help="compact; the paper's fc, rnn-whole, hydra; rnn: over time; "
            "hydra-fast: a quarter of time."
        ),
    ] = _DEFAULT.encoder,  # type: ignore[assignment]
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder; by default runs/SEQUENCE.")
    ] = None,
    weight: Annotated[
        float,
        typer.Option(
            "--lambda", help="Weight of the reconstruction loss.", callback=between(0, 1e9)
        ),
    ] = _DEFAULT.weight,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Whether labels teach, or only Bloch.")
    ] = _DEFAULT.labels,
    decode_voxels: Annotated[
        int,
        typer.Option(
            help="Voxels of each batch that are decoded; 0: all.", callback=between(0, 1_000_000)
        ),
    ] = _DEFAULT.decode_voxels,
    loss: Annotated[
        Literal["bound", "log"],
        typer.Option(help="bound: errors in units of noise; log: the paper's."),
    ] = _DEFAULT.loss,
    form: SignalForm = _DEFAULT.form,
    tissue: Annotated[
        Literal["random", "grid"],
        typer.Option(help="random: fresh, log-uniform; grid: the paper's pairs in epochs."),
    ] = _DEFAULT.tissue,
    share: Annotated[
        float, typer.Option(help="Share of the grid to learn from.", callback=between(1e-6, 1))
    ] = _DEFAULT.share,
    t1_ms: RangeT1 = _T1_MS,
    t2_ms: RangeT2 = _T2_MS,
    b1: RangeB1 = _DEFAULT.b1_range,
    adc: Adc = _DEFAULT.adc,
    snr: Annotated[
        tuple[float, float],
        typer.Option(help="SNR range of the noise.", callback=ascending(0.01, 1e6, or_equal=True)),
    ] = _DEFAULT.snr_range,  # type: ignore[assignment]
    noise: Annotated[bool, typer.Option("--noise/--no-noise", help="Train with noise.")] = True,
    optimiser: Annotated[
        Literal["muon", "adam"], typer.Option(help="muon, or adam (the paper's).")
    ] = _DEFAULT.optimiser,
    steps: Steps = _DEFAULT.steps,
    batch: Annotated[
        int, typer.Option(help="Voxels per step.", callback=between(2, 1_000_000))
    ] = _DEFAULT.batch,
    rate: Rate = _DEFAULT.rate,
    seed: Annotated[
        int, typer.Option(help="Seed of weights, tissue and noise.", callback=between(0, 2**63))
    ] = _DEFAULT.seed,
    device: Device = "auto",
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in the output folder."),
    ] = False,
) -> None:
    """Train an encoder; write checkpoints, a curve (CSV and PNG) and scores into a folder.

    Ctrl-C keeps the last step; --resume goes on from it, to the same weights as without a pause.
    Settings that are given with it must be those of the run.
    """
    sequences = seq or ["fisp"]
    folder = output or Path("runs") / "+".join(Path(name).stem for name in sequences)
    _refuse_idle_options(context)
    let_torch_threads_sleep()
    from mrftool.cli.messages.training_table import TrainingTable
    from mrftool.workflows.train import resume_training, train_encoder

    with StopSignals() as signals, TrainingTable() as table:
        if resume:
            result = resume_training(
                folder,
                Terminal(),
                device=device,
                watch=table.show,
                should_stop=signals.any_came,
                sequences=seq,
                expected=_given_settings(context),
            )
        else:
            result = train_encoder(
                sequences,
                _config(context.params),
                folder,
                Terminal(),
                device=device,
                watch=table.show,
                should_stop=signals.any_came,
            )
    _show(result)
    if result.was_stopped:
        signals.stop()


def _refuse_idle_options(context: typer.Context) -> None:
    """Raise UsageError for options that would do nothing."""
    options = context.params
    if options["decoder"] == "none":
        refuse(context, ["weight", "decode_voxels"], "does nothing with --decoder none")
    if options["tissue"] == "random":
        refuse(context, ["share"], "goes with --tissue grid")
    if not options["noise"]:
        refuse(context, ["snr"], "does nothing with --no-noise")


def _given_settings(context: typer.Context) -> dict[str, Any]:
    """The settings that the command line states, by their names in TrainConfig."""
    config = _config(context.params)
    names = {field.name for field in fields(TrainConfig)}
    stated = {_FIELDS.get(name, name) for name in context.params if given(context, name)}
    return {name: getattr(config, name) for name in sorted(stated & names)}


def _config(options: dict[str, Any]) -> TrainConfig:
    """The settings of the run, in SI units."""
    settings = {name: options[name] for name in _SAME_NAMES}
    settings["t1_range"] = in_seconds(options["t1_ms"])
    settings["t2_range"] = in_seconds(options["t2_ms"])
    settings["b1_range"] = options["b1"]
    settings["snr_range"] = None
    if options["noise"]:
        settings["snr_range"] = options["snr"]
    return TrainConfig(**settings)


def _show(result: "TrainingResult") -> None:
    """Scores and files of a complete run, or where it stopped; the first process speaks."""
    if not result.is_first:
        return
    if result.was_stopped:
        note(f"stopped after step {result.step} of {result.steps}; --resume goes on")
        return
    scores = {name: f"{value:.3f}" for name, value in result.scores.items()}
    show_table(f"run {result.folder}", scores)
    wrote(result.paths)
