"""How one call of the command line speaks: `-v`, `-q`, `--json` and `--log`.

Results go to stdout, all else to stderr. `run` in `mrftool.cli.app` opens a session for each call;
the options of every command set it.
"""

import json
import shlex
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

from mrftool.environment.anonymous import without_paths
from mrftool.evaluation.text_tables import visible

QUIET, NORMAL, VERBOSE = -1, 0, 1
_ANONYMOUS = "--anonymous"
_OUTPUTS = ("-o", "--output", "--log")


@dataclass
class Session:
    """What the user asked of this call, and what came out so far.

    Parameters
    ----------
    verbosity : int
        QUIET: errors alone; VERBOSE: the beginning and end of every task too.
    as_json : bool
        Whether the results are printed as one JSON document at the end.
    words : tuple of str
        The command line.
    results : list of dict
        Tables that came out, as JSON has them.
    files : list of str
        Files that were written.
    document
        Printed in place of the results, where a command prints a document.

    """

    verbosity: int = NORMAL
    as_json: bool = False
    words: tuple[str, ...] = ()
    results: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    document: Any = None
    _log: TextIO | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open_log(self, path: Path) -> None:
        """Append to `path` what this call says from now on."""
        if self._log is None:
            self._log = path.open("a", encoding="utf-8")
            self.log(self.command_line())

    def command_line(self) -> str:
        """The words of this call, as a shell takes them."""
        if self.is_anonymous:
            return f"mrftool {self.words[0]} {_ANONYMOUS} ..."
        return shlex.join(["mrftool", *self.words])

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing that is said may name the patient's files."""
        return _ANONYMOUS in self.words

    def shown(self, text: str) -> str:
        """What may be said of a text: without the names of inputs in an anonymous run."""
        if not self.is_anonymous:
            return text
        return without_paths(text, self._inputs())

    def _inputs(self) -> list[Path]:
        """Files and folders that the words name, but for the outputs."""
        named: list[Path] = []
        for before, word in pairwise(["", *self.words]):
            option, _, value = word.rpartition("=")
            if before not in _OUTPUTS and option not in _OUTPUTS and _exists(value):
                named.append(Path(value))
        return named

    @property
    def has_log(self) -> bool:
        """Whether a log is kept."""
        return self._log is not None

    def note(self, text: str) -> None:
        """One sentence for the user: what was assumed, or noticed."""
        self.notes.append(text)
        self.log(text)
        if self.verbosity > QUIET:
            self._say(text)

    def detail(self, text: str) -> None:
        """What only a log, or a user who asked for more, is told."""
        self.log(text)
        if self.verbosity >= VERBOSE:
            self._say(text)

    def progress(self, text: str, *, is_shown: bool) -> None:
        """How far long work has come: in the log, and on stderr where no bar is shown."""
        self.log(text)
        if is_shown and self.verbosity > QUIET:
            self._say(text)

    def fail(self, text: str) -> None:
        """What went wrong; it is told however quiet the session."""
        self.error = text
        self.log(text)
        self._say(text)

    def log(self, text: str) -> None:
        """A line in the log with the time."""
        if self._log is None:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock:
            self._log.write(f"{now} {visible(self.shown(text))}\n")
            self._log.flush()

    def print_document(self, code: int) -> None:
        """Print the results as JSON, if that was asked for."""
        if self.as_json:
            print(json.dumps(self._document(code), indent=2))  # noqa: T201

    def close_log(self) -> None:
        """Close the log, if one is kept."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _document(self, code: int) -> Any:
        if self.document is not None and code == 0:
            return self.document
        facts: dict[str, Any] = {"command": self.command_line(), "exit_code": code}
        if self.error:
            facts["error"] = self.shown(self.error)
        notes = [self.shown(text) for text in self.notes]
        return facts | {"results": self.results, "files": self.files, "notes": notes}

    def _say(self, text: str) -> None:
        if sys.stderr is None:  # the shell can close it
            return
        with self._lock:
            print(f"mrftool: {visible(self.shown(text))}", file=sys.stderr)  # noqa: T201


def _exists(word: str) -> bool:
    try:
        return Path(word).exists() and word != ""
    except (OSError, ValueError):  # such as a name that is too long
        return False


_CURRENT: ContextVar[Session] = ContextVar("session")


def session() -> Session:
    """The session of this call; outside one, a session with the defaults."""
    found = _CURRENT.get(None)
    if found is None:
        return Session()
    return found


@contextmanager
def new_session(words: Sequence[str]) -> Iterator[Session]:
    """Open a session for one call of the command line."""
    opened = Session(words=tuple(words))
    token = _CURRENT.set(opened)
    try:
        yield opened
    except BaseException as error:
        opened.log(f"ended by {error!r}")
        raise
    finally:
        opened.close_log()
        _CURRENT.reset(token)
