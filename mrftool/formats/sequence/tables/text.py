"""Tables of numbers in text files. Header, separator and decimal sign are found by trying all.

A file that two ways of reading fit is refused.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.regular_file import read_regular

Decimal = Literal["point", "comma"]
_DECIMALS: tuple[Decimal, ...] = ("point", "comma")

MAX_BYTES = 20_000_000
MAX_COLUMNS = 1000
LONGEST_ROW = 5  # one row of more numbers than this is a list
SHOWN_FAULTS = 5

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "": "spaces"}
# A spreadsheet writes an empty row as separators alone.
_SPACE_AND_SEPARATORS = " \t\r\v\f,;"
_NUMBER = {
    "point": re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"),
    "comma": re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?"),
}
_LINE_END = re.compile(r"\r\n|\n|\r")  # of Unix, Windows, and old Macintosh files
_SPREADSHEET_MARK = re.compile(r"sep=.", re.IGNORECASE)  # tells Excel the separator
_COMMENT_MARKS = ("#", "%", "//")


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers `(row, column)`, names of the columns, comments, and how the file was read.

    `names` is empty without a header; `comments` are lines without their mark; `dialect` is a
    sentence.
    """

    values: FloatArray
    names: tuple[str, ...]
    comments: tuple[str, ...]
    dialect: str


@dataclass(frozen=True)
class _Line:
    number: int
    text: str


@dataclass(frozen=True)
class _Reading:
    """One way to split the lines into cells, and a sentence for each cell that it does not fit."""

    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    faults: tuple[str, ...]
    separator: str
    decimal: Decimal

    def numbers(self) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(_number(cell) for cell in row) for row in self.cells)


def read_table(path: Path, decimal: Decimal | None = None) -> Table:
    """Read the numbers in a text file.

    Parameters
    ----------
    path : Path
        Of a text file in UTF-8.
    decimal : "point" or "comma", optional
        The decimal sign, if the user says it.

    Raises
    ------
    InputError
        If the file is no table of numbers, or is one in two ways.
    """
    lines, comments = _lines(path)
    readings = [_split(lines, *way) for way in _ways(lines, decimal)]
    reading = _fitting_reading(readings, path)
    values = np.array(reading.numbers())
    if not np.isfinite(values).all():
        raise InputError(f"{path}: a number is not finite, expected finite numbers")
    dialect = _dialect(reading)
    if values.shape[0] == 1 and values.shape[1] > LONGEST_ROW and not reading.header:
        values, dialect = values.T, "one row, read as a column"
    if values.shape[1] > MAX_COLUMNS:
        raise InputError(f"{path}: {values.shape[1]} columns, expected at most {MAX_COLUMNS}")
    return Table(values, reading.header, comments, dialect)


def _ways(lines: list[_Line], decimal: Decimal | None) -> Iterator[tuple[str, Decimal]]:
    """Pairs of separator and decimal sign that the lines may use; a comma can be both where cells
    are quoted.
    """
    has_quotes = any('"' in line.text for line in lines)
    for separator in _SEPARATORS:
        if not any(separator in line.text for line in lines):
            continue
        for sign in _DECIMALS:
            is_one_sign_for_both = (separator, sign) == (",", "comma") and not has_quotes
            if sign == (decimal or sign) and not is_one_sign_for_both:
                yield separator, sign


def _lines(path: Path) -> tuple[list[_Line], tuple[str, ...]]:
    """Lines that are not empty, and comments."""
    try:
        text = read_regular(path, MAX_BYTES, "a text file").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file, expected numbers in UTF-8") from error
    lines, comments = [], []
    for number, line in enumerate(_LINE_END.split(text), 1):
        stripped = line.strip(" \r")
        if stripped.startswith(_COMMENT_MARKS):
            comments.append(stripped.lstrip("#%/").strip())
        elif line.strip(_SPACE_AND_SEPARATORS) and not _SPREADSHEET_MARK.fullmatch(stripped):
            lines.append(_Line(number, stripped))
    if not lines or "\0" in text:
        raise InputError(f"{path}: no numbers, expected a list or a table of them")
    return lines, tuple(comments)


