"""Tables of other tools (CSV or text) as RF sequences."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.sources import Fault, Findings, Given
from mrftool.formats.sequence.tables.columns import QUANTITIES, Column, Layout, choose_columns
from mrftool.formats.sequence.tables.text import Table, read_table
from mrftool.formats.sequence.tables.units import in_si


def table_findings(path: Path, given: Given, layout: Layout) -> Findings:
    """What a table of numbers says.

    Raises
    ------
    InputError
        If the file is no table of numbers, or has too few rows.
    """
    table = read_table(path, layout.decimal)
    if layout.rows and layout.rows > len(table.values):
        raise InputError(
            f"{path}: {len(table.values)} rows, expected at least {layout.rows}",
            arguments=["rows"],
        )
    chosen, unknown = choose_columns(table, layout)
    notes = [table.dialect, *_unused_columns(table, chosen)]
    read: dict[str, Any] = {}
    for key, column in chosen.items():
        if getattr(given, key, None) is not None:
            continue
        try:
            values = table.values[: layout.rows, column.index]
            read[key], note = in_si(key, values, column, layout)
            notes.append(note)
        except InputError as error:
            unknown[key] = Fault(str(error), error.arguments)
    faults: tuple[Fault, ...] = ()
    if not unknown:
        faults = tuple(_unused_arguments(chosen, read, layout))
    return Findings(
        "list of another tool", notes=tuple(notes), unknown=unknown, faults=faults, **read
    )


def number_or_list(text: str) -> FloatArray:
    """A number, or the numbers in a text file of that name, one a line."""
    try:
        return np.array([float(text)])
    except ValueError:
        values = read_table(Path(text)).values
    if values.shape[1] != 1:
        raise InputError(
            f"{text}: {values.shape[1]} columns, expected a list of numbers, one in each line"
        )
    return np.asarray(values[:, 0])


def _unused_columns(table: Table, chosen: dict[str, Column]) -> list[str]:
    used = {column.index for column in chosen.values()}
    unused = [name for i, name in enumerate(table.names) if i not in used]
    if not unused:
        return []
    return [f"columns that are not used: {', '.join(unused)}"]


def _unused_arguments(
    chosen: dict[str, Column], read: dict[str, Any], layout: Layout
) -> Iterator[Fault]:
    """A fault for each argument that changes nothing."""
    needed = {quantity.base for key, quantity in QUANTITIES.items() if key in read}
    if "flip_angle" in read and "fraction" in (chosen["flip_angle"].unit, layout.flip_unit):
        needed.add("nominal_flip")
    for key, argument, what in (
        ("tr", "base_tr", "a base TR"),
        ("te", "base_te", "a base TE"),
        ("flip_angle", "nominal_flip", "a nominal flip angle"),
    ):
        if getattr(layout, argument) is not None and argument not in needed:
            yield Fault(f"{key}: {what} is given, but no column needs it", (argument,))
