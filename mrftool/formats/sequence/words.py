"""What pydantic finds wrong with a value of a sequence file, in the words of its user."""

from collections.abc import Callable, Mapping
from typing import Any

_LONGEST_SHOWN = 40
_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "float_type": lambda _: "expected a number",
    "float_parsing": lambda _: "expected a number",
    "finite_number": lambda _: "expected a finite number",
    "int_type": lambda _: "expected a whole number",
    "int_from_float": lambda _: "expected a whole number",
    "int_parsing_size": lambda _: "expected a whole number of usual size",
    "string_type": lambda _: "expected text",
    "list_type": lambda _: "expected a list",
    "dict_type": lambda _: "expected a mapping",
    "model_type": lambda _: "expected a mapping",
    "missing": lambda _: "missing, expected a value",
    "extra_forbidden": lambda _: "unknown key",
    "literal_error": lambda context: f"expected {context['expected']}",
    "greater_than": lambda context: f"expected more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"expected {context['ge']:g} or more",
    "less_than": lambda context: f"expected less than {context['lt']:g}",
    "less_than_equal": lambda context: f"expected at most {context['le']:g}",
    "too_short": lambda context: f"expected at least {context['min_length']} items",
    "too_long": lambda context: f"expected at most {context['max_length']} items",
    "string_too_short": lambda _: "expected some text",
    "string_too_long": lambda context: f"expected at most {context['max_length']} letters",
}


def in_words(detail: Mapping[str, Any]) -> str:
    """One of `ValidationError.errors()` as a sentence with the value that was found."""
    words = str(detail["msg"])
    if detail["type"] in _WORDS:
        words = _WORDS[detail["type"]](detail.get("ctx", {}))
    value = detail["input"]
    if not isinstance(value, str | int | float | bool):
        return words
    if isinstance(value, str) and words == "expected a number" and "," in value:
        words = "expected a number with a point as its decimal sign"
    shown = repr(value)[:_LONGEST_SHOWN]
    return f"{words} (got {shown})"
