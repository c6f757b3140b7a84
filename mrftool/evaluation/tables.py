"""Scores as a table for the terminal, as Markdown and as JSON, all from the same records."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from mrftool.evaluation.metrics import Score

if TYPE_CHECKING:
    from rich.table import Table

# field of Score, heading, format
_COLUMNS = [
    ("parameter", "", "{}"),
    ("region", "tissue", "{}"),
    ("n", "voxels", "{}"),
    ("truth_mean", "truth [ms]", "{:.0f}"),
    ("bias", "bias [ms]", "{:+.1f}"),
    ("sd", "SD [ms]", "{:.1f}"),
    ("rmse", "RMSE [ms]", "{:.1f}"),
    ("bias_percent", "bias [%]", "{:+.2f}"),
    ("error_percent", "error [%]", "{:.2f}"),
    ("log10_mse", "log10 MSE", "{:.2g}"),
    ("log10_mse_tissue", "from 1 ms", "{:.2g}"),
    ("agreement_low", "agree from [ms]", "{:+.0f}"),
    ("agreement_high", "to [ms]", "{:+.0f}"),
    ("coverage_1sd", "in 1 sd", "{:.3f}"),
    ("coverage_2sd", "in 2 sd", "{:.3f}"),
    ("z_mean", "z mean", "{:+.2f}"),
    ("z_sd", "z sd", "{:.2f}"),
    ("n_invalid", "invalid", "{}"),
]
_TEXT = ("parameter", "region")
_WORDS = {"t1": "T1", "t2": "T2", "csf": "CSF", "muscle_skin": "muscle, skin"}


def score_table(scores: Sequence[Score], title: str = "") -> "Table":
    """For the terminal. Columns that say nothing in any row are left out."""
    from rich.table import Table

    headings, rows = _cells(scores)
    table = Table(title=title or None, title_justify="left")
    for key, heading in headings:
        table.add_column(heading, justify="left" if key in _TEXT else "right", no_wrap=True)
    for before, score, row in zip([None, *scores], scores, rows, strict=False):
        if before is not None and before.parameter != score.parameter:
            table.add_section()
        table.add_row(*row)
    return table


def score_markdown(scores: Sequence[Score]) -> str:
    """As a Markdown table."""
    headings, rows = _cells(scores)
    rules = [":--" if key in _TEXT else "--:" for key, _ in headings]
    lines = [[heading for _, heading in headings], rules, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def score_json(scores: Sequence[Score]) -> str:
    """As JSON: a list of records with all fields of `Score`; times in ms."""
    return json.dumps([asdict(score) for score in scores], indent=1, allow_nan=False) + "\n"


def _cells(scores: Sequence[Score]) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Headings (field, text) and the formatted rows."""
    used = [column for column in _COLUMNS if _says_something(scores, column[0])]
    rows = []
    for score in scores:
        values = [(getattr(score, key), form) for key, _, form in used]
        shown = [(in_words(value) if isinstance(value, str) else value, form) for value, form in values]
        rows.append(["" if value is None else form.format(value) for value, form in shown])
    return [(key, heading) for key, heading, _ in used], rows


def _says_something(scores: Sequence[Score], key: str) -> bool:
    if key == "n_invalid":
        return any(score.n_invalid for score in scores)
    if key == "log10_mse_tissue":
        return any(score.n_tissue != score.n for score in scores)
    return any(getattr(score, key) is not None for score in scores)


def in_words(name: str) -> str:
    """T1 for t1, grey matter for grey_matter."""
    return _WORDS.get(name, name.replace("_", " "))
