"""Tables of words and numbers, for the terminal and as Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def visible(text: str) -> str:
    """`text` with control characters spelled out: text from a file must not steer the terminal."""
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return repr(character)[1:-1]


def plain(text: str) -> "Text":
    """`text` for the terminal as it is, with no markup in it."""
    from rich.text import Text

    return Text(visible(text))


def duration(seconds: float) -> str:
    """A time span in words [s]: 12 s, 3 min, 1 h 20 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def markdown_rows(rows: Iterable[Sequence[str]]) -> str:
    """Rows of a Markdown table, the headings and the rule below them included."""
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


@dataclass(frozen=True)
class TextTable:
    """A table with one text per heading in each row.

    n_words: how many columns from the left hold words; the others hold numbers.
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
            # Headings may wrap, numbers may not.
            width = max((len(row[k]) for row in self.rows), default=0)
            table.add_column(plain(heading), justify=self._alignment(k), min_width=width)
        for row in self.rows:
            table.add_row(*map(plain, row))
        return table

    def markdown(self) -> str:
        """With its title above."""
        rules = {"left": ":--", "right": "--:"}
        rule = [rules[self._alignment(k)] for k in range(len(self.headings))]
        return f"{self.title}\n\n{markdown_rows([self.headings, rule, *self.rows])}"

    def _alignment(self, column: int) -> Literal["left", "right"]:
        if column < self.n_words:
            return "left"
        return "right"
