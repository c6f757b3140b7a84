"""Train an encoder; a run can be stopped between two steps, and resumed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mrftool.environment.reporter import Reporter, SilentReporter
from mrftool.errors import ArgumentError, CheckFailedError
from mrftool.formats.sequence.yaml_file import as_sequence, read_sequence
from mrftool.learning.checkpoint import BEST, LAST, TrainingRun, save_run
from mrftool.learning.config import TrainConfig
from mrftool.learning.networks.bloch_decoder import truncation_note
from mrftool.learning.parallel import any_of, is_first, joined
from mrftool.learning.training import pick_device, prepare_run, resume_run, train
from mrftool.sequence import PulseSequence
from mrftool.workflows.steps.doubts import note_doubts, note_echoes
from mrftool.workflows.steps.outputs.places import require_folder
from mrftool.workflows.steps.training_curve import TrainingCurve

FILES = (BEST, LAST, "curve.csv", "curve.png")

# Called after each step with its number, the number of all steps, and smoothed losses and scores.
Watch = Callable[[int, int, Mapping[str, float]], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class TrainingResult:
    """What a call of `train_encoder` or `resume_training` reached.

    step, steps: the last step done, and the last of the run. is_first: whether this process is the
    first of those that train together, which writes the files. scores: of the last validation.
    paths: the files of a complete run; none in the other processes.
    """

    folder: Path
    step: int
    steps: int
    is_first: bool
    scores: dict[str, float] = field(default_factory=dict)
    paths: tuple[Path, ...] = ()

    @property
    def was_stopped(self) -> bool:
        """Whether `should_stop` ended the run early."""
        return self.step < self.steps


def train_encoder(
    sequences: Sequence[PulseSequence | str | Path],
    config: TrainConfig,
    folder: Path,
    reporter: Reporter,
    *,
    device: str = "auto",
    watch: Watch | None = None,
    should_stop: ShouldStop | None = None,
) -> TrainingResult:
    """Train an encoder for these sequence files; checkpoints, curve and scores go to `folder`.

    Parameters
    ----------
    sequences : sequence of PulseSequence, str or Path
        Sequences, their files, or names of shipped ones.
    config : TrainConfig
        Settings of the run.
    folder : Path
        Folder of the run; it must not hold one yet.
    reporter : Reporter
        Hears of progress and notes.
    device : str
        "cpu", "cuda", or "auto".
    watch : callable, optional
        Called after each step.
    should_stop : callable, optional
        Asked after each step: if it says so, the last step is saved and the call returns.

    Raises
    ------
    ArgumentError
        If the folder holds a run already.
    CheckFailedError
        If the training diverged before its first validation.

    """
    require_folder(folder)
    with _without_empty_folder(folder), joined(pick_device(device)) as chosen:
        with reporter.working("tabulating the signals"):
            read = [as_sequence(sequence) for sequence in sequences]
            for sequence in read:
                note_doubts(sequence, reporter)
                note_echoes(sequence, reporter)
            run = prepare_run(read, config, folder, chosen)
        if config.decoder == "bloch":
            for sequence in read:
                note = truncation_note(sequence, config.t1_range[1], config.t2_range[1])
                if note:
                    reporter.note(note)
        return _train(run, folder, watch, should_stop)


def resume_training(
    folder: Path,
    reporter: Reporter | None = None,
    *,
    device: str = "auto",
    watch: Watch | None = None,
    should_stop: ShouldStop | None = None,
    sequences: Sequence[str | Path] | None = None,
    expected: Mapping[str, Any] | None = None,
) -> TrainingResult:
    """Resume the run in `folder` at its last checkpoint: the weights become those of a run without
    a pause. If that checkpoint is damaged, the one before it is taken, and `reporter` told.

    Parameters
    ----------
    folder, reporter, device, watch, should_stop
        As for `train_encoder`.
    sequences : sequence of str or Path, optional
        What the caller takes for the sequences of the run.
    expected : dict, optional
        What the caller takes for its settings, by their names in `TrainConfig`.

    Raises
    ------
    ArgumentError
        If the run is complete, or has other sequences or settings.

    """
    require_folder(folder)
    with _without_empty_folder(folder), joined(pick_device(device)) as chosen:
        run = resume_run(folder, chosen, (reporter or SilentReporter()).note)
        if run.step >= run.config.steps:
            raise ArgumentError(
                f"{folder}: the run is at its end, step {run.step}, expected an unfinished one"
            )
        _require_settings(run, folder, expected or {})
        if sequences is not None:
            _require_sequences(run, folder, sequences)
        return _train(run, folder, watch, should_stop)


def _require_settings(run: TrainingRun, folder: Path, expected: Mapping[str, Any]) -> None:
    """Raise ArgumentError if the run has other settings."""
    for name, value in expected.items():
        own = getattr(run.config, name)
        if own != value:
            raise ArgumentError(
                f"{folder}: the run has {name} {_shown(own)}, not {_shown(value)}, expected its "
                "own setting or none",
                arguments=(name,),
            )


def _require_sequences(run: TrainingRun, folder: Path, names: Sequence[str | Path]) -> None:
    """Raise ArgumentError if the run learns other sequences."""
    asked = [read_sequence(name).sequence_id for name in names]
    if asked != [source.sequence.sequence_id for source in run.sources]:
        own = ", ".join(source.sequence.name for source in run.sources)
        raise ArgumentError(
            f"{folder}: the run learns {own}, expected the same sequences or none",
            arguments=("seq",),
        )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " to ".join(f"{number:g}" for number in value)
    return str(value)


class _StoppedError(Exception):
    """Training was asked to stop."""


def _train(
    run: TrainingRun, folder: Path, watch: Watch | None, should_stop: ShouldStop | None
) -> TrainingResult:
    """Train to the end, or until asked to stop: then the last step is saved."""
    steps = run.config.steps
    curve = TrainingCurve(folder / "curve.csv", from_step=run.step)

    def after_step(step: int, losses: dict[str, float]) -> None:
        if is_first():
            curve.add(step, losses, is_last=step == steps)
            if watch:
                watch(step, steps, curve.losses)
        asked = should_stop is not None and should_stop()
        if any_of(asked) and step < steps:
            raise _StoppedError

    try:
        scores = train(run, folder, after_step)
    except _StoppedError:
        if is_first():
            save_run(run, folder, LAST, {})
        return TrainingResult(folder, run.step, steps, is_first())
    finally:
        if is_first():
            curve.save()
    if not is_first():
        return TrainingResult(folder, run.step, steps, is_first=False)
    _require_best(folder)
    paths = tuple(folder / name for name in FILES)
    return TrainingResult(folder, run.step, steps, True, scores, paths)


def _require_best(folder: Path) -> None:
    if not (folder / BEST).exists():
        raise CheckFailedError(
            f"{folder}: training diverged, no score of this run is a number",
            hint="try a lower learning rate",
            arguments=("rate",),
        )


@contextmanager
def _without_empty_folder(folder: Path) -> Iterator[None]:
    """If the block fails, folders that were made and are still empty are removed."""
    made = [path for path in (folder, *folder.absolute().parents) if not path.exists()]
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in made:
                path.rmdir()
        raise
