"""YAML text as untrusted input: the mapping in it, and the line of every key.

Plain scalars are those of the core schema of YAML 1.2,
https://yaml.org/spec/1.2.2/#103-core-schema: `012` is twelve, `1e3` is a number, and `12:30`, dates
and `yes` are text.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml

from mrftool.errors import InputError

Lines = dict[tuple[str | int, ...], int]

DEEPEST = 10  # levels of a YAML file
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
# What libyaml may read otherwise than PyYAML: tags, references, escapes, directives, other letters.
_UNUSUAL = re.compile(r"[^\n -~]|[!&*@`?|\\]|^%|>[-+0-9]*#", re.MULTILINE)
_LONGEST_INTEGER = 300  # digits; more have no value as a double either

_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  a registry of PyYAML's


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same by libyaml, where PyYAML was built with it."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  a registry of PyYAML's


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which also quotes text that YAML 1.2 would read as a number."""

    yaml_implicit_resolvers = {  # noqa: RUF012  a registry of PyYAML's
        first: list(patterns) for first, patterns in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }


for _tag, (_pattern, _first) in _SCALARS.items():
    for _class in (_Loader, _FastLoader, _Dumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
        )


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """A whole number in base 10, or with 0o or 0x in another one."""
    text = str(loader.construct_scalar(node))
    if len(text) > _LONGEST_INTEGER:
        mark = node.start_mark
        raise yaml.constructor.ConstructorError(None, None, "a number of too many digits", mark)
    if text.startswith(("0o", "0x")):
        return int(text, 0)
    return int(text, 10)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_FastLoader.add_constructor("tag:yaml.org,2002:int", _whole_number)


@dataclass(frozen=True)
class Fault:
    """One fault of a file: its line (0 for none), its key, and what is wrong."""

    line: int
    key: str
    text: str

    def __str__(self) -> str:
        if not self.line:
            return f"{self.key}: {self.text}"
        return f"line {self.line}: {self.key}: {self.text}"


def load_mapping(
    text: str, origin: str, *, key: str = "mrftool_sequence"
) -> tuple[dict[str, Any], Lines, list[Fault]]:
    """The YAML mapping in `text`, the line of each key path, and a fault for each repeated key.

    Raises
    ------
    InputError
        Naming `origin`, if it is no mapping, whose first key is `key`, has references, or is nested
        too deeply.
    """
    try:
        root, raw = _loaded(text, origin)
    except InputError:
        raise
    except Exception as error:  # PyYAML raises whatever its parts of Python raise
        raise InputError(f"{origin}:{_problem(error)}, expected YAML") from error
    if not isinstance(raw, dict) or not isinstance(root, yaml.MappingNode):
        raise InputError(f"{origin}: expected a YAML mapping with the key {key}")
    lines: Lines = {}
    repeated: list[Fault] = []
    _note_lines(root, (), lines, repeated)
    return raw, lines, repeated


def _loaded(text: str, origin: str) -> tuple[yaml.Node | None, Any]:
    """The document in `text`, as nodes and as values.

    Where libyaml might read it otherwise, or refuses it, PyYAML's own code has the last word.
    """
    if _UNUSUAL.search(text) is None:
        with suppress(Exception):
            return _loaded_by(_FastLoader, text, origin)
    return _loaded_by(_Loader, text, origin)


def _loaded_by(kind: Any, text: str, origin: str) -> tuple[yaml.Node | None, Any]:
    _refuse_bombs(text, origin, kind)
    loader = kind(text)
    root = loader.get_single_node()
    raw = None
    if root is not None:
        raw = loader.construct_document(root)
    return root, raw


def dump_yaml(data: Any, **options: Any) -> str:
    """Plain data as YAML that `load_mapping` reads back.

    Raises
    ------
    InputError
        If the data cannot be written: nested too deeply, or of a type that YAML does not have.
    """
    try:
        return str(yaml.dump(data, Dumper=_Dumper, **options))
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"not plain data:{_problem(error)}") from error


def _problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    if mark is None:
        return f" {problem}"
    return f" line {mark.line + 1}: {problem}"


def _refuse_bombs(text: str, origin: str, kind: Any) -> None:
    """Refuse what could grow out of proportion: references, and brackets in brackets in
    brackets.
    """
    depth = 0
    for token in yaml.scan(text, kind):
        if isinstance(token, yaml.AliasToken):
            raise InputError(f"{origin}: YAML aliases are not allowed, expected plain values")
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > DEEPEST:
            line = token.start_mark.line + 1
            raise InputError(
                f"{origin}: line {line}: {depth} levels deep, expected at most {DEEPEST}"
            )


def _note_lines(
    node: yaml.Node, path: tuple[str | int, ...], lines: Lines, repeated: list[Fault]
) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            place = (*path, name)
            if place in lines:
                text = f"is in line {lines[place]} already, expected it once"
                repeated.append(Fault(line, name, text))
            lines[place] = line
            _note_lines(value, place, lines, repeated)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            lines[(*path, i)] = value.start_mark.line + 1
            _note_lines(value, (*path, i), lines, repeated)
