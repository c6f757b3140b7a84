"""The curve of a training run: losses and scores by step, as CSV and as a picture."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrftool.errors import InputError
from mrftool.figures import curves
from mrftool.formats.atomic import writing
from mrftool.formats.regular_file import require_regular

_SMOOTHING = 0.98  # weight of the past in the running mean of a loss
_SMOOTHED = ("loss", "embedding", "reconstruction")


class TrainingCurve:
    """Losses and scores of a run; rows of earlier steps that the file holds are kept.

    Parameters
    ----------
    path : Path
        The CSV file; the picture lies beside it.
    from_step : int
        The step at which the run begins or resumes.

    """

    def __init__(self, path: Path, *, from_step: int) -> None:
        self._path = path
        self._rows = _read_rows(path, from_step)
        self.losses: dict[str, float] = {}

    def add(self, step: int, losses: Mapping[str, float], *, is_last: bool) -> None:
        """Take in the losses of one step; where there are scores, write the curve."""
        for name, value in losses.items():
            self.losses[name] = self._smoothed(name, value)
        if "score" in losses or is_last:
            self._rows.append({"step": step, **self.losses})
            self.save()

    def save(self) -> None:
        """Write what there is so far."""
        if not self._rows:
            return
        names = list(dict.fromkeys(name for row in self._rows for name in row))
        with writing(self._path) as part, part.open("w", newline="") as file:
            table = csv.DictWriter(file, names)
            table.writeheader()
            table.writerows(self._rows)
        curves.training_figure(self._rows, self._path.with_suffix(".png"))

    def _smoothed(self, name: str, value: float) -> float:
        """The running mean of a loss; scores are taken as they are."""
        before = self.losses.get(name, value)
        if name not in _SMOOTHED or not math.isfinite(before):
            return value
        return _SMOOTHING * before + (1 - _SMOOTHING) * value


def _read_rows(path: Path, until: int) -> list[dict[str, Any]]:
    """Rows of an earlier part of the run."""
    if until == 0 or not path.exists():
        return []
    require_regular(path, "the curve of a training run")
    try:
        with path.open(newline="") as file:
            rows = [_row(cells) for cells in csv.DictReader(file)]
    except (ValueError, TypeError, KeyError, OverflowError, csv.Error) as error:
        raise InputError(
            f"{path}: is damaged, expected the curve of a training run",
            hint="a run without this file begins a new curve",
        ) from error
    return [row for row in rows if row["step"] <= until]


def _row(cells: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: float(value) for name, value in cells.items() if value}
    row["step"] = int(row["step"])
    return row
