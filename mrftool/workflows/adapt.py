"""The work behind `mrftool adapt`: from a trained encoder and a new sequence to a verified model."""

import os
import tempfile
from pathlib import Path
from typing import Any

from mrftool.cli.console import file_stem, progress_bar, show_table, working, wrote
from mrftool.export.make import make_model
from mrftool.formats.atomic import writing
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.onnx_file import write_model
from mrftool.inference.summary import summary
from mrftool.shipped import find_file


def run_adaptation(
    name: str, seq: str, output: Path | None, settings: dict[str, Any], *, polish: int, device: str
) -> None:
    """Adapt, export and verify; write the model."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see `mrftool train`
    sequence = read_sequence(seq)
    source = Path(name) if Path(name).exists() else find_file("models", name, ".onnx")
    path = output or Path(f"{file_stem(sequence.name)}.onnx")
    with writing(path) as part:
        found = _adapted(source, sequence, settings, device)
        with working("building and verifying the model"):
            model, manifest = make_model(sequence, polish=polish, **found)
            write_model(model, part)
    show_table(f"model {path}", summary(manifest))
    wrote(path)


def _adapted(source: Path, sequence: Any, settings: dict[str, Any], device: str) -> dict[str, Any]:
    """What make_model takes of the adapted encoder."""
    from mrftool.learning.adapt import adapt_settings, adapted_run, load_weights
    from mrftool.learning.export import model_settings
    from mrftool.learning.training import pick_device, train

    chosen = pick_device(device)
    config, weights = load_weights(source)
    with working("tabulating the signals"):
        run = adapted_run(adapt_settings(config, **settings), weights, sequence, chosen)
    with (
        tempfile.TemporaryDirectory() as folder,
        progress_bar("adapting", run.config.steps) as advance,
    ):
        scores = train(run, Path(folder), lambda step, losses: advance(1))
    return model_settings(run, run.sources[0], scores)
