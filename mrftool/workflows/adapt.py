"""Adapt a trained encoder to another sequence, and write the verified model."""

import tempfile
from pathlib import Path
from typing import Any

from mrftool.environment.reporter import Reporter
from mrftool.environment.shipped import find_file
from mrftool.formats.atomic import writing
from mrftool.formats.sequence.yaml_file import as_sequence
from mrftool.sequence import PulseSequence
from mrftool.workflows.export import WrittenModel, model_path, write_verified
from mrftool.workflows.steps.doubts import note_doubts, note_echoes


def adapt_model(
    model: str | Path,
    sequence: PulseSequence | str | Path,
    output: Path | None,
    reporter: Reporter,
    *,
    labels: bool = True,
    steps: int = 1500,
    rate: float = 3e-3,
    seed: int = 0,
    polish: int = 2,
    allow_inaccurate: bool = False,
    device: str = "auto",
) -> WrittenModel:
    """Fine-tune the encoder of `model` on a sequence that it has not seen; write the model.

    Parameters
    ----------
    model : str or Path
        A trained model (.onnx), the name of a shipped one, or the folder of a run.
    sequence : PulseSequence, str or Path
        The new sequence, its file, or the name of a shipped one.
    output : Path, optional
        The .onnx file; by default named after the sequence.
    reporter : Reporter
        Hears of progress and notes.
    labels : bool
        Whether labels teach too, or the Bloch decoder alone.
    steps, rate, seed : int, float, int
        Optimiser steps, peak learning rate, and seed of tissue and noise.
    allow_inaccurate : bool
        Write the model even if it errs far above its Cramer-Rao bound somewhere.
    polish : int
        Number of Gauss-Newton steps on the tabulated signals.
    device : str
        "cpu", "cuda", or "auto".

    """
    read = as_sequence(sequence)
    note_doubts(read, reporter)
    note_echoes(read, reporter)
    source = Path(model)
    if not source.exists():
        source = find_file("models", str(model), ".onnx")
    training = {"labels": labels, "steps": steps, "rate": rate, "seed": seed}
    path = model_path(read, output)
    with writing(path) as part:  # a place that cannot be written shows before the training
        settings = _adapted(source, read, training, device, reporter)
        manifest = write_verified(
            read, part, reporter, polish=polish, allow_inaccurate=allow_inaccurate, **settings
        )
    return WrittenModel(path, manifest)


def _adapted(
    source: Path,
    sequence: PulseSequence,
    training: dict[str, Any],
    device: str,
    reporter: Reporter,
) -> dict[str, Any]:
    """What `make_model` takes of the adapted encoder."""
    from mrftool.learning.adapt import adapt_settings, adapted_run, load_weights
    from mrftool.learning.export import model_settings
    from mrftool.learning.training import pick_device, train

    chosen = pick_device(device)
    config, weights = load_weights(source)
    with reporter.working("tabulating the signals"):
        run = adapted_run(adapt_settings(config, **training), weights, sequence, chosen)
    with (
        tempfile.TemporaryDirectory() as folder,
        reporter.progress("adapting", run.config.steps) as progress,
    ):
        scores = train(run, Path(folder), lambda step, losses: progress(1))
    return model_settings(run, run.sources[0], scores)
