"""Cells as text, and whether two of them differ by more than chance."""

import math

from mrftool.studies.paper.results import Cell

MISSING = "missing"
CONFIDENCE = 0.95
_WITHIN_SPREAD = "within the spread over seeds"


def shown(cell: Cell | None) -> str:
    """Mean with three digits, and the standard deviation over seeds if there are several."""
    if cell is None:
        return MISSING
    if cell.sd is None:
        return number(cell.mean)
    return f"{number(cell.mean)} ± {number(cell.sd, 2)}"


def number(value: float, digits: int = 3) -> str:
    """The value with so many significant digits."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    scientific = f"{value:.{digits - 1}e}"
    order = math.floor(math.log10(abs(float(scientific))))
    if order < -4:
        return scientific
    return f"{value:.{max(digits - 1 - order, 0)}f}"


def differs(one: Cell, other: Cell) -> bool | None:
    """Whether the means differ at the 5 % level by Welch's t test; None if no spread is known.

    A method without chance has one run and no spread: then that of the other decides. Degrees of
    freedom: B. L. Welch, Biometrika 34:28 (1947), eq. 28 with the approximation of F. E.
    Satterthwaite, Biometrics Bulletin 2:110 (1946).
    """
    from scipy.special import stdtrit

    variances = [(cell.sd**2 / cell.n, cell.n - 1) for cell in (one, other) if cell.sd is not None]
    if not variances:
        return None
    total = sum(variance for variance, _ in variances)
    if total == 0:
        return one.mean != other.mean
    freedom = total**2 / sum(variance**2 / each for variance, each in variances)
    limit = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(total)
    return abs(one.mean - other.mean) > limit


def compared(one: Cell, other: Cell, name: str = "") -> str:
    """How `one` compares with `other`, that of `name`, and whether chance could explain it."""
    than = ""
    if name:
        than = f" than that of {name}"
    if one.mean == other.mean:
        return f"the same{than.replace(' than', ' as', 1)}"
    return _with_verdict(f"{times(one.mean, other.mean)}{than}", differs(one, other))


def compared_logs(one: Cell, other: Cell) -> str:
    """The same for cells of log10: the ratio is that of geometric means."""
    if one.mean == other.mean:
        return "the same"
    return _with_verdict(times(10**one.mean, 10**other.mean), differs(one, other))


def _with_verdict(text: str, verdict: bool | None) -> str:
    if verdict is None:
        return f"{text} (one seed, so the spread is unknown)"
    if verdict:
        return text
    return f"{text}, {_WITHIN_SPREAD}"


def times(one: float, other: float) -> str:
    """How much lower or higher `one` is than `other`; in percent if the ratio is below 1.5."""
    low, high, word = other, one, "higher"
    if one < other:
        low, high, word = one, other, "lower"
    if low <= 0:
        return f"infinitely many times {word}"
    if high / low < 1.5:
        return f"{number(100 * abs(one / other - 1), 2)} % {word}"
    return f"{number(high / low, 2)} times {word}"
