"""Options that every command has: how much it says, and in which form.

They are declared once, by the parameters of a function that is never called, and given to all
commands.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from mrftool import errors
from mrftool.cli.messages.session import QUIET, VERBOSE, session
from mrftool.errors import MrftoolError, UsageError

_PANEL: dict[str, Any] = {"expose_value": False, "rich_help_panel": "Messages"}


def add_common_options(root: Any) -> None:
    """Give the common options to a command and all below it, and exit codes below their help."""
    common, codes = common_options(), exit_codes()
    for command in all_commands(root):
        command.params += common
        command.epilog = codes


def exit_codes() -> str:
    """What each exit code means, in one line."""
    kinds = [kind for kind in vars(errors).values() if _is_error_class(kind)]
    meanings = {0: "done", 1: "a fault of mrftool"}
    meanings |= {kind.exit_code: kind.in_words for kind in kinds}
    meanings[130] = "interrupted"
    listed = [f"{code} {meaning}" for code, meaning in sorted(meanings.items())]
    return f"Exit codes: {', '.join(listed)}."


def common_options() -> list[Any]:
    """The options that every command has."""
    app = typer.Typer(add_completion=False, context_settings={"help_option_names": []})
    app.command()(_declared)
    return list(typer.main.get_command(app).params)


def _verbose(asked: bool) -> None:
    _choose(asked, VERBOSE)


def _quiet(asked: bool) -> None:
    _choose(asked, QUIET)


def _choose(asked: bool, verbosity: int) -> None:
    if not asked:
        return
    if session().verbosity == -verbosity:
        raise UsageError("--verbose contradicts --quiet, expected one of the two")
    session().verbosity = verbosity


def _as_json(asked: bool) -> None:
    if asked:
        session().as_json = True


def _open_log(path: Path | None) -> None:
    if path is not None:
        session().open_log(path)


def _declared(
    verbose: Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            help="Tell when each task begins and ends.",
            callback=_verbose,
            **_PANEL,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "-q",
            "--quiet",
            help="No notes and no progress; errors and results stay.",
            callback=_quiet,
            **_PANEL,
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Results as JSON on stdout.", callback=_as_json, **_PANEL),
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Append what is told, with times.", callback=_open_log, **_PANEL
        ),
    ] = None,
) -> None:
    """Declare the options."""


def _is_error_class(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, MrftoolError) and kind is not MrftoolError


def all_commands(root: Any) -> Iterable[Any]:
    """A command, and all below it."""
    yield root
    for command in getattr(root, "commands", {}).values():
        yield from all_commands(command)
