"""Which array of a file with several."""

from collections.abc import Mapping
from pathlib import Path

from mrftool.errors import InputError

_LEAST_AXES = 2
_SHOWN = 10


def choose_variable(path: Path, shapes: Mapping[str, tuple[int, ...]], variable: str | None) -> str:
    """The variable of that name, or the only one that is an image: that has more axes than others.

    Raises
    ------
    InputError
        Naming all arrays and their shapes, if there is no such variable or a choice is needed.
    """
    if variable in shapes:
        return str(variable)
    most = max(map(_n_axes, shapes.values()), default=0)
    images = [name for name, shape in shapes.items() if _n_axes(shape) == most]
    if variable is None and len(images) == 1 and most >= _LEAST_AXES:
        return images[0]
    what = "several arrays"
    if variable is not None:
        what = f"no array {variable!r}"
    raise InputError(
        f"{path}: has {what}, expected a choice of one: {_listed(shapes)}", arguments=["variable"]
    )


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Names and shapes of the arrays, the first few of many."""
    listed = [f"{name} ({' x '.join(map(str, shape))})" for name, shape in shapes.items()]
    if len(listed) > _SHOWN:
        listed[_SHOWN:] = [f"and {len(listed) - _SHOWN} more"]
    return ", ".join(listed) or "none"


def _n_axes(shape: tuple[int, ...]) -> int:
    return sum(length > 1 for length in shape)
