"""The `Reporter` of the command line: a bar where a person watches, and else a line now and then.

Everything goes to stderr, and to the log where one is kept.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mrftool.cli.messages.session import QUIET, Session, session
from mrftool.evaluation.text_tables import duration

FIRST_LINE, NEXT_LINES = 10.0, 30.0  # time of the lines on long work [s]


class Terminal:
    """Tells notes and progress as the session asks."""

    def note(self, text: str) -> None:
        """Print one line."""
        session().note(text)

    @contextmanager
    def progress(self, task: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a bar, or lines; yield the function to call with the work done."""
        lines = Lines(task, total)
        with lines, _bar(task, total) as advance:

            def count(done: int) -> None:
                lines.done += done
                advance(done)

            yield count

    @contextmanager
    def working(self, task: str) -> Iterator[None]:
        """Show a spinner, or lines."""
        with Lines(task), _spinner(task):
            yield


class Lines:
    """Lines on how long work goes on, while it is open. done: the work done, out of `total`."""

    def __init__(self, task: str, total: int | None = None) -> None:
        self.done = 0
        self._task, self._total = task, total
        self._session = session()
        self._began = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> "Lines":
        self._session.detail(self._task)
        if not is_watched() or self._session.has_log:
            self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        if kind is None:
            self._session.detail(f"{self._task}: done after {self._seconds():.1f} s")

    def _tell(self) -> None:
        wait = FIRST_LINE
        while not self._is_over.wait(wait):
            tell_progress(self._session, self._line())
            wait = NEXT_LINES

    def _line(self) -> str:
        if not self._total:
            return f"{self._task}: {duration(self._seconds())} so far"
        return f"{self._task}: {share_done(self.done, self._total, self._seconds())}"

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def share_done(done: int, total: int, seconds: float) -> str:
    """How far work has come that took `seconds` until now [s], and about how long it will take."""
    text = f"{done:,} of {total:,}"
    if done == 0:
        return text
    return f"{text}, about {duration(seconds * (total - done) / done)} left"


def tell_progress(to: Session, text: str) -> None:
    """A line on long work, on stderr where no bar is shown."""
    to.progress(text, is_shown=not is_watched())


def is_watched() -> bool:
    """Whether a person sees stderr as it comes, in a terminal that can redraw a line.

    A cell of a notebook gives a command a terminal, but shows every drawing of a bar as a line of
    its own; Jupyter names itself to what its kernels start.
    """
    if sys.stderr is None or os.environ.get("TERM") == "dumb":
        return False
    return sys.stderr.isatty() and "JPY_PARENT_PID" not in os.environ


@contextmanager
def _bar(task: str, total: int) -> Iterator[Callable[[int], None]]:
    if not _shows_pictures():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        shown = progress.add_task(task, total=total)
        yield lambda done: progress.advance(shown, done)


@contextmanager
def _spinner(task: str) -> Iterator[None]:
    if not _shows_pictures():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(task):
        yield


def _shows_pictures() -> bool:
    return is_watched() and session().verbosity > QUIET
