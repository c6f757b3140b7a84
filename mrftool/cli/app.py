"""The command `mrftool`: its subcommands, and the only place that turns errors into messages and exit codes."""

import errno
import sys
from typing import NoReturn

import typer

from mrftool.cli import sequence as sequence_commands
from mrftool.cli import evaluate as evaluate_commands
from mrftool.cli import model as model_commands
from mrftool.cli.export import export
from mrftool.cli.quantify import quantify
from mrftool.cli.simulate import simulate
from mrftool.cli.train import train
from mrftool.errors import InputError, MissingExtraError, MrftoolError

app = typer.Typer(
    name="mrftool",
    help="Magnetic Resonance Fingerprinting: from a pulse sequence and a scan to T1 and T2 maps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(simulate)
app.command()(train)
app.command()(export)
app.command()(quantify)
app.add_typer(sequence_commands.app, name="sequence")
app.add_typer(evaluate_commands.app, name="evaluate")
app.add_typer(model_commands.app, name="model")

_EXTRA_OF = {"torch": "train", "onnxscript": "train", "safetensors": "train", "h5py": "brainweb"}


def main() -> NoReturn:
    """Run one command; exit with 0, or with the code of the error that stopped it."""
    try:
        app()
    except MrftoolError as error:
        _stop(error)
    except KeyboardInterrupt:
        print("mrftool: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA_OF:
            raise
        extra = _EXTRA_OF[error.name]
        _stop(MissingExtraError(f"{error.name} is not installed", hint=f"pip install 'mrftool[{extra}]'"))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOENT):
            raise
        _stop(InputError(f"{error.filename or 'output'}: {error.strerror}"))
    sys.exit(0)


def _stop(error: MrftoolError) -> NoReturn:
    print(f"mrftool: {error}", file=sys.stderr)  # noqa: T201
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)  # noqa: T201
    sys.exit(error.exit_code)


def _version(shown: bool) -> None:
    if shown:
        from importlib.metadata import version

        typer.echo(f"mrftool {version('mrftool')}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", is_eager=True, callback=_version),
) -> None:
    """Options that stand before the subcommand."""
