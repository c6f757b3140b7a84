"""The command line as users meet it: in this process for speed, in its own where signals, streams
or imports matter.
"""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

import mrftool
from mrftool.cli.app import run

ROOT = Path(str(mrftool.__file__ or mrftool.__path__[0])).parents[1]
PYTHON = (sys.executable, "-m", "mrftool")


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


def command(*arguments: object) -> Outcome:
    """Run `mrftool ...` in this process; a fault of its own is raised."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


def process(*arguments: object, **options: Any) -> Outcome:
    """Run `mrftool ...` in a process of its own."""
    line = [*PYTHON, *map(str, arguments)]
    done = subprocess.run(
        line, check=False, capture_output=True, text=True, timeout=120, env=environment(), **options
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **changes}


def works(*arguments: object) -> Outcome:
    """Run a command that must work."""
    outcome = command(*arguments)
    assert outcome.code == 0, outcome
    return outcome


def refuses(code: int, *arguments: object, says: tuple[str, ...] = ()) -> Outcome:
    """Run a command that must stop with this code and message."""
    outcome = command(*arguments)
    assert_refused(outcome, code, says)
    return outcome


def assert_refused(outcome: Outcome, code: int, says: tuple[str, ...] = ()) -> None:
    """Exit code; one line (and perhaps notes and hints) that says what it should; no traceback, no
    result.
    """
    assert outcome.code == code, outcome
    assert outcome.out == "", outcome
    lines = outcome.err.splitlines()
    hints = [line for line in lines if line.startswith("hint: ")]
    assert lines and all(line.startswith(("mrftool: ", "hint: ")) for line in lines), outcome
    first_hint = len(lines) - len(hints)
    assert lines[first_hint:] == hints, outcome
    message = "\n".join(lines[first_hint - 1 :])
    for words in says:
        assert words in message, (words, message)


def files(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder, hidden files too, byte for byte; None for folders and what is no
    regular file.
    """
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in sorted(folder.rglob("*"))
    }


@contextlib.contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Nothing in the folder may change: no file more, none less, no byte."""
    before = files(folder)
    yield
    after = files(folder)
    assert sorted(after) == sorted(before)
    assert [name for name in after if after[name] != before[name]] == []


def save(path: Path, image: Any, affine: Any = None) -> Path:
    """Write a NIfTI file with nibabel."""
    header = nibabel.Nifti1Image(np.asarray(image), np.eye(4) if affine is None else affine)
    header.header.set_xyzt_units("mm")
    nibabel.save(header, path)
    return path


def load(path: Path) -> np.ndarray:
    """The numbers of a NIfTI file, by nibabel."""
    return np.asanyarray(nibabel.load(path).dataobj)
