"""Tables of words and numbers, for the terminal and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def visible(text: str) -> str:
    """`text` with control characters spelled out: what a file says must not steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def plain(text: str) -> "Text":
    """`text` for the terminal as it is, with no markup in it."""
    from rich.text import Text

    return Text(visible(text))


@dataclass(frozen=True)
class TextTable:
    """rows: one text per heading. n_words: columns from the left that hold words; the others hold
    numbers.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_words: int = 1

    def for_terminal(self) -> "Table":
        """As rich draws it."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(
            title=plain(self.title),
            title_justify="left",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        for k, heading in enumerate(self.headings):
            width = max(
                (len(row[k]) for row in self.rows), default=0
            )  # headings may wrap, numbers may not
            table.add_column(
                plain(heading), justify="left" if k < self.n_words else "right", min_width=width
            )
        for row in self.rows:
            table.add_row(*map(plain, row))
        return table

    def markdown(self) -> str:
        """With its title above."""
        rules = [":--" if k < self.n_words else "--:" for k in range(len(self.headings))]
        lines = "".join(f"| {' | '.join(line)} |\n" for line in (self.headings, rules, *self.rows))
        return f"{self.title}\n\n{lines}"
