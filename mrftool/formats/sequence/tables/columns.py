"""Columns of the tables of other tools: which one is what.

Known headers: those of snapMRF and of the MRF-FISP code it comes from
("flip_angle_(fraction_of_nominal),rf_phase_(deg),extension_of_base_TR_(ms),..."), and any that
name flip, phase, TR, TE and a unit. OpenMRF keeps lists without header, one quantity a file (fa.txt
in degrees, tr.txt in ms).
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from mrftool.formats.sequence.sources import Fault
from mrftool.formats.sequence.tables.text import Decimal, Table

_UNIT_WORDS = {
    "deg": ("deg", "degree", "degrees"),
    "rad": ("rad", "radian", "radians"),
    "ms": ("ms", "msec", "milliseconds"),
    "s": ("s", "sec", "seconds"),
    "us": ("us", "usec", "microseconds"),
    "fraction": ("fraction",),
}
_UNIT_OF = {word: unit for unit, words in _UNIT_WORDS.items() for word in words}


@dataclass(frozen=True)
class _Quantity:
    """How tables name a quantity, its possible units, and the arguments that say more about it."""

    words: frozenset[str]
    units: tuple[str, ...]
    column: str
    unit: str
    base: str | None


QUANTITIES = {
    "flip_angle": _Quantity(
        frozenset({"flip", "flips", "fa", "alpha", "angle", "angles", "flipangle"}),
        ("deg", "rad", "fraction"),
        "flip_column",
        "flip_unit",
        None,
    ),
    "rf_phase": _Quantity(
        frozenset({"phase", "phases", "ph", "phi", "rfphase"}),
        ("deg", "rad"),
        "phase_column",
        "phase_unit",
        None,
    ),
    "tr": _Quantity(
        frozenset({"tr", "trs"}), ("ms", "s", "us"), "tr_column", "time_unit", "base_tr"
    ),
    "te": _Quantity(
        frozenset({"te", "tes"}), ("ms", "s", "us"), "te_column", "time_unit", "base_te"
    ),
}


@dataclass(frozen=True)
class Layout:
    """What the user says of a table.

    Attributes
    ----------
    columns : tuple of (quantity, column)
        Columns by name, or by number from 1.
    flip_unit, phase_unit, time_unit : str
        Units of the columns.
    nominal_flip : float
        Flip angle of which the table gives fractions [rad].
    base_tr, base_te : float
        TR and TE to which the table gives extensions [s].
    rows : int
        Use only the first so many rows.
    decimal : "point" or "comma"
    """

    columns: tuple[tuple[str, str], ...] = ()
    flip_unit: str | None = None
    phase_unit: str | None = None
    time_unit: str | None = None
    nominal_flip: float | None = None
    base_tr: float | None = None
    base_te: float | None = None
    rows: int | None = None
    decimal: Decimal | None = None


@dataclass(frozen=True)
class Column:
    """One column of the table and what its name says about it."""

    index: int
    name: str
    unit: str | None
    is_extension: bool

    @property
    def title(self) -> str:
        """Its name, or its number from 1."""
        return self.name or f"column {self.index + 1}"


def choose_columns(table: Table, layout: Layout) -> tuple[dict[str, Column], dict[str, Fault]]:
    """The column of each quantity, as the user or the header says; and why others are unknown."""
    names = table.names or _numbered(table.values.shape[1])
    wanted = dict(layout.columns)
    chosen: dict[str, Column] = {}
    unknown: dict[str, Fault] = {}
    needed = {"flip_angle", *wanted}
    for key in QUANTITIES:
        fitting = _fitting_columns(key, names, table, wanted.get(key))
        if len(fitting) == 1:
            chosen[key] = _column(fitting[0], table)
        elif fitting or key in needed:
            unknown[key] = _no_single_column(key, names, fitting, wanted.get(key))
    for key in _sharing_a_column(chosen):
        column = chosen.pop(key)
        name = column.name or column.index + 1
        text = f"column {name} may also be another quantity, expected a choice"
        unknown[key] = Fault(text, (QUANTITIES[key].column,))
    return chosen, unknown


def _numbered(n_columns: int) -> tuple[str, ...]:
    return tuple(f"column {number}" for number in range(1, n_columns + 1))


def _sharing_a_column(chosen: dict[str, Column]) -> list[str]:
    """Quantities whose column is also that of another one."""
    uses = Counter(column.index for column in chosen.values())
    return [key for key, column in chosen.items() if uses[column.index] > 1]


def _fitting_columns(
    key: str, names: tuple[str, ...], table: Table, wanted: str | None
) -> list[int]:
    """Indices of the columns that may hold a quantity.

    A single column without a name holds flip angles.
    """
    if wanted is not None:
        return _named_or_numbered(wanted, names)
    if table.names:
        words = QUANTITIES[key].words
        return [i for i, name in enumerate(names) if words & set(_tokens(name))]
    if key == "flip_angle" and len(names) == 1:
        return [0]
    return []


def _named_or_numbered(wanted: str, names: tuple[str, ...]) -> list[int]:
    """The index of the first column of that name, or of that number counted from 1."""
    return [i for i, name in enumerate(names) if wanted in (name, str(i + 1))][:1]


def _no_single_column(
    key: str, names: tuple[str, ...], fitting: list[int], wanted: str | None
) -> Fault:
    listed = ", ".join(names)
    if wanted is not None:
        return Fault(f"no column {wanted!r}, expected one of: {listed}")
    argument = (QUANTITIES[key].column,)
    if fitting:
        listed = ", ".join(names[i] for i in fitting)
        return Fault(f"columns {listed} may be it, expected one to be chosen", argument)
    text = f"no column is named so ({listed}), expected its name or number"
    return Fault(text, argument)


def _column(index: int, table: Table) -> Column:
    name = ""
    if table.names:
        name = table.names[index]
    words = _tokens(name)
    units = (_UNIT_OF[word] for word in words if word in _UNIT_OF)
    return Column(index, name, next(units, None), "extension" in words)


def _tokens(name: str) -> list[str]:
    """The words of a column's name: both TRms and "TR [ms]" give tr and ms.

    Letters of any script belong to words, so that an unknown unit is not taken for its last letter.
    """
    plain = unicodedata.normalize("NFKC", name)  # which makes the micro sign a Greek mu
    plain = plain.replace("°", " deg ").replace("μ", " u")
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z]{2})(?=[a-z])", " ", plain)
    return [word for word in re.split(r"[\W\d_]+", spaced.lower()) if word]
