"""The command `mrftool`: its subcommands, and the only place that turns errors into messages and
exit codes.
"""

import os
import signal
import sys
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, NoReturn

import typer

from mrftool.cli.bus_error import tell_bus_errors
from mrftool.cli.commands.registry import NAMES, add_commands
from mrftool.cli.hints import hint_for, invoked_command
from mrftool.cli.messages.common_options import add_common_options, all_commands
from mrftool.cli.messages.panels import group_options
from mrftool.cli.messages.session import new_session, session
from mrftool.cli.plain_values import take_plain_values
from mrftool.environment.extras import EXTRA_OF, missing_extra
from mrftool.errors import InputError, MrftoolError, UsageError
from mrftool.evaluation.text_tables import visible

_WrongUsage: Any = typer.BadParameter.__mro__[1]  # Typer's own; it has no public name


def main() -> NoReturn:
    """Run the command of this process; exit with 0 or the code of its error."""
    if "_MRFTOOL_COMPLETE" in os.environ:  # the shell asks what may come next
        application()(prog_name="mrftool")
    signal.signal(signal.SIGTERM, _terminate)
    tell_bus_errors()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # the shell can close them
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = run(sys.argv[1:])
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. A fault of our own, which no code stands for, is raised."""
    with new_session(arguments) as opened:
        code = _exit_code(arguments)
        if code != 0:
            opened.print_document(code)
        opened.log(f"exit code {code}")
    return code


def _exit_code(arguments: Sequence[str]) -> int:
    try:
        _invoke(arguments)
    except typer.Exit as end:
        return end.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:  # who reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if _is_interrupt(error):
            return _interrupted()
        explained = _explained(error)
        if explained is None:
            raise
        command = invoked_command(_command(_named(arguments)), arguments)
        return _tell(explained, hint_for(command, explained.arguments))
    return 0


def _invoke(arguments: Sequence[str]) -> None:
    """Without Typer's own main, which has its own idea of messages and exit codes."""
    with _command(_named(arguments)).make_context("mrftool", list(arguments)) as context:
        context.command.invoke(context)
    session().print_document(0)
    print(end="", flush=True)  # noqa: T201  a full disk shows now


def application(names: Collection[str] = NAMES) -> typer.Typer:
    """The command line with some of its subcommands, by default all."""
    app = typer.Typer(
        name="mrftool",
        help="Magnetic Resonance Fingerprinting: from a pulse sequence and a scan to T1 and T2 "
        "maps.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        callback=_root,
    )
    add_commands(app, names)
    return app


def _named(arguments: Sequence[str]) -> frozenset[str]:
    """The subcommand that is asked for, where the first word is one; else all."""
    return NAMES.intersection(arguments[:1]) or NAMES


@cache
def _command(names: frozenset[str] = NAMES) -> Any:
    root = typer.main.get_command(application(names))
    add_common_options(root)
    group_options(root)
    take_plain_values(all_commands(root))
    _mend(root)
    return root


def _mend(command: Any) -> None:
    """Units in brackets are no markup."""
    for parameter in command.params:
        parameter.help = getattr(parameter, "help", None) and parameter.help.replace("[", r"\[")
    for inner in getattr(command, "commands", {}).values():
        _mend(inner)


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: some libraries raise one of their own from it."""
    return isinstance(error, KeyboardInterrupt) or (
        error is not None and _is_interrupt(error.__cause__ or error.__context__)
    )


def _interrupted() -> int:
    session().fail("interrupted")
    return 130


def _explained(error: Exception) -> MrftoolError | None:
    """What to tell the user, or None for a fault of our own."""
    if isinstance(error, MrftoolError):
        return error
    if isinstance(error, _WrongUsage):
        return _as_usage_error(error)
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRA_OF:
        return missing_extra(error.name)
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(f"{error.filename or 'output'}: {error.strerror}")
    if isinstance(error, MemoryError):
        return InputError(
            f"not enough memory: {error or 'none left'}", hint="ask for less at a time"
        )
    return None


def _as_usage_error(error: Any) -> MrftoolError:
    path = error.ctx.command_path if error.ctx else "mrftool"
    text = error.format_message().strip().rstrip(".").replace("\n\t", " ").replace("\n", " ")
    text = text.replace("Value error, ", "")  # Typer's own library puts it before its words
    if text.endswith("is not readable"):  # Typer looks before we do
        return InputError(text)
    return UsageError(text, hint=f"{path} --help")


def _tell(error: MrftoolError, options: str) -> int:
    """Print what happened, the error's own hint, and the options that can mend it."""
    hints = [hint for hint in (error.hint, options) if hint]
    if str(error):
        session().fail(str(error))
    if str(error) and hints:
        print(f"hint: {visible('; '.join(hints))}", file=sys.stderr)  # noqa: T201
    return error.exit_code


def _terminate(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def _version(shown: bool) -> None:
    if shown:
        from importlib.metadata import version

        typer.echo(f"mrftool {version('mrftool')}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", is_eager=True, callback=_version),
) -> None:
    """Options that stand before the subcommand."""
