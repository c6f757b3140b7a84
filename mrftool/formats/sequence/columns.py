"""Lists of other tools (CSV or text) as RF sequences: which column is what, and in which unit.

Headers that are known: those of snapMRF and of the MRF-FISP code it comes from
("flip_angle_(fraction_of_nominal), rf_phase_(deg),extension_of_base_TR_(ms),..."), and any that
name flip, phase, TR, TE and a unit. OpenMRF keeps lists without header, one quantity a file (fa.txt
in degrees, tr.txt in ms).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.completion import Findings, Given
from mrftool.formats.sequence.text_table import Decimal, Table, read_table

_WORDS = {
    "flip_angle": {"flip", "flips", "fa", "alpha", "angle", "angles", "flipangle"},
    "rf_phase": {"phase", "phases", "ph", "phi", "rfphase"},
    "tr": {"tr", "trs"},
    "te": {"te", "tes"},
}
_UNITS = {"deg": "deg", "degree": "deg", "degrees": "deg", "rad": "rad", "radian": "rad", "radians": "rad", "ms": "ms",
          "s": "s", "sec": "s", "us": "us", "fraction": "fraction"}  # fmt: skip
_SI = {"deg": np.pi / 180, "rad": 1.0, "ms": 1e-3, "s": 1.0, "us": 1e-6}
_ALLOWED = {"flip_angle": ("deg", "rad", "fraction"), "rf_phase": ("deg", "rad"), "tr": ("ms", "s", "us"),
            "te": ("ms", "s", "us")}  # fmt: skip
_OPTION = {
    "flip_angle": "--flip-unit",
    "rf_phase": "--phase-unit",
    "tr": "--time-unit",
    "te": "--time-unit",
}
_NAMED_BY = {
    "flip_angle": "--flip-column",
    "rf_phase": "--phase-column",
    "tr": "--tr-column",
    "te": "--te-column",
}


@dataclass(frozen=True)
class Layout:
    """What the user says of a table: columns by name or number (from 1), units, and what extensions
    add to.

    nominal_flip [rad]: 1.0 of a flip angle that is given as a fraction. base_tr, base_te [s]: where
    the file gives extensions of them. rows: use only the first so many.
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
class _Choice:
    """A column of the table: its index, its name, the unit that the name says, whether it extends a
    base.
    """

    index: int
    name: str
    unit: str | None
    is_extension: bool


def table_findings(path: Path, given: Given, layout: Layout) -> Findings:
    """What a table of numbers says. Raises InputError if it is none."""
    table = read_table(path, layout.decimal)
    if layout.rows and layout.rows > len(table.values):
        raise InputError(
            f"{path}: {len(table.values)} rows, expected at least the {layout.rows} of --rows"
        )
    choices, unknown = _choose(table, layout)
    notes = [table.dialect, *_unused(table, choices)]
    columns: dict[str, Any] = {}
    for key, choice in choices.items():
        if getattr(given, key, None) is not None:
            continue
        try:
            columns[key], said = _in_si(
                key, table.values[: layout.rows, choice.index], choice, layout
            )
            notes.append(said)
        except InputError as error:
            unknown[key] = str(error)
    faults = () if unknown else tuple(_idle(choices, columns, layout))
    return Findings(
        "list of another tool", notes=tuple(notes), unknown=unknown, faults=faults, **columns
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


def _choose(table: Table, layout: Layout) -> tuple[dict[str, _Choice], dict[str, str]]:
    """Which column is what, as the user says, else as the header says; and why it is not clear, by
    quantity.
    """
    names = table.names or tuple(f"column {i + 1}" for i in range(table.values.shape[1]))
    wanted = dict(layout.columns)
    choices: dict[str, _Choice] = {}
    unknown: dict[str, str] = {}
    for key, words in _WORDS.items():
        fits = _fitting(key, words, names, table, wanted.get(key))
        if len(fits) == 1:
            choices[key] = _choice(fits[0], names[fits[0]] if table.names else "")
        elif key in wanted:
            unknown[key] = f"no column {wanted[key]!r}, expected one of: {', '.join(names)}"
        elif fits:
            unknown[key] = (
                f"columns {', '.join(names[i] for i in fits)} may be it; expected {_NAMED_BY[key]}"
            )
        elif key == "flip_angle":
            unknown[key] = (
                f"no column is named so ({', '.join(names)}); expected --flip-column NAME or NUMBER"
            )
    for key, choice in list(choices.items()):
        if sum(other.index == choice.index for other in choices.values()) > 1:
            unknown[key] = (
                f"column {choice.name or choice.index + 1} may be something else, too; expected {_NAMED_BY[key]}"
            )
    return {key: choice for key, choice in choices.items() if key not in unknown}, unknown


def _fitting(
    key: str, words: set[str], names: tuple[str, ...], table: Table, wanted: str | None
) -> list[int]:
    """Indices of the columns that may hold a quantity. A single column without a name holds flip
    angles.
    """
    if wanted is not None:
        return [i for i, name in enumerate(names) if wanted in (name, str(i + 1))][:1]
    if table.names:
        return [i for i, name in enumerate(names) if words & set(_tokens(name))]
    return [0] if key == "flip_angle" and len(names) == 1 else []


def _tokens(name: str) -> list[str]:
    """The words of a column's name; TRms, T_R and "TR [ms]" give tr and ms."""
    spaced = re.sub(
        r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z]{2})(?=[a-z])",
        " ",
        name.replace("°", " deg ").replace("µs", " us "),
    )
    return [word for word in re.split(r"[^a-z]+", spaced.lower()) if word]


