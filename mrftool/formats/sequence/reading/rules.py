"""Columns of a sequence file to numbers: constants, lists, CSV columns and named rules."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.regular_file import read_regular
from mrftool.formats.sequence.reading.natural_spline import natural_spline
from mrftool.formats.sequence.schema.first import CsvColumn, Cycle, Lobes, Quadratic, Spline

MAX_BYTES = 20_000_000  # of a CSV file


def own_length(column: Any, folder: Path) -> int | None:
    """Number of repetitions that a column fixes by itself, or None if it takes any."""
    if isinstance(column, list):
        return len(column)
    if isinstance(column, Lobes):
        return sum(column.lengths)
    if isinstance(column, CsvColumn):
        return len(_csv(column, folder))
    return None


def resolve(column: Any, n: int, folder: Path) -> FloatArray:
    """Values of a column for `n` repetitions `(time,)`, in the unit of its key.

    Raises InputError if a rule contradicts itself, its numbers are too large to compute with, or
    the CSV file is wrong.
    """
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused as a value of its column
            return _values(column, n, folder)
    except (ArithmeticError, ValueError) as error:
        raise InputError(f"its rule cannot be computed: {error}") from error


def _values(column: Any, n: int, folder: Path) -> FloatArray:
    match column:
        case CsvColumn():
            values = _csv(column, folder)
        case Lobes():
            values = _lobes(column)
        case Spline():
            values = _spline(column, n)
        case Quadratic():
            values = column.increment * np.arange(n) * (np.arange(n) + 1) / 2
        case Cycle():
            values = np.resize(column.values, n)
        case _:
            values = np.resize(column, n)
    return np.asarray(values, np.float64)


def _lobes(rule: Lobes) -> FloatArray:
    if len(rule.peaks) != len(rule.lengths):
        raise InputError(
            f"{len(rule.peaks)} peaks and {len(rule.lengths)} lengths, expected as many of each"
        )
    lobes = [np.sin(np.pi * np.arange(length) / length) * (peak - rule.minimum) + rule.minimum
             for peak, length in zip(rule.peaks, rule.lengths, strict=True)]  # fmt: skip
    return np.concatenate(lobes)


def _spline(rule: Spline, n: int) -> FloatArray:
    # RandomState, because numpy promises that its stream never changes: a seed is part of the
    # sequence.
    random = np.random.RandomState(rule.seed)
    knots = _knots(rule, random)
    curve = natural_spline(knots, n)
    if rule.noise_sd:
        curve = curve + rule.noise_sd * random.standard_normal(n)
    if rule.low is not None or rule.high is not None:
        curve = np.clip(curve, rule.low, rule.high)
    return curve


def _knots(rule: Spline, random: np.random.RandomState) -> FloatArray:
    if (rule.knots is None) == (rule.random_knots is None):
        raise InputError("expected either knots or random_knots")
    if rule.knots is not None:
        return np.asarray(rule.knots, np.float64)
    if rule.low is None or rule.high is None or rule.low >= rule.high:
        raise InputError("random_knots need low < high")
    return random.uniform(rule.low, rule.high, rule.random_knots or 2)


def _csv(source: CsvColumn, folder: Path) -> FloatArray:
    names, rows = _csv_rows(source, folder)
    if source.column is None or source.column not in names:
        raise InputError(_column_fault(source, names))
    cells = [row[source.column] for row in rows[: source.rows]]
    try:
        values = np.array([float(cell) for cell in cells])
    except (TypeError, ValueError):
        bad = next(i for i, cell in enumerate(cells) if not _is_number(cell))
        raise InputError(
            f"{source.csv} row {bad + 2} column {source.column}: {cells[bad]!r}, expected a number"
        ) from None
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"{source.csv} row {bad + 2} column {source.column}: {cells[bad]}, expected a finite "
            "number"
        )
    return values


def _column_fault(source: CsvColumn, names: Sequence[str]) -> str:
    """Why a CSV file, of which these are the names in the first line, lacks a column."""
    if len(names) == 1 and ";" in names[0]:
        return (
            f"{source.csv} separates columns by ';' ({names[0]}), expected ',' and a point as the "
            "decimal sign"
        )
    if names and all(_is_number(name) for name in names):
        shown = ", ".join(names)
        return f"{source.csv} begins with {shown}, expected names of its columns in the first line"
    expected = f"expected one of: {', '.join(names)}"
    if source.column is None:
        return f"no column of {source.csv} is named, {expected}"
    return f"{source.csv} has no column {source.column!r}, {expected}"


def _csv_rows(source: CsvColumn, folder: Path) -> tuple[Sequence[str], list[dict[str, Any]]]:
    """The names of the columns of a CSV file, and its rows by them."""
    try:
        text = read_regular(folder / source.csv, MAX_BYTES, "a CSV file").decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        return reader.fieldnames or (), list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{source.csv}: {error}, expected a CSV file") from error


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True
