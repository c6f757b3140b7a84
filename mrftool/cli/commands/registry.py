"""The subcommands of `mrftool`, and where each is: one is loaded only where it is asked for."""

from collections.abc import Collection
from importlib import import_module
from typing import Any

import typer

_COMMANDS = {  # in the order of --help
    "simulate": "simulate",
    "train": "train",
    "export": "export",
    "adapt": "adapt",
    "reconstruct": "kspace.reconstruct",
    "quantify": "quantify",
    "match": "match",
    "bids": "bids",
    "send": "servers.send",
}
_GROUPS = {
    "sequence": "sequences.sequence",
    "evaluate": "evaluation.evaluate",
    "model": "model",
    "serve": "servers.serve",
}
NAMES = frozenset({**_COMMANDS, **_GROUPS})


def add_commands(app: typer.Typer, names: Collection[str] = NAMES) -> None:
    """Give some of the subcommands to an application, by default all."""
    for name, module in _COMMANDS.items():
        if name in names:
            app.command()(_found(module, name))
    for name, module in _GROUPS.items():
        if name in names:
            app.add_typer(_found(module, "app"), name=name)


def _found(module: str, name: str) -> Any:
    return getattr(import_module(f"mrftool.cli.commands.{module}"), name)
