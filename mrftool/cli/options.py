"""What options may be: callbacks for Typer that name the option and its value, and options that
exclude each other.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

from mrftool.errors import InputError, UsageError

Check = Callable[[typer.CallbackParam, Any], Any]


def between(low: float, high: float) -> Check:
    """A number from `low` to `high`, or several."""

    def check(param: typer.CallbackParam, value: Any) -> Any:
        for number in value if isinstance(value, tuple) else () if value is None else (value,):
            if not low <= number <= high:
                raise UsageError(f"{_name(param)} {number}, expected {low:g} to {high:g}")
        return value

    return check


def ascending(low: float, high: float, *, or_equal: bool = False) -> Check:
    """A range: two numbers, the first below the second (or equal to it), from `low` to `high`."""

    def check(param: typer.CallbackParam, value: Any) -> Any:
        if value is None or (
            low <= value[0] <= value[1] <= high and (or_equal or value[0] < value[1])
        ):
            return value
        given = f"{_name(param)} {value[0]:g} {value[1]:g}"
        raise UsageError(f"{given}, expected the lower end first, from {low:g} to {high:g}")

    return check


def named(*suffixes: str) -> Check:
    """A file whose name ends in one of `suffixes`: a slip of the keyboard must not overwrite
    another kind of file.
    """

    def check(param: typer.CallbackParam, value: Path | None) -> Path | None:
        if value is not None and not value.name.endswith(suffixes):
            raise UsageError(
                f"{_name(param)} {value}, expected a file name that ends in {' or '.join(suffixes)}"
            )
        return value

    return check


def given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line, whatever its value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse(context: typer.Context, names: Iterable[str], reason: str) -> None:
    """Raises UsageError if one of the options stands on the command line, where it would do
    nothing.
    """
    for param in context.command.params:
        if param.name in set(names) and given(context, param.name):
            raise UsageError(f"{_name(param)} {reason}")


def keep_inputs(inputs: Iterable[Path | None], outputs: Iterable[Path]) -> None:
    """Raises UsageError if an output would overwrite an input."""
    read = {os.path.realpath(path) for path in inputs if path is not None}
    for path in outputs:
        if os.path.realpath(path) in read:
            raise UsageError(f"{path} is an input, expected another place for the output")


def require_folder(path: Path) -> None:
    """Raises InputError if `path` is no folder to write into, nor can be made one: before the work,
    not after it.
    """
    place = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not place.is_dir():
        raise InputError(f"{place}: is no folder, expected one to write into")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"{place}: cannot be written, expected a folder that may be")


def _name(param: Any) -> str:
    """The option as it is written on the command line, the long form."""
    return str(max(param.opts, key=len))
