"""Foreign parsers in a process of their own, with limits on time and memory.

A damaged file can make a library written in C run for ever, take all memory, or crash. Then its
child process ends, and the user reads one line.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mrftool.child_process import python_command, python_environment
from mrftool.errors import InputError

MEMORY = 3 << 30  # address space of a child [bytes]
SECONDS = 60.0
_LONGEST_REASON = 120


def read_apart(module: str, path: Path, expected: str, seconds: float = SECONDS) -> bytes:
    """What `python -m module PATH` prints. `expected` says what the file should be.

    The module calls `answer` as its main program.

    Raises
    ------
    InputError
        If the module cannot read the file, or takes too long or too much memory.
    """
    command = python_command(module, str(path.absolute()))
    try:
        done = subprocess.run(  # noqa: S603  our own module
            command, capture_output=True, timeout=seconds, env=python_environment(), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{path}: its reader did not end within {seconds:g} s, expected {expected}"
        ) from error
    if done.returncode == 0:
        return done.stdout
    reason = done.stderr.decode(errors="replace").strip()
    if done.returncode != InputError.exit_code:
        reason = "its reader failed"
    raise InputError(f"{path}: {reason}, expected {expected}")


def answer(read: Callable[[Path], bytes]) -> None:
    """The main program of a child: print what `read` returns, or why it cannot."""
    _limit_memory()
    try:
        content = read(Path(sys.argv[1]))
    except Exception as error:  # a foreign library can raise anything
        print(one_line(error), file=sys.stderr)  # noqa: T201
        sys.exit(InputError.exit_code)
    sys.stdout.buffer.write(content)


def one_line(error: BaseException) -> str:
    """What a foreign library said, in one short line."""
    words = " ".join(str(error).split())[:_LONGEST_REASON]
    return words or type(error).__name__


def _limit_memory() -> None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
