"""Try a model on random tissue of its range, at its own sequence and at signals it should flag."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mrftool.environment.reporter import Reporter
from mrftool.environment.shipped import shipped_files
from mrftool.errors import MismatchError
from mrftool.evaluation.model_trials import SNRS, ModelTrials, count_runs, run_trials
from mrftool.formats.sequence.yaml_file import read_sequence, sequence_from_dict
from mrftool.inference.session import Model
from mrftool.sequence import Pulses, PulseSequence
from mrftool.sequence.faults import COLUMNS
from mrftool.sequence.pulse_sequence import OPTIONAL_COLUMNS

FILES = ("model.json", "model.md", "model.png")


@dataclass(frozen=True, eq=False)
class TrialResult:
    """What was found, and the files written."""

    sequence: PulseSequence
    trials: ModelTrials
    paths: tuple[Path, ...]


def evaluate_model(
    model: Model,
    folder: Path,
    reporter: Reporter,
    *,
    sequence: str | None = None,
    snrs: tuple[float, ...] = SNRS,
    voxels: int = 5000,
    seed: int = 0,
    knows_noise: bool = False,
) -> TrialResult:
    """Try a model; write numbers, tables and a picture into `folder`.

    Parameters
    ----------
    model : Model
        The model to try.
    folder : Path
        Folder of the results.
    reporter : Reporter
        Hears of progress and notes.
    sequence : str, optional
        Sequence file; by default the model's own.
    snrs : tuple of float
        Root mean square of each fingerprint over the noise of each channel [1].
    voxels : int
        Number of random tissues.
    seed : int
        Seed of tissue and noise.
    knows_noise : bool
        Whether the model is told the noise level.

    """
    played = sequence_for(model, sequence, reporter)
    others = other_sequences(played)
    with reporter.progress("trying the model", count_runs(others, snrs)) as progress:
        trials = run_trials(
            model,
            played,
            others,
            snrs=snrs,
            voxels=voxels,
            seed=seed,
            knows_noise=knows_noise,
            progress=progress,
        )
    return TrialResult(played, trials, tuple(_write_trials(trials, model, played, folder)))


def sequence_for(model: Model, name: str | None, reporter: Reporter) -> PulseSequence:
    """The model's own sequence, or the one asked for, which must have as many repetitions."""
    own = sequence_from_dict(model.manifest.sequence, str(model.path))
    if name is None:
        return own
    sequence = read_sequence(name)
    if len(sequence) != model.n_time:
        raise MismatchError(
            f"{name}: {len(sequence)} repetitions, expected {model.n_time} as the model"
        )
    if sequence != own:
        reporter.note(f"{name} is another sequence than the model's ({own.name})")
    return sequence


def other_sequences(sequence: PulseSequence) -> dict[str, PulseSequence]:
    """Shipped sequences of the same length; if there are none, the beginnings of longer ones that
    play their pulses in one go.
    """
    same, longer = [], []
    for other in _shipped_sequences():
        if len(other) == len(sequence):
            same.append(other)
        elif len(other) > len(sequence) and _plays_in_one_go(other):
            longer.append(_beginning(other, len(sequence)))
    chosen = [each for each in same if each != sequence] or longer
    return {f"sequence {each.name}": each for each in chosen if each != sequence}


def _shipped_sequences() -> list[PulseSequence]:
    paths = [path for path in shipped_files("sequences") if path.suffix == ".yaml"]
    return [read_sequence(path) for path in paths]


def _write_trials(
    found: ModelTrials, model: Model, sequence: PulseSequence, folder: Path
) -> list[Path]:
    """Numbers, tables and picture in `folder`; the files written."""
    from mrftool.evaluation.model_tables import accuracy_table, flag_table, trials_json
    from mrftool.figures.errors import model_figure
    from mrftool.formats.atomic import all_or_none

    manifest = model.manifest
    about = {
        "model": manifest.name,
        "weights_sha256": manifest.weights_sha256,
        "sequence_id": sequence.sequence_id,
    }
    paths = [folder / name for name in FILES]
    title = f"{manifest.name} on {sequence.name}, {manifest.form} signals"
    with all_or_none(paths, make_folders=True) as (as_json, as_text, picture):
        as_json.write_text(trials_json(found, about), "utf-8")
        as_text.write_text(
            f"{accuracy_table(found, title).markdown()}\n{flag_table(found).markdown()}", "utf-8"
        )
        model_figure(found, picture, title=f"{title}: {found.voxels} random tissues at each SNR")
    return paths


def _plays_in_one_go(sequence: PulseSequence) -> bool:
    return sum(isinstance(event, Pulses) for event in sequence.events) == 1


def _beginning(sequence: PulseSequence, n: int) -> PulseSequence:
    columns: dict[str, Any] = {}
    for key in (*COLUMNS, *OPTIONAL_COLUMNS):
        column = getattr(sequence, key)
        if column is not None:
            columns[key] = column[:n]
    return replace(sequence, **columns)
