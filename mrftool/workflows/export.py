"""Write a model: one self-contained ONNX file, from a training run or from a sequence alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrftool.arrays import Range
from mrftool.environment.reporter import Reporter
from mrftool.exporting.make import make_model
from mrftool.formats.atomic import writing
from mrftool.formats.sequence.yaml_file import as_sequence
from mrftool.inference.model.manifest import Manifest
from mrftool.inference.model.onnx_file import write_model
from mrftool.manifold.table import Form
from mrftool.sequence import PulseSequence
from mrftool.workflows.steps.doubts import note_doubts, note_echoes
from mrftool.workflows.steps.outputs.places import file_stem


@dataclass(frozen=True)
class WrittenModel:
    """A model file that was written, and its manifest."""

    path: Path
    manifest: Manifest


def export_run(
    run: Path,
    output: Path | None,
    reporter: Reporter,
    *,
    sequence: str | None = None,
    polish: int = 2,
    allow_inaccurate: bool = False,
) -> WrittenModel:
    """Write the model of a training run, and verify it against the exact engine.

    Parameters
    ----------
    run : Path
        Folder of the run, or one of its checkpoints.
    output : Path, optional
        The .onnx file; by default named after the sequence.
    reporter : Reporter
        Hears of progress and notes.
    sequence : str, optional
        Which sequence, if the run learned several.
    polish : int
        Number of Gauss-Newton steps on the tabulated signals.
    allow_inaccurate : bool
        Write the model even if it errs far above its Cramer-Rao bound somewhere.

    Raises
    ------
    CheckFailedError
        If the model does not hold what is asked of it.

    """
    from mrftool.learning.config import checkpoint_file

    file = checkpoint_file(run)  # before torch is loaded
    import torch

    from mrftool.learning.checkpoint import load_run
    from mrftool.learning.export import model_settings, source_of

    loaded, scores = load_run(file, torch.device("cpu"))
    source = source_of(loaded, sequence)
    settings = model_settings(loaded, source, scores)
    path = model_path(source.sequence, output)
    manifest = write_verified(
        source.sequence,
        path,
        reporter,
        polish=polish,
        allow_inaccurate=allow_inaccurate,
        **settings,
    )
    return WrittenModel(path, manifest)


def export_sequence(
    sequence: PulseSequence | str | Path,
    output: Path | None,
    reporter: Reporter,
    *,
    polish: int = 2,
    allow_inaccurate: bool = False,
    adc: float = 0.0,
    form: Form = "complex",
    **ranges: Range | None,
) -> WrittenModel:
    """Write a model without a network: a coarse search starts the Gauss-Newton steps.

    Parameters
    ----------
    sequence : PulseSequence, str or Path
        The sequence, its file, or the name of a shipped one.
    output : Path, optional
        The .onnx file; by default named after the sequence.
    reporter : Reporter
        Hears of progress and notes.
    polish : int
        Number of Gauss-Newton steps.
    allow_inaccurate : bool
        Write the model even if it errs far above its Cramer-Rao bound somewhere.
    adc : float
        Diffusion coefficient [m2/s].
    form : {"complex", "magnitude"}
        Of the signals.
    ranges : (float, float)
        What the model is made for: t1_range, t2_range [s]; with b1_range [1] it takes a B1 map.

    """
    sequence = as_sequence(sequence)
    note_doubts(sequence, reporter)
    note_echoes(sequence, reporter)
    path = model_path(sequence, output)
    manifest = write_verified(
        sequence,
        path,
        reporter,
        polish=polish,
        allow_inaccurate=allow_inaccurate,
        adc=adc,
        form=form,
        **ranges,
    )
    return WrittenModel(path, manifest)


def model_path(sequence: PulseSequence, output: Path | None) -> Path:
    """Where the model of a sequence goes: `output`, or a file named after the sequence."""
    return output or Path(f"{file_stem(sequence.name)}.onnx")


def write_verified(
    sequence: PulseSequence, path: Path, reporter: Reporter, **settings: Any
) -> Manifest:
    """Make, verify and write a model; `settings` are those of `make_model`."""
    with writing(path) as part, reporter.working("building and verifying the model"):
        model, manifest = make_model(sequence, **settings)
        write_model(model, part)
    return manifest
