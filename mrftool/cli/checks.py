"""Checks of options: callbacks for Typer that name the option and its value, and options that
exclude each other.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

from mrftool.errors import UsageError
from mrftool.plausibility import doubt

Check = Callable[[typer.CallbackParam, Any], Any]


def between(low: float, high: float) -> Check:
    """A number from `low` to `high`."""

    def check(param: typer.CallbackParam, value: Any) -> Any:
        if value is not None and not low <= value <= high:
            raise UsageError(f"{_name(param)} {value}, expected {low:g} to {high:g}")
        return value

    return check


def plausible(name: str) -> Check:
    """A number in SI units that is 0 or plausible for the quantity `name`."""

    def check(param: typer.CallbackParam, value: Any) -> Any:
        if value is None or value == 0:
            return value
        text = doubt(name, value)
        if text:
            raise UsageError(f"{_name(param)} {value:g}, {text}")
        return value

    return check


def ascending(low: float, high: float, *, or_equal: bool = False) -> Check:
    """A range: two numbers, the first below the second (or equal to it), from `low` to `high`."""

    def check(param: typer.CallbackParam, value: Any) -> Any:
        if value is None:
            return None
        first, last = value
        is_inside = low <= first <= last <= high
        if not is_inside or (first == last and not or_equal):
            raise UsageError(
                f"{_name(param)} {first:g} {last:g}, expected the lower end first, "
                f"from {low:g} to {high:g}"
            )
        return value

    return check


def named(*suffixes: str) -> Check:
    """A file name that ends in one of `suffixes`: a typo must not overwrite another file."""

    def check(param: typer.CallbackParam, value: Path | None) -> Path | None:
        if value is not None and not value.name.endswith(suffixes):
            raise UsageError(
                f"{_name(param)} {value}, expected a file name that ends in {' or '.join(suffixes)}"
            )
        return value

    return check


def given(context: typer.Context, name: str) -> bool:
    """Whether an option is given on the command line, whatever its value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse(context: typer.Context, names: Iterable[str], reason: str) -> None:
    """Raise UsageError if one of the options is given where it would do nothing."""
    for param in context.command.params:
        if param.name in set(names) and given(context, param.name):
            raise UsageError(f"{_name(param)} {reason}")


def _name(param: Any) -> str:
    """The option as it is written on the command line, the long form."""
    return str(max(param.opts, key=len))
