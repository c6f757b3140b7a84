"""What a person watches while an encoder trains: a live table on stderr."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table


class TrainingTable:
    """Open while a run trains; it appears with the first step."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("step"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("train", total=None)
        self._live = Live(console=console, refresh_per_second=4, transient=not console.is_terminal)

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
