"""What commands print: results on stdout, progress and notes on stderr."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mrftool.evaluation.text_tables import plain, visible


def show_table(title: str, rows: Mapping[str, str]) -> None:
    """A two-column table on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=plain(title), show_header=False, title_justify="left")
    for key, value in rows.items():
        table.add_row(plain(key), plain(value))
    Console().print(table)


def note(text: str) -> None:
    """One line on stderr: what was assumed, or noticed."""
    print(f"mrftool: {visible(text)}", file=sys.stderr)  # noqa: T201


def wrote(path: Path) -> None:
    """Name a file that was written, on stdout."""
    print(path)  # noqa: T201


def file_stem(name: str) -> str:
    """A name that some file gave, as part of a file name: it can lead to no other folder."""
    return re.sub(r"[^\w.+=-]+", "_", name).strip("._") or "unnamed"


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr that appears where a person watches; yields the function to call with the
    work done.
    """
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
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on stderr, where a person watches, for work of unknown length."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield
