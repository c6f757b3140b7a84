"""What a person watches while an encoder trains: a live table on stderr, or a line now and then."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mrftool.cli.messages import terminal
from mrftool.cli.messages.session import QUIET, session
from mrftool.evaluation.text_tables import duration


class TrainingTable:
    """Open while a run trains; it appears with the first step."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("step"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("train", total=None)
        self._live = Live(console=console, refresh_per_second=4)
        self._is_live = terminal.is_watched() and session().verbosity > QUIET
        self._lines = _TrainingLines()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, step: int, steps: int, losses: Mapping[str, float]) -> None:
        """Take in a step: its number, the number of all, and its losses."""
        self._lines.show(step, steps, losses)
        if not self._is_live:
            return
        self._bar.update(self._task, completed=step, total=steps)
        self._live.update(self._view(losses))
        if not self._live.is_started:
            self._live.start()

    def _view(self, losses: Mapping[str, float]) -> Table:
        numbers = Table("", "value", box=None)
        for name, value in losses.items():
            numbers.add_row(name.replace("_", " "), f"{value:.4g}")
        view = Table.grid(padding=(0, 2))
        view.add_row(self._bar)
        view.add_row(numbers)
        return view


class _TrainingLines:
    """A line every so often: for a log, and where no person watches."""

    def __init__(self) -> None:
        self._first_step: int | None = None
        self._began = self._due = 0.0

    def show(self, step: int, steps: int, losses: Mapping[str, float]) -> None:
        """Tell of a step if a line is due."""
        now = time.monotonic()
        if self._first_step is None:
            self._first_step, self._began = step, now
            self._due = now + terminal.FIRST_LINE
        if now < self._due:
            return
        self._due = now + terminal.NEXT_LINES
        rate = (now - self._began) / max(step - self._first_step, 1)
        text = f"step {step:,} of {steps:,}"
        if step > self._first_step:
            text += f", about {duration(rate * (steps - step))} left"
        text += "".join(f", {name.replace('_', ' ')} {value:.4g}" for name, value in losses.items())
        terminal.tell_progress(session(), text)
