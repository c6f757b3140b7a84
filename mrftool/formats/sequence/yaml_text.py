"""YAML text as untrusted input: the mapping in it, and the line of every key, so that faults can be
found again.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from mrftool.errors import InputError

Lines = dict[tuple[str | int, ...], int]

_DEEPEST = 10  # levels of a YAML file
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a file: at which line (0: none) and key, and what."""

    line: int
    key: str
    text: str

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.key}: {self.text}"
            if self.line
            else f"{self.key}: {self.text}"
        )


def load_mapping(text: str, origin: str) -> tuple[dict[str, Any], Lines, list[Fault]]:
    """The YAML mapping in `text`, the line of each key path, and keys that are there twice.

    Raises InputError, naming `origin`, if it is no mapping, or could blow up.
    """
    try:
        _refuse_bombs(text, origin)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{origin}:{where} {problem}, expected YAML") from error
    if not isinstance(raw, dict) or not isinstance(root, yaml.MappingNode):
        raise InputError(f"{origin}: expected a YAML mapping with the key mrftool_sequence")
    lines: Lines = {}
    twice: list[Fault] = []
    _note_lines(root, (), lines, twice)
    return raw, lines, twice


def _refuse_bombs(text: str, origin: str) -> None:
    """What could blow up: references, and brackets in brackets in brackets."""
    depth = 0
    for token in yaml.scan(text):
        if isinstance(token, yaml.AliasToken):
            raise InputError(f"{origin}: YAML aliases are not allowed, expected plain values")
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > _DEEPEST:
            line = token.start_mark.line + 1
            raise InputError(
                f"{origin}: line {line}: {depth} levels deep, expected at most {_DEEPEST}"
            )


def _note_lines(
    node: yaml.Node, path: tuple[str | int, ...], lines: Lines, twice: list[Fault]
) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place, line = (*path, key.value), key.start_mark.line + 1
            if place in lines:
                twice.append(
                    Fault(
                        line, str(key.value), f"is in line {lines[place]} already, expected it once"
                    )
                )
            lines[place] = line
            _note_lines(value, place, lines, twice)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            lines[(*path, i)] = value.start_mark.line + 1
