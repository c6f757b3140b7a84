"""The option `--uncertainty`: standard uncertainties of given values, as people write them."""

import math
import re
from collections.abc import Mapping

from mrftool.errors import ArgumentError, UsageError
from mrftool.manifold.influences import INFLUENCES, influence_named

NONE = "none"  # states that everything given is exact
_UNITS = {
    "1": {"%": 0.01, "": 1.0},
    "s": {"s": 1.0, "ms": 1e-3, "us": 1e-6},
    "m2/s": {"m2/s": 1.0, "mm2/s": 1e-6, "um2/s": 1e-12},
    "Hz": {"Hz": 1.0},
}
_NUMBER = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(.*)")


def stated_uncertainties(value: str | None) -> dict[str, float] | None:
    """`b1=2%,ti=1ms` as standard uncertainties by name [SI unit]; None where nothing is stated.

    Raises
    ------
    UsageError
        If a name, a number or a unit is not known.
    """
    if value is None:
        return None
    if value.strip() == NONE:
        return {}
    stated: dict[str, float] = {}
    for part in value.split(","):
        name, equals, text = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise UsageError(f"--uncertainty {part.strip()!r}, expected NAME=VALUE as in b1=2%")
        if name in stated:
            raise UsageError(f"--uncertainty states {name} twice, expected it once")
        stated[name] = _size(name, text)
    return stated


def _size(name: str, text: str) -> float:
    """A number with its unit [SI unit]."""
    try:
        influence = influence_named(name)
    except ArgumentError as error:
        known = ", ".join(each.name for each in INFLUENCES)
        raise UsageError(f"--uncertainty of {name!r}, expected some of {known}") from error
    size = _in_si(name, text, _UNITS[influence.unit])
    if not math.isfinite(size):
        raise UsageError(f"--uncertainty {name}={text}, expected a finite number")
    if influence.unit == "1" and size > 1:
        raise UsageError(f"--uncertainty {name}={text}, expected up to 1 (100 %): percent?")
    return size


def _in_si(name: str, text: str, units: Mapping[str, float]) -> float:
    """A number with one of these units, each with its size [SI unit]."""
    found = _NUMBER.fullmatch(text)
    if found is None or found[2] not in units:
        shown = " or ".join(unit or "no unit" for unit in units)
        raise UsageError(f"--uncertainty {name}={text}, expected a number and {shown}")
    try:
        return float(found[1]) * units[found[2]]
    except ValueError as error:
        raise UsageError(f"--uncertainty {name}={text}, expected a number") from error
