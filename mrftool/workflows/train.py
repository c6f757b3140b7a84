"""The work behind `mrftool train`: a run that can be stopped between two steps, and gone on with."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from mrftool.cli.console import note, show_table, working, wrote
from mrftool.cli.options import require_folder
from mrftool.cli.training_table import TrainingTable
from mrftool.errors import ArgumentError, CheckFailedError
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.learning.checkpoint import TrainingRun, save_run
from mrftool.learning.config import TrainConfig
from mrftool.learning.parallel import any_of, is_first, joined
from mrftool.learning.training import pick_device, prepare_run, resume_run, train

_FILES = ("best.safetensors", "last.safetensors", "curve.csv", "curve.png")


def run_training(
    seqs: list[str], settings: dict[str, Any], folder: Path, device: str, *, resume: bool
) -> None:
    """Begin or resume a run, train it with a live table, and print its scores."""
    require_folder(folder)
    with _no_empty_folder(folder), joined(pick_device(device)) as chosen:
        if resume:
            run = resume_run(folder, chosen)
        else:
            with working("tabulating the signals"):
                run = prepare_run(
                    [read_sequence(seq) for seq in seqs], TrainConfig(**settings), folder, chosen
                )
        if run.step >= run.config.steps:
            raise ArgumentError(
                f"{folder}: the run is at its end, step {run.step}, expected one that is not"
            )
        scores = _train(run, folder)
        if not is_first():
            return
    if not (folder / "best.safetensors").exists():
        raise CheckFailedError(
            f"{folder}: no score of this run is a number, expected one that learns",
            hint="try a smaller --rate",
        )
    show_table(f"run {folder}", {key: f"{value:.3f}" for key, value in scores.items()})
    for name in _FILES:
        wrote(folder / name)


def _train(run: TrainingRun, folder: Path) -> dict[str, float]:
    """Train to the end, or until a signal asks to stop: then the last step is kept."""
    watched = TrainingTable(run.config.steps, folder, from_step=run.step) if is_first() else None
    with _asked_to_stop() as asked, watched or nullcontext():

        def report(step: int, losses: dict[str, float]) -> None:
            if watched:
                watched.report(step, losses)
            if any_of(bool(asked)) and step < run.config.steps:
                if is_first():
                    save_run(run, folder, "last", {})
                    note(f"stopped after step {step} of {run.config.steps}; --resume goes on")
                _stop(asked[0] if asked else signal.SIGINT)

        return train(run, folder, report)


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Signals that came meanwhile: the first of each waits for the end of a step, the second stops
    at once.
    """
    asked: list[int] = []

    def remember(number: int, _: object) -> None:
        if number in asked:
            _stop(number)
        asked.append(number)

    before: dict[int, Callable[..., Any] | int | None] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, remember)
        yield asked
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)


def _stop(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


@contextmanager
def _no_empty_folder(folder: Path) -> Iterator[None]:
    """Folders that are made for nothing are taken away again."""
    made = [path for path in (folder, *folder.absolute().parents) if not path.exists()]
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in made:
                path.rmdir()
        raise
