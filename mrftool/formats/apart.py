"""Foreign parsers in a process of their own, with limits on time and memory.

A damaged file can make a library written in C run for ever, take all memory, or crash. Then its
child process ends, and the user reads one line.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from mrftool.environment.child_process import python_command, python_environment
from mrftool.errors import InputError
from mrftool.formats.regular_file import require_regular

MEMORY = 3 << 30  # address space of a child at most [bytes]
_LEAST_MEMORY = 3 << 29  # with libraries, which take half of it [bytes]
_MEMORY_PER_BYTE = 30  # of the file: what a few copies of inflated numbers take
SECONDS = 60.0
_MEMORY_KEY = "MRFTOOL_READER_MEMORY"
_LONGEST_REASON = 120


def read_apart(module: str, path: Path, expected: str, *arguments: str, **limits: float) -> bytes:
    """What `python -m module PATH ARGUMENTS` prints. `expected` says what the file should be.

    The module calls `answer` as its main program. Limits: see `write_apart`.

    Raises
    ------
    InputError
        If the module cannot read the file, or takes too long or too much memory.
    """
    with tempfile.TemporaryFile() as output:
        write_apart(module, path, expected, output, *arguments, **limits)
        output.seek(0)
        return output.read()


def write_apart(
    module: str,
    path: Path,
    expected: str,
    output: IO[bytes],
    *arguments: str,
    seconds: float = SECONDS,
    memory: float = MEMORY,
) -> None:
    """Write what the module prints to an open file.

    Parameters
    ----------
    module : str
        Its name, to be run as a program.
    path : Path
        The file that it reads.
    expected : str
        What that file should be.
    output : file
        Open for writing.
    *arguments : str
        Further arguments of the program.
    seconds : float
        How long the program may run [s].
    memory : float
        Its address space at most; less for a small file [bytes].

    Raises
    ------
    InputError
        If the module cannot read the file, or takes too long or too much memory.
    """
    command = python_command(module, str(path.absolute()), *arguments)
    size = require_regular(path, expected)
    memory = min(memory, _LEAST_MEMORY + _MEMORY_PER_BYTE * size)
    environment = python_environment({_MEMORY_KEY: str(int(memory)), "OPENBLAS_NUM_THREADS": "1"})
    try:
        done = subprocess.run(  # noqa: S603  our own module
            command,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{path}: its reader did not end within {seconds:g} s, expected {expected}"
        ) from error
    if done.returncode == 0:
        return
    reason = done.stderr.decode(errors="replace").strip()
    if done.returncode != InputError.exit_code:
        reason = "its reader failed"
    raise InputError(f"{path}: {reason}, expected {expected}")


def answer(read: Callable[[Path], bytes]) -> None:
    """The main program of a child: print what `read` returns, or why it cannot."""
    answer_in_pieces(lambda path: iter([read(path)]))


def answer_in_pieces(read: Callable[[Path], Iterator[bytes | memoryview]]) -> None:
    """As `answer`, for contents that are made piece by piece."""
    _limit_memory()
    try:
        for piece in read(Path(sys.argv[1])):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except MemoryError:
        print("expands to more than its size allows", file=sys.stderr)  # noqa: T201
        sys.exit(InputError.exit_code)
    except Exception as error:  # a foreign library can raise anything
        print(one_line(error), file=sys.stderr)  # noqa: T201
        sys.exit(InputError.exit_code)


def one_line(error: BaseException) -> str:
    """What a foreign library said, in one short line."""
    words = " ".join(str(error).split())[:_LONGEST_REASON]
    return words or type(error).__name__


def _limit_memory() -> None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limits
        return
    memory = int(os.environ.get(_MEMORY_KEY, MEMORY))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
