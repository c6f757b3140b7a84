"""Reporter: how work tells of its progress, handed in as a value.

The same work runs in a terminal, a notebook, a server or on a cluster: each hands in its own
reporter. The command line's is `mrftool.cli.console.Terminal`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from mrftool.arrays import Progress


class Reporter(Protocol):
    """What long work calls while it runs."""

    def note(self, text: str) -> None:
        """Tell one sentence: what was assumed, or noticed."""

    def progress(self, task: str, total: int) -> AbstractContextManager[Progress]:
        """Show how far `task` has come; gives the function to call with the work done."""

    def working(self, task: str) -> AbstractContextManager[None]:
        """Show that `task`, of unknown length, is under way."""


class SilentReporter:
    """Keeps the notes, shows nothing."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep `text` in `notes`."""
        self.notes.append(text)

    @contextmanager
    def progress(self, task: str, total: int) -> Iterator[Progress]:
        """Count nothing."""
        yield lambda done: None

    @contextmanager
    def working(self, task: str) -> Iterator[None]:
        """Show nothing."""
        yield