def _split(lines: list[_Line], separator: str, decimal: Decimal) -> _Reading:
    """Split the lines into cells."""
    rows = [_cells(line.text, separator) for line in lines]
    header: list[str] = []
    if _is_header(rows[0], decimal):
        header, rows = rows[0], rows[1:]
    width = len((rows or [header])[0])
    if header and width == 1 and not separator:
        header = [lines[0].text]  # one name of several words
    body = lines[len(lines) - len(rows) :]
    faults = _faults_of_rows(body, rows, width, decimal)
    faults += _header_faults(lines[0], header, width, bool(rows))
    cells = tuple(tuple(row) for row in rows)
    return _Reading(tuple(header), cells, tuple(faults), separator, decimal)


def _is_header(cells: list[str], decimal: Decimal) -> bool:
    """Whether none of the cells is a number."""
    return not any(_NUMBER[decimal].fullmatch(cell) for cell in cells)


def _cells(line: str, separator: str) -> list[str]:
    if not separator:
        return line.split()
    try:
        row = next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # a cell longer than 128 KiB: no number
        return [line]
    cells = [cell.strip() for cell in row] or [""]
    if len(cells) > 1 and cells[-1] == "":
        return cells[:-1]
    return cells


def _faults_of_rows(
    lines: list[_Line], rows: list[list[str]], width: int, decimal: Decimal
) -> list[str]:
    faults: list[str] = []
    for line, row in zip(lines, rows, strict=True):
        faults += _row_faults(line, row, width, decimal)
    return faults


def _row_faults(line: _Line, row: list[str], width: int, decimal: Decimal) -> list[str]:
    faults = [
        f"line {line.number}: {cell[:40]!r} is no number"
        for cell in row
        if not _NUMBER[decimal].fullmatch(cell)
    ]
    if len(row) != width:
        faults.append(
            f"line {line.number}: {len(row)} cells, expected {width} as in the lines before"
        )
    return faults


def _header_faults(line: _Line, header: list[str], width: int, has_rows: bool) -> list[str]:
    if not header:
        return []
    if not has_rows:
        return [f"line {line.number}: {line.text[:40]!r} and no numbers below"]
    is_split_wrongly = any("," in name or ";" in name for name in header)
    if len(header) != width or is_split_wrongly:
        return [f"line {line.number}: a header of {len(header)} names, expected {width} columns"]
    return []


def _number(cell: str) -> float:
    return float(cell.replace(",", "."))


def _dialect(reading: _Reading) -> str:
    words = "one column"
    if len(reading.cells[0]) > 1:
        words = f"{_SEPARATORS[reading.separator]} between cells"
    if any("," in cell for row in reading.cells for cell in row):
        words += ", decimal commas"
    return words


def _fitting_reading(readings: list[_Reading], path: Path) -> _Reading:
    """The one reading without faults. Readings that give the same numbers count as one."""
    fitting: dict[tuple[tuple[float, ...], ...], _Reading] = {}
    for reading in readings:
        if reading.cells and not reading.faults:
            fitting.setdefault(reading.numbers(), reading)
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    if fitting:
        raise InputError(
            f"{path}: a comma may separate cells or be a decimal sign, expected which",
            arguments=["decimal"],
        )
    best = min(readings, key=lambda reading: len(reading.faults))
    listed = [f"  {fault}" for fault in best.faults[:SHOWN_FAULTS]]
    if len(best.faults) > SHOWN_FAULTS:
        listed.append(f"  and {len(best.faults) - SHOWN_FAULTS} more")
    details = "\n".join(listed)
    raise InputError(f"{path}: not a table of numbers; expected one number in each cell\n{details}")
