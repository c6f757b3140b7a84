"""What commands print: results on stdout, notes on stderr."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mrftool.cli.messages.session import session
from mrftool.cli.messages.terminal import Terminal
from mrftool.evaluation.text_tables import TextTable, plain

__all__ = [
    "Terminal",
    "note",
    "show_document",
    "show_drawn",
    "show_line",
    "show_table",
    "show_text_table",
    "wrote",
]


def show_table(title: str, rows: Mapping[str, object], **more: Any) -> None:
    """A two-column table on stdout; `more` is for JSON alone."""
    if session().as_json:
        session().results.append({"title": title, "values": dict(rows), **more})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=plain(title), show_header=False, title_justify="left")
    for key, value in rows.items():
        table.add_row(plain(key), plain(str(value)))
    Console().print(table)


def show_text_table(table: TextTable, numbers: Any = None) -> None:
    """A table with headings on stdout; `numbers`, where given, are its content in JSON."""
    if session().as_json:
        if numbers is None:
            numbers = [dict(zip(table.headings, row, strict=True)) for row in table.rows]
        session().results.append({"title": table.title, "rows": numbers})
        return
    from rich.console import Console

    Console().print(table.for_terminal())


def show_drawn(table: Any, title: str, rows: Any) -> None:
    """A table that rich draws, on stdout; `rows` are its content in JSON."""
    if session().as_json:
        session().results.append({"title": title, "rows": rows})
        return
    from rich.console import Console

    Console().print(table)


def show_line(text: str, **facts: Any) -> None:
    """One line on stdout; `facts` are its content in JSON."""
    if session().as_json:
        session().results.append(facts)
    else:
        print(text)  # noqa: T201


def show_document(content: Any) -> None:
    """With --json, print `content` and nothing else on stdout."""
    session().document = content


def wrote(paths: Iterable[Path]) -> None:
    """Name the files that were written, on stdout."""
    for path in paths:
        session().files.append(str(path))
        session().log(f"wrote {path}")
        if not session().as_json:
            print(path)  # noqa: T201


def note(text: str) -> None:
    """One line on stderr: what was assumed, or noticed."""
    session().note(text)
