"""Options of the command line for what the library calls by the name of a quantity.

An error says `arguments=("te",)`, and the command that met it has a parameter `te_ms`: the hint is
`see --te-ms`.
"""

from collections.abc import Iterable
from typing import Any

_UNITS = ("_ms", "_deg", "_t", "_hz", "_mm")
_SEVERAL = {
    "inversion": ("no_inversion", "ti", "inversion_efficiency"),
    "inversion_time": ("ti",),
    "slice_positions": ("slice_profile",),
    "t1_range": ("t1_ms",),
    "t2_range": ("t2_ms",),
    "b1_range": ("b1",),
    "snr_range": ("snr", "noise"),
}  # quantities that the command line calls otherwise, or splits


def hint_for(command: Any, arguments: Iterable[str]) -> str:
    """`see --te-ms, --tr-ms`, of the options that `command` has for the quantities; "" for none."""
    options: dict[str, None] = {}  # in order, each once
    for argument in arguments:
        for name in _SEVERAL.get(argument, (argument,)):
            options |= dict.fromkeys(_options_of(command, name))
    if not options:
        return ""
    return "see " + ", ".join(options)


def invoked_command(root: Any, words: Iterable[str]) -> Any:
    """The subcommand that the words of a command line name."""
    command = root
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    return command


def _options_of(command: Any, name: str) -> list[str]:
    """Options of the very name, or else of the name with a unit."""
    found = _named(command, {name}) or _named(command, {name + unit for unit in _UNITS})
    return [max(options, key=len) for options in found if options[0].startswith("-")]


def _named(command: Any, names: set[str]) -> list[list[str]]:
    return [parameter.opts for parameter in command.params if parameter.name in names]
