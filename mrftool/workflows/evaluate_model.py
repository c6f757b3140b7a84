"""The work behind `mrftool evaluate model`: the model, its sequence, and the other sequences that
it should refuse.
"""

from dataclasses import replace
from pathlib import Path

from mrftool.cli.console import note, progress_bar
from mrftool.errors import MismatchError
from mrftool.evaluation.model_trials import ModelTrials, count_runs, run_trials
from mrftool.formats.sequence.yaml_file import read_sequence, sequence_from_dict
from mrftool.inference.session import Model
from mrftool.sequence import PulseSequence
from mrftool.shipped import shipped_files

FILES = ("model.json", "model.md", "model.png")


def sequence_for(model: Model, seq: str | None) -> PulseSequence:
    """The model's own sequence, or the one asked for, which must be as long."""
    own = sequence_from_dict(model.manifest.sequence, str(model.path))
    if seq is None:
        return own
    sequence = read_sequence(seq)
    if len(sequence) != model.n_time:
        raise MismatchError(
            f"{seq}: {len(sequence)} repetitions, expected {model.n_time} as the model"
        )
    if sequence != own:
        note(f"{seq} is another sequence than the model's ({own.name})")
    return sequence


def other_sequences(sequence: PulseSequence) -> dict[str, PulseSequence]:
    """Shipped sequences of the same length; if there are none, the beginnings of longer ones."""
    found = [read_sequence(path) for path in shipped_files("sequences") if path.suffix == ".yaml"]
    others = [each for each in found if len(each) >= len(sequence) and each != sequence]
    same = [each for each in others if len(each) == len(sequence)]
    chosen = same or [_beginning(each, len(sequence)) for each in others]
    return {f"sequence {each.name}": each for each in chosen if each != sequence}


def try_model(
    model: Model,
    sequence: PulseSequence,
    snrs: tuple[float, ...],
    voxels: int,
    seed: int,
    knows_noise: bool,
) -> ModelTrials:
    """Trials with a progress bar."""
    others = other_sequences(sequence)
    with progress_bar("trying the model", count_runs(others, snrs)) as progress:
        return run_trials(
            model,
            sequence,
            others,
            snrs=snrs,
            voxels=voxels,
            seed=seed,
            knows_noise=knows_noise,
            progress=progress,
        )


def write_trials(
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


def _beginning(sequence: PulseSequence, n: int) -> PulseSequence:
    columns = {key: getattr(sequence, key)[:n] for key in ("flip_angle", "rf_phase", "tr", "te")}
    return replace(sequence, **columns)
