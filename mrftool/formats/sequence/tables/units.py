"""Values of a table's columns in SI units."""

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.tables.columns import QUANTITIES, Column, Layout

_SI = {"deg": np.pi / 180, "rad": 1.0, "ms": 1e-3, "s": 1.0, "us": 1e-6}


def in_si(key: str, values: FloatArray, column: Column, layout: Layout) -> tuple[FloatArray, str]:
    """Values of a column in SI units, and a note on how they were read."""
    unit = _unit(key, values, column, layout)
    note = f"{key} from {column.title} [{unit}]"
    if unit == "fraction":
        nominal = layout.nominal_flip
        if nominal is None:
            raise InputError(
                "fractions of a nominal flip angle, expected that angle", arguments=["nominal_flip"]
            )
        return values * nominal, f"{note} of {np.rad2deg(nominal):g} deg"
    values = values * _SI[unit]
    argument = QUANTITIES[key].base
    base = None
    if argument is not None:
        base = getattr(layout, argument)
    if base is not None:
        return values + base, f"{note} on top of {base * 1e3:g} ms"
    if column.is_extension:
        text = f"extensions of a base {key.upper()}, expected that time"
        raise InputError(text, arguments=[argument or ""])
    return values, note


def _unit(key: str, values: FloatArray, column: Column, layout: Layout) -> str:
    """The unit of a column: from the header, from the user, or from angles that leave no doubt."""
    quantity = QUANTITIES[key]
    stated = getattr(layout, quantity.unit)
    if column.unit in quantity.units:
        if stated and stated != column.unit:
            raise InputError(
                f"the header says {column.unit}, and the user says {stated}",
                arguments=[quantity.unit],
            )
        return str(column.unit)
    if stated:
        return str(stated)
    if "deg" in quantity.units:
        largest = abs(values).max()
        if largest > 2 * np.pi or largest == 0:
            return "deg"
    choices = " or ".join(quantity.units)
    raise InputError(
        f"its unit is not in the header, expected {choices}", arguments=[quantity.unit]
    )
