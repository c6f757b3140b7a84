"""What a person watches while an encoder trains: a live table on stderr, and the curve as CSV and
PNG.
"""

import csv
import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

_SMOOTHING = 0.98


class TrainingTable:
    """Open while a run trains. Rows of earlier steps that the folder's curve holds are kept."""

    def __init__(self, steps: int, folder: Path, *, from_step: int) -> None:
        self._steps, self._path = steps, folder / "curve.csv"
        self._rows = _read_rows(self._path, from_step)
        self._losses: dict[str, float] = {}
        console = Console(stderr=True)
        columns = (TextColumn("step"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("train", total=steps, completed=from_step)
        self._live = Live(
            self._view(), console=console, refresh_per_second=4, transient=not console.is_terminal
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        self._save()

    def report(self, step: int, losses: dict[str, float]) -> None:
        """Take in the losses of one step, and the scores where it was validated."""
        for key, value in losses.items():
            old = self._losses.get(key, value)
            smooth = key in ("loss", "embedding", "reconstruction") and math.isfinite(old)
            self._losses[key] = _SMOOTHING * old + (1 - _SMOOTHING) * value if smooth else value
        self._bar.update(self._task, completed=step)
        if "score" in losses or step == self._steps:
            self._rows.append({"step": step, **self._losses})
            self._save()
        self._live.update(self._view())

    def _view(self) -> Table:
        view = Table.grid(padding=(0, 2))
        numbers = Table("", "value", box=None)
        for key, value in self._losses.items():
            numbers.add_row(key.replace("_", " "), f"{value:.4g}")
        view.add_row(self._bar)
        view.add_row(numbers)
        return view

    def _save(self) -> None:
        from mrftool.figures.curves import training_figure
        from mrftool.formats.atomic import writing

        if not self._rows:
            return
        names = list(dict.fromkeys(key for row in self._rows for key in row))
        with writing(self._path) as path, path.open("w", newline="") as file:
            table = csv.DictWriter(file, names)
            table.writeheader()
            table.writerows(self._rows)
        training_figure(self._rows, self._path.with_suffix(".png"))


def _read_rows(path: Path, until: int) -> list[dict[str, Any]]:
    """Rows of an earlier part of the run."""
    if until == 0 or not path.exists():
        return []
    with path.open(newline="") as file:
        rows = [
            {key: float(value) for key, value in row.items() if value}
            for row in csv.DictReader(file)
        ]
    return [{**row, "step": int(row["step"])} for row in rows if row["step"] <= until]
