"""What commands print: results on stdout, progress and notes on stderr."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mrftool.evaluation.text_tables import TextTable, plain, visible


def show_table(title: str, rows: Mapping[str, str]) -> None:
    """A two-column table on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=plain(title), show_header=False, title_justify="left")
    for key, value in rows.items():
        table.add_row(plain(key), plain(value))
    Console().print(table)


def show_text_table(table: TextTable) -> None:
    """A table with headings on stdout."""
    from rich.console import Console

    Console().print(table.for_terminal())


def wrote(paths: Iterable[Path]) -> None:
    """Name the files that were written, on stdout."""
    for path in paths:
        print(path)  # noqa: T201


def note(text: str) -> None:
    """One line on stderr: what was assumed, or noticed."""
    print(f"mrftool: {visible(text)}", file=sys.stderr)  # noqa: T201


class Terminal:
    """The `Reporter` of the command line: everything goes to stderr."""

    def note(self, text: str) -> None:
        """Print one line."""
        note(text)

    @contextmanager
    def progress(self, task: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a bar where a person watches; yield the function to call with the work done."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        hidden = not console.is_terminal
        with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
            shown = progress.add_task(task, total=total)
            yield lambda done: progress.advance(shown, done)

    @contextmanager
    def working(self, task: str) -> Iterator[None]:
        """Show a spinner where a person watches."""
        from rich.console import Console

        console = Console(stderr=True)
        if not console.is_terminal:
            yield
            return
        with console.status(task):
            yield
