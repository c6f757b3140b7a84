"""Making models: by export, training and adapting."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mrftool.api.arguments import SequenceLike
from mrftool.environment.extras import naming_extras
from mrftool.environment.reporter import Reporter, SilentReporter
from mrftool.inference.session import Model, load_model
from mrftool.sequence import PulseSequence


@naming_extras()
def export(
    source: SequenceLike,
    output: str | Path,
    *,
    reporter: Reporter | None = None,
    **settings: Any,
) -> Model:
    """Write a verified model, and load it.

    Parameters
    ----------
    source : PulseSequence, str or Path
        A sequence, for a model without a network; or the folder or checkpoint of a training run.
    output : str or Path
        The .onnx file.
    reporter : Reporter, optional
        Hears of progress.
    settings
        Those of `mrftool.workflows.export.export_sequence` or `export_run`: polish, form, adc, and
        t1_range, t2_range [s], b1_range [1].

    Raises
    ------
    CheckFailedError
        If the model does not hold against the exact engine.

    """
    from mrftool.workflows.export import export_run, export_sequence

    path, listener = Path(output), reporter or SilentReporter()
    if _is_run(source):
        written = export_run(Path(str(source)), path, listener, **settings)
    else:
        written = export_sequence(source, path, listener, **settings)
    return load_model(written.path)


@naming_extras()
def train(
    sequences: SequenceLike | Iterable[SequenceLike],
    folder: str | Path,
    *,
    device: str = "auto",
    reporter: Reporter | None = None,
    **settings: Any,
) -> Path:
    """Train an encoder; `export` makes a model of it. Needs the extra `train`.

    Parameters
    ----------
    sequences : PulseSequence, str or Path, or several of them
        Sequences, their files, or names of shipped ones.
    folder : str or Path
        Folder of the run.
    device : str
        "cpu", "cuda" or "auto".
    reporter : Reporter, optional
        Hears of progress.
    settings
        Fields of `mrftool.learning.config.TrainConfig`, such as steps=1000 or seed=1.

    Returns
    -------
    Path
        The folder.

    """
    from mrftool.learning.config import TrainConfig
    from mrftool.workflows.train import train_encoder

    if isinstance(sequences, PulseSequence | str | Path):
        sequences = [sequences]
    listener = reporter or SilentReporter()
    config = TrainConfig(**settings)
    return train_encoder(list(sequences), config, Path(folder), listener, device=device).folder


@naming_extras()
def adapt(
    model: Model | str | Path,
    sequence: SequenceLike,
    output: str | Path,
    *,
    device: str = "auto",
    reporter: Reporter | None = None,
    **settings: Any,
) -> Model:
    """Adapt the encoder of a model to another sequence; write the verified model, and load it.

    Needs the extra `train`.

    Parameters
    ----------
    model : Model, str or Path
        A trained model, its file, the name of a shipped one, or the folder of a run.
    sequence : PulseSequence, str or Path
        The other sequence, its file, or the name of a shipped one.
    output : str or Path
        The .onnx file.
    device : str
        "cpu", "cuda" or "auto".
    reporter : Reporter, optional
        Hears of progress.
    settings
        Those of `mrftool.workflows.adapt.adapt_model`, such as steps=1500 or polish=2.

    Raises
    ------
    CheckFailedError
        If the model does not hold against the exact engine.

    """
    from mrftool.workflows.adapt import adapt_model

    if isinstance(model, Model):
        model = model.path
    listener = reporter or SilentReporter()
    written = adapt_model(model, sequence, Path(output), listener, device=device, **settings)
    return load_model(written.path)


def _is_run(source: SequenceLike) -> bool:
    """Whether `source` is the folder or a checkpoint of a training run."""
    if isinstance(source, PulseSequence):
        return False
    path = Path(source)
    return path.is_dir() or path.suffix == ".safetensors"
