"""Checks of options: callbacks for Typer that name the option and its value, and options that
exclude each other.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mrftool.errors import UsageError
from mrftool.plausibility import doubt

if TYPE_CHECKING:
    from mrftool.inference.common.unknowns import Shape

FIT = "fit"  # in place of a value that is given
_FRAMES = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")
_MOST_FRAMES = 1_000_000  # of a range
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


def chosen_frames(value: str | None) -> tuple[int, ...]:
    """`1,18-21`, counted from 1 as in reports, as indices from 0.

    Raises
    ------
    UsageError
        If a part is no frame and no range of frames.
    """
    if value is None:
        return ()
    chosen: set[int] = set()
    for part in value.split(","):
        found = _FRAMES.fullmatch(part)
        if found is None:
            raise UsageError(f"--skip {part.strip()!r}, expected frames as in 1,18-21")
        first, last = int(found[1]), int(found[2] or found[1])
        if first < 1:
            raise UsageError(f"--skip {part.strip()}: frames are counted from 1, as in reports")
        if not first <= last < first + _MOST_FRAMES:
            raise UsageError(f"--skip {part.strip()}, expected the first frame before the last")
        chosen.update(range(first - 1, last))
    return tuple(sorted(chosen))


def b1_choice(value: str | None) -> tuple[Path | None, "Shape | None"]:
    """The file that `--b1` names, and what is fitted: `fit`, `fit:smooth`, `fit:FILE`,
    `fit:smooth:FILE`.
    """
    if value is None:
        return None, None
    first, *rest = value.split(":", 1)
    if first != FIT:
        return Path(value), None
    text = "".join(rest)
    first, *rest = text.split(":", 1)
    shape: Shape = "factor"
    if first == "smooth":
        shape, text = "smooth", "".join(rest)
    if value.endswith(":"):
        raise UsageError(f"--b1 {value}, expected a file or 'smooth' after the colon")
    if not text:
        return None, shape
    return Path(text), shape


def refuse_fit(shape: "Shape | None", reason: str) -> None:
    """Raise UsageError if B1 is to be fitted where it cannot be."""
    if shape is not None:
        raise UsageError(f"--b1 {FIT} {reason}")


def mask_file(value: Path | None) -> Path | None:
    """The file that `--mask` names; None for `none`."""
    if value == Path("none"):
        return None
    return value


def _name(param: Any) -> str:
    """The option as it is written on the command line, the long form."""
    return str(max(param.opts, key=len))
