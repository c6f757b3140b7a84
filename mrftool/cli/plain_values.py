"""Values of options that are what they say: text, names of files, whole numbers, choices.

Some versions of Typer load a library for the conversion of each option, given or not, which takes
longer than most commands. Here plain values are taken as they are; all others, and those that are
wrong, are left to Typer and its messages.
"""

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_CHECKS_OF_PATHS = ("exists", "writable", "resolve_path", "allow_dash")


class _NotPlainError(Exception):
    """A value that Typer has to convert, or to refuse."""


def take_plain_values(commands: Iterable[Any]) -> None:
    """Convert plain values of the parameters of commands here, where Typer would load a library."""
    for command in commands:
        for parameter in command.params:
            _take_plain_values_of(parameter)
        command.get_help_option = partial(_help_option, command.get_help_option)


def _take_plain_values_of(parameter: Any) -> None:
    asked = getattr(parameter, "get_runtime_param", None)
    if asked is not None and not isinstance(getattr(asked, "__self__", None), _Conversion):
        conversion = _Conversion(parameter, asked)
        parameter.get_runtime_param = conversion.itself


def _help_option(of_typer: Callable[[Any], Any], context: Any) -> Any:
    """The option --help, which Typer adds to the others when it reads the arguments."""
    option = of_typer(context)
    _take_plain_values_of(option)
    return option


class _Conversion:
    """The conversion of one parameter's values: takes the place of Typer's."""

    def __init__(self, parameter: Any, by_typer: Callable[[], Any]) -> None:
        self._annotation = parameter.type_descriptor.annotation
        self._info = parameter.type_descriptor.parameter_info
        self._by_typer = by_typer

    def itself(self) -> "_Conversion":
        """What Typer asks the parameter for."""
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as the function of the command takes it."""
        if value is None:
            return _nothing(param)
        if not _has_checks(self._info):
            with suppress(_NotPlainError):
                return _plain(self._annotation, value)
        return self._by_typer().coerce(value, param=param, ctx=ctx)


def _nothing(param: Any) -> Any:
    """The value of an option that is not given."""
    if param.multiple or param.nargs == -1:
        return ()
    return None


def _has_checks(info: Any) -> bool:
    """Whether Typer does more to a value than to convert it."""
    if info.parser is not None or not (info.file_okay and info.dir_okay):
        return True
    is_checked = any(getattr(info, name) for name in _CHECKS_OF_PATHS)
    return is_checked or (info.min, info.max) != (None, None)


def _plain(annotation: Any, value: Any) -> Any:
    """A plain value of a type. Raises _NotPlainError for any other."""
    origin = get_origin(annotation)
    if origin in (list, tuple):
        return _plain_sequence(annotation, value)
    if annotation is Path:
        return _plain_path(value)
    if annotation is int and isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if not _is_itself(annotation, value):
        raise _NotPlainError
    return value


def _is_itself(annotation: Any, value: Any) -> bool:
    """Whether a value needs no conversion: one of several words, or of the very type."""
    if get_origin(annotation) is Literal:
        return value in get_args(annotation)
    return annotation in (str, int, float, bool) and type(value) is annotation


def _plain_sequence(annotation: Any, values: Any) -> Any:
    kinds = get_args(annotation)
    if not isinstance(values, (list, tuple)):
        raise _NotPlainError
    if get_origin(annotation) is list:
        return [_plain(kinds[0], value) for value in values]
    if len(values) != len(kinds):
        raise _NotPlainError
    return tuple(_plain(kind, value) for kind, value in zip(kinds, values, strict=True))


def _plain_path(value: Any) -> Path:
    """The name of a file that can be read, or is not there."""
    if not isinstance(value, (str, Path)) or "\0" in str(value):
        raise _NotPlainError
    path = Path(value)
    if path.exists() and not os.access(path, os.R_OK):
        raise _NotPlainError
    return path
