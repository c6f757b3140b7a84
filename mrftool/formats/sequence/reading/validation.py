"""The values of a sequence file against its schema: every fault in words, with its line."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from mrftool.formats.sequence.reading.yaml_text import Fault, Lines
from mrftool.formats.sequence.schema import BLOCKS, EVENT_TAG, INNER_BLOCKS, TOP_BLOCKS

Path = tuple[str | int, ...]

_LONGEST_SHOWN = 40
_AT_MOST_ALL = "expected at most 1"  # of efficiencies
_EVENT_OF = {  # keys of version 1 that are events in version 2
    "inversion": "- invert: {efficiency: 1, time_ms: 20}",
    "train": "- repeat: {times: 2, events: [...]}",
}
_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "float_type": lambda _: "expected a number",
    "float_parsing": lambda _: "expected a number",
    "bool_type": lambda _: "expected true or false",
    "bool_parsing": lambda _: "expected true or false",
    "finite_number": lambda _: "expected a finite number",
    "int_type": lambda _: "expected a whole number",
    "int_from_float": lambda _: "expected a whole number",
    "int_parsing_size": lambda _: "expected a whole number of usual size",
    "string_type": lambda _: "expected text",
    "invalid_key": lambda _: "a number where a key is expected: write decimals with a point",
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
    if words == _AT_MOST_ALL and 10 <= float(value) <= 100:
        words += ": percent?"
    shown = repr(value)[:_LONGEST_SHOWN]
    return f"{words} (got {shown})"


def validate(
    raw: dict[str, Any], lines: Lines, schema: type[BaseModel]
) -> tuple[dict[str, Any], list[Fault]]:
    """Each key on its own, so that one fault does not hide the others."""
    values: dict[str, Any] = {}
    fields = schema.model_fields
    faults = [*_unknown_keys(raw, fields, lines), *_missing(raw, fields)]
    for key, info in fields.items():
        if key in raw:
            try:
                values[key] = _adapter(schema, key).validate_python(raw[key])
            except ValidationError as error:
                faults += [_fault(key, detail, lines) for detail in error.errors()]
        elif not info.is_required():
            values[key] = info.get_default(call_default_factory=True)
    return values, faults


@cache
def _adapter(schema: type[BaseModel], key: str) -> TypeAdapter[Any]:
    """What checks the values of a key: it takes longer to build than to use."""
    return TypeAdapter(_annotation(schema.model_fields[key]))


def _unknown_keys(
    raw: Mapping[str, Any], fields: Mapping[str, FieldInfo], lines: Lines
) -> list[Fault]:
    unknown = [str(key) for key in raw if key not in fields]
    return [fault_at((key,), _unknown(key, list(fields)), lines) for key in unknown]


def _missing(raw: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> list[Fault]:
    missing = [key for key, info in fields.items() if key not in raw and info.is_required()]
    return [Fault(0, key, "missing, expected " + _about(fields[key])) for key in missing]


def _annotation(info: FieldInfo) -> Any:
    if info.metadata:
        return Annotated[(info.annotation, *info.metadata)]
    return info.annotation


def _about(info: FieldInfo) -> str:
    return info.description or "a value"


_TAGS = {"number", "list", "axes", *INNER_BLOCKS}


def _unknown(key: str, known: list[str]) -> str:
    if key in _EVENT_OF and "events" in known:
        return f"unknown key, expected `{_EVENT_OF[key]}` under events"
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if close:
        return f"unknown key, did you mean {close[0]}?"
    return f"unknown key, expected one of: {', '.join(known)}"


def _fault(key: str, detail: Any, lines: Lines) -> Fault:
    parts = (part for part in detail["loc"] if not _is_tag(part))
    text = in_words(detail)
    known = _known_keys((key, *detail["loc"]))
    if detail["type"] == "extra_forbidden" and known:
        text += _unknown(str(detail["loc"][-1]), known).removeprefix("unknown key")
    return fault_at((key, *parts), text, lines)


def _known_keys(place: Sequence[str | int]) -> list[str]:
    """The keys of the innermost block at `place`; none where there is no block."""
    for kind, block in INNER_BLOCKS.items():
        if kind in place:
            return list(block.model_fields)
    tags = [part for part in place if isinstance(part, str) and part.startswith(EVENT_TAG)]
    if not tags:
        return _keys_of_block(place[0])
    return list(BLOCKS[tags[-1].removeprefix(EVENT_TAG)].model_fields)


def _keys_of_block(key: str | int) -> list[str]:
    """The keys of a block at the top of a file."""
    if key not in TOP_BLOCKS:
        return []
    return list(TOP_BLOCKS[str(key)].model_fields)


def _is_tag(part: str | int) -> bool:
    """Whether pydantic put it among the keys to say which alternative it took."""
    return isinstance(part, str) and (part in _TAGS or part.startswith(EVENT_TAG))


def fault_at(path: Path, text: str, lines: Lines) -> Fault:
    """A fault of the value at `path`, with the line of the closest key that the file has."""
    line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 0)
    name = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in path)
    return Fault(line, name.replace(".[", "["), text)