def _choice(index: int, name: str) -> _Choice:
    words = _tokens(name)
    unit = next((_UNITS[word] for word in words if word in _UNITS), None)
    return _Choice(index, name, unit, "extension" in words)


def _in_si(key: str, values: FloatArray, choice: _Choice, layout: Layout) -> tuple[FloatArray, str]:
    """Values of a column in SI units and radians, and a sentence on how they were read."""
    stated = {"flip_angle": layout.flip_unit, "rf_phase": layout.phase_unit}.get(
        key, layout.time_unit
    )
    unit = choice.unit if choice.unit in _ALLOWED[key] else None
    if stated and unit and stated != unit:
        raise InputError(f"the header says {unit}, and {_OPTION[key]} says {stated}")
    unit = unit or stated or _plain_unit(key, values)
    if unit is None:
        raise InputError(
            f"its unit is not in the header; expected {_OPTION[key]} {' or '.join(_ALLOWED[key])}"
        )
    named = f"{key} from {choice.name or f'column {choice.index + 1}'} [{unit}]"
    if unit == "fraction":
        if layout.nominal_flip is None:
            raise InputError("fractions of a nominal flip angle; expected --nominal-flip-deg")
        return values * layout.nominal_flip, f"{named} of {np.rad2deg(layout.nominal_flip):g} deg"
    values = values * _SI[unit]
    base = {"tr": layout.base_tr, "te": layout.base_te}.get(key)
    if choice.is_extension and base is None:
        raise InputError(f"extensions of a base {key.upper()}; expected --base-{key}-ms")
    return (
        (values, named) if base is None else (values + base, f"{named} on top of {base * 1e3:g} ms")
    )


def _plain_unit(key: str, values: FloatArray) -> str | None:
    """The unit of an angle, where the values leave no doubt."""
    if key not in ("flip_angle", "rf_phase"):
        return None
    largest = abs(values).max()
    return "deg" if largest > 2 * np.pi or largest == 0 else None


def _unused(table: Table, choices: dict[str, _Choice]) -> list[str]:
    used = {choice.index for choice in choices.values()}
    rest = [name for i, name in enumerate(table.names) if i not in used]
    return [f"columns that are not used: {', '.join(rest)}"] if rest else []


def _idle(choices: dict[str, _Choice], columns: dict[str, Any], layout: Layout) -> list[str]:
    """A sentence for each option that changes nothing."""
    faults = []
    for key, option, value in (("tr", "--base-tr-ms", layout.base_tr), ("te", "--base-te-ms", layout.base_te),
                               ("flip_angle", "--nominal-flip-deg", layout.nominal_flip)):  # fmt: skip
        is_used = key in columns and (key != "flip_angle" or _is_fraction(choices[key], layout))
        if value is not None and not is_used:
            faults.append(f"{key}: {option} is given, but no column needs it")
    return faults


def _is_fraction(choice: _Choice, layout: Layout) -> bool:
    return "fraction" in (choice.unit, layout.flip_unit)
