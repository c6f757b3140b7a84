"""Tables of numbers in text files: header, separator and decimal sign are found, or refused where
two ways fit.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.regular_file import read_regular

MAX_BYTES = 20_000_000
MAX_COLUMNS = 1000
MOST_QUANTITIES = 5  # a single row of more numbers than that is a list
Decimal = Literal["point", "comma"]

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "": "spaces"}
_POINT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?(\d+,?\d*|,\d+)([eE][+-]?\d+)?")
_SHOWN = 5  # bad cells that a message names


@dataclass(frozen=True, eq=False)
class Table:
    """values: `(row, column)`. names: of the columns, empty without a header. comments: lines
    without their mark.

    dialect: how the file was read, in words.
    """

    values: FloatArray
    names: tuple[str, ...]
    comments: tuple[str, ...]
    dialect: str


@dataclass(frozen=True)
class _Reading:
    """One way to cut the lines into cells; bad: what does not fit, a sentence each."""

    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    bad: tuple[str, ...]
    separator: str
    decimal: Decimal


def read_table(path: Path, decimal: Decimal | None = None) -> Table:
    """The numbers in a text file. decimal: the decimal sign, if the user says it.

    Raises InputError if the file is no table of numbers, or if it is one in two ways.
    """
    lines, comments = _lines(path)
    separators = [s for s in _SEPARATORS if not s or any(s in line for _, line in lines)]
    signs: tuple[Decimal, ...] = (decimal,) if decimal else ("point", "comma")
    readings = [
        _cut(lines, s, sign) for s in separators for sign in signs if (s, sign) != (",", "comma")
    ]
    reading = _only(readings, path)
    values = np.array([[_number(cell, reading.decimal) for cell in row] for row in reading.cells])
    if not np.isfinite(values).all():
        raise InputError(f"{path}: a number is not finite, expected finite numbers")
    words = (
        f"{_SEPARATORS[reading.separator]} between cells" if values.shape[1] > 1 else "one column"
    )
    if any("," in cell for row in reading.cells for cell in row):
        words += ", decimal commas"
    if values.shape[0] == 1 and values.shape[1] > MOST_QUANTITIES and not reading.header:
        values, words = values.T, "one row, read as a column"
    if values.shape[1] > MAX_COLUMNS:
        raise InputError(f"{path}: {values.shape[1]} columns, expected at most {MAX_COLUMNS}")
    return Table(values, reading.header, comments, words)


def _lines(path: Path) -> tuple[list[tuple[int, str]], tuple[str, ...]]:
    """Lines with their numbers, and comments (#, % or //)."""
    try:
        text = read_regular(path, MAX_BYTES, "a text file").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file, expected numbers in UTF-8") from error
    numbered = [
        (n, line.strip(" \r")) for n, line in enumerate(text.split("\n"), 1) if line.strip()
    ]
    comments = [
        line.lstrip("#%/").strip() for _, line in numbered if line.startswith(("#", "%", "//"))
    ]
    lines = [(n, line) for n, line in numbered if not line.startswith(("#", "%", "//"))]
    if not lines or "\0" in text:
        raise InputError(f"{path}: no numbers, expected a list or a table of them")
    return lines, tuple(comments)


def _cut(lines: list[tuple[int, str]], separator: str, decimal: Decimal) -> _Reading:
    rows = [_cells(line, separator) for _, line in lines]
    first = rows[0]
    is_header = not any(_is_number(cell, decimal) for cell in first)
    body = rows[1:] if is_header else rows
    width = len(body[0]) if body else len(first)
    if is_header and width == 1 and not separator:
        first = [lines[0][1]]  # one name, of several words
    bad = []
    for (n, _), row in zip(lines[is_header:], body, strict=True):
        bad += [
            f"line {n}: {cell[:40]!r} is no number" for cell in row if not _is_number(cell, decimal)
        ]
        if len(row) != width:
            bad.append(f"line {n}: {len(row)} cells, expected {width} as in the lines before")
    if is_header and not body:
        bad.append(f"line {lines[0][0]}: {lines[0][1][:40]!r} and no numbers below")
    elif is_header and (len(first) != width or any("," in name or ";" in name for name in first)):
        bad.append(
            f"line {lines[0][0]}: a header of {len(first)} names, expected {width} as there are columns"
        )
    return _Reading(
        tuple(first) if is_header else (), tuple(map(tuple, body)), tuple(bad), separator, decimal
    )


def _cells(line: str, separator: str) -> list[str]:
    if not separator:
        return line.split()
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
    return cells[:-1] if cells[-1] == "" and len(cells) > 1 else cells


def _is_number(cell: str, decimal: Decimal) -> bool:
    return bool((_POINT if decimal == "point" else _COMMA).fullmatch(cell))


def _number(cell: str, decimal: Decimal) -> float:
    return float(cell if decimal == "point" else cell.replace(",", "."))


def _only(readings: list[_Reading], path: Path) -> _Reading:
    """The one reading that fits. Readings that give the same numbers are one."""
    good: dict[tuple[tuple[float, ...], ...], _Reading] = {}
    for reading in readings:
        if not reading.bad and reading.cells:
            good.setdefault(
                tuple(tuple(_number(c, reading.decimal) for c in row) for row in reading.cells),
                reading,
            )
    if len(good) == 1:
        return next(iter(good.values()))
    if good:
        raise InputError(
            f"{path}: a comma may stand between cells or be a decimal sign, expected --decimal point or comma"
        )
    best = min(readings, key=lambda reading: len(reading.bad))
    shown = "\n".join(f"  {sentence}" for sentence in best.bad[:_SHOWN])
    more = f"\n  and {len(best.bad) - _SHOWN} more" if len(best.bad) > _SHOWN else ""
    raise InputError(
        f"{path}: not a table of numbers; expected one number in each cell\n{shown}{more}"
    )
