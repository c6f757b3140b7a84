"""Cells as texts, and whether two of them differ by more than chance."""

import math

from mrftool.studies.paper.results import Cell

MISSING = "missing"
_STANDARD_ERRORS = 2.0


def shown(cell: Cell | None) -> str:
    """Mean with three digits, and the spread over seeds, where there are several."""
    if cell is None:
        return MISSING
    return number(cell.mean) if cell.sd is None else f"{number(cell.mean)} ± {number(cell.sd, 2)}"


def number(value: float, digits: int = 3) -> str:
    """So many digits that count, as a person writes them."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    order = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if order < -4:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(digits - 1 - order, 0)}f}"


def duration(seconds: float) -> str:
    """12 s, 3 min, 1 h 20 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def differs(one: Cell, other: Cell) -> bool | None:
    """Whether the means differ by more than two standard errors; None where no spread is known.

    A method without chance has one run and no spread: then the other's spread decides.
    """
    if one.sd is None and other.sd is None:
        return None
    error = math.sqrt(sum(cell.sd**2 / cell.n for cell in (one, other) if cell.sd is not None))
    return abs(one.mean - other.mean) > _STANDARD_ERRORS * error


def compared(one: Cell, other: Cell, name: str = "") -> str:
    """How `one` lies to `other`, that of `name`, in words, and whether chance could have made it."""
    than = f" than that of {name}" if name else ""
    if one.mean == other.mean:
        return f"the same as that of {name}" if name else "the same"
    text = f"{times(one.mean, other.mean)}{than}"
    verdict = differs(one, other)
    if verdict is None:
        return f"{text} (one seed: no spread to judge it by)"
    return text if verdict else f"{text}, within the spread over seeds"


def times(one: float, other: float) -> str:
    """How much lower or higher `one` is than `other`: in percent where it is little."""
    word, low, high = ("lower", one, other) if one < other else ("higher", other, one)
    if low <= 0:
        return f"infinitely many times {word}"
    little = high / low < 1.5
    return (
        f"{number(100 * abs(one / other - 1), 2)} % {word}"
        if little
        else f"{number(high / low, 2)} times {word}"
    )
