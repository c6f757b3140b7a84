"""JSON, of which every number is finite and has a value as a double."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrftool.formats.regular_file import read_regular

_MOST_BYTES = 64 << 20
_MOST_DIGITS = 300  # a whole number of more has no value as a double


def read_json(path: Path, expected: str) -> Any:
    """The value in a file of JSON. `expected` says in messages what the file should be.

    Raises
    ------
    InputError
        If the file is missing, no regular one, or too large.
    ValueError
        As `load_json`.
    """
    return load_json(read_regular(path, _MOST_BYTES, expected).decode("utf-8-sig"))


def load_json(text: str) -> Any:
    """The value in `text`.

    Raises
    ------
    ValueError
        If it is not JSON, is nested too deeply, or holds NaN, an infinity or a number beyond those
        of doubles. RFC 8259, section 6, has no such numbers.
    """
    try:
        value = json.loads(
            text, parse_constant=_refuse, parse_float=_finite_float, parse_int=_bounded_int
        )
        return with_whole_characters(value, text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def fault_in_words(error: Exception) -> str:
    """What the JSON parser found, as a user who looks into the file would put it."""
    if isinstance(error, UnicodeDecodeError):
        return "its text is not UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    return "it has a number of too many digits"


def with_whole_characters(value: Any, text: str) -> Any:
    r"""The value of `text`, with a question mark for each half of a character.

    Escapes such as `\ud800` stand for half a character, which no file can hold (RFC 8259, section
    8.2).
    """
    if "\\u" not in text:
        return value
    written = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return json.loads(written)


def json_text(value: Any, indent: str = "") -> str:
    """The value as JSON: each key, and each list of plain values, on a line of its own.

    Raises ValueError for a number that is not finite.
    """
    inner = indent + "  "
    if isinstance(value, Mapping) and value:
        lines = [f"{json.dumps(key)}: {json_text(item, inner)}" for key, item in value.items()]
        return _in_lines("{", lines, "}", indent)
    if isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        return _in_lines("[", [json_text(item, inner) for item in value], "]", indent)
    return json.dumps(value, allow_nan=False)


def _in_lines(start: str, lines: list[str], end: str, indent: str) -> str:
    between = f",\n{indent}  "
    return f"{start}\n{indent}  {between.join(lines)}\n{indent}{end}"


def _finite_float(word: str) -> float:
    value = float(word)
    if abs(value) == float("inf"):
        _refuse(word)
    return value


def _bounded_int(word: str) -> int:
    if len(word) > _MOST_DIGITS:
        _refuse(word)
    return int(word)


def _refuse(word: str) -> None:
    raise ValueError(f"{word[:20]} is no finite number")
