"""Scores as a table for the terminal, as Markdown and as JSON, all from the same records."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from mrftool.evaluation.metrics import Score
from mrftool.evaluation.text_tables import plain

if TYPE_CHECKING:
    from rich.table import Table

# field of Score, heading, format
_COLUMNS = [
    ("parameter", "", "{}"),
    ("region", "tissue", "{}"),
    ("n", "voxels", "{}"),
    ("reference_mean", "ref. [ms]", "{:.0f}"),
    ("bias", "bias [ms]", "{:+.1f}"),
    ("sd", "SD [ms]", "{:.1f}"),
    ("rmse", "RMSE [ms]", "{:.1f}"),
    ("bias_percent", "bias [%]", "{:+.2f}"),
    ("error_percent", "error [%]", "{:.2f}"),
    ("log10_mse", "log10 MSE", "{:.1e}"),
    ("log10_mse_tissue", "from 1 ms", "{:.1e}"),
    ("agreement_low", "agree from [ms]", "{:+.0f}"),
    ("agreement_high", "to [ms]", "{:+.0f}"),
    ("rmse_over_bound", "RMSE / bound", "{:.3f}"),
    ("n_bound", "with bound", "{}"),
    ("coverage_1sd", "in 1 sd", "{:.2f}"),
    ("coverage_2sd", "in 2 sd", "{:.2f}"),
    ("z_mean", "z mean", "{:+.2f}"),
    ("z_sd", "z sd", "{:.2f}"),
    ("n_invalid", "invalid", "{}"),
]
_WIDE = ("bias_percent", "agreement_low", "agreement_high", "n_bound")  # in files only
_LESS = (
    "sd",
    "log10_mse",
    "log10_mse_tissue",
    "coverage_2sd",
)  # in files only, where a bound says more
_TEXT = ("parameter", "region")
_WORDS = {"t1": "T1", "t2": "T2", "csf": "CSF", "muscle_skin": "muscle, skin"}


def score_table(scores: Sequence[Score], title: str = "") -> "Table":
    """For the terminal: what fits on its width. Columns that say nothing in any row are left out."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    has_bound = any(score.rmse_over_bound is not None for score in scores)
    headings, rows = _cells(scores, without=(*_WIDE, *(_LESS if has_bound else ("z_mean", "z_sd"))))
    table = Table(
        title=plain(title) if title else None, title_justify="left", box=SIMPLE_HEAD, padding=0
    )
    for (key, heading), cells in zip(headings, zip(*rows, strict=True), strict=True):
        is_text, width = key in _TEXT, max(map(len, cells))  # headings may wrap, numbers may not
        table.add_column(
            plain(heading), justify="left" if is_text else "right", no_wrap=is_text, min_width=width
        )
    for before, score, row in zip([None, *scores], scores, rows, strict=False):
        if before is not None and before.parameter != score.parameter:
            table.add_section()
        table.add_row(*map(plain, row))
    return table


def score_markdown(scores: Sequence[Score]) -> str:
    """As a Markdown table."""
    headings, rows = _cells(scores)
    rules = [":--" if key in _TEXT else "--:" for key, _ in headings]
    lines = [[heading for _, heading in headings], rules, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def score_json(scores: Sequence[Score]) -> str:
    """As JSON: a list of records with all fields of `Score`; times in ms."""
    return (
        json.dumps([{**asdict(score), "unit": "ms"} for score in scores], indent=1, allow_nan=False)
        + "\n"
    )


def _cells(
    scores: Sequence[Score], without: Sequence[str] = ()
) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Headings (field, text) and the formatted rows."""
    used = [
        column
        for column in _COLUMNS
        if column[0] not in without and _says_something(scores, column[0])
    ]
    rows = []
    for score in scores:
        values = [(getattr(score, key), form) for key, _, form in used]
        shown = [
            (in_words(value) if isinstance(value, str) else value, form) for value, form in values
        ]
        rows.append(["" if value is None else form.format(value) for value, form in shown])
    return [(key, heading) for key, heading, _ in used], rows


def _says_something(scores: Sequence[Score], key: str) -> bool:
    if key == "n_invalid":
        return any(score.n_invalid for score in scores)
    if key == "n_bound":
        return any(0 < score.n_bound < score.n for score in scores)
    if key == "log10_mse_tissue":
        return any(score.n_tissue != score.n for score in scores)
    return any(getattr(score, key) is not None for score in scores)


def in_words(name: str) -> str:
    """T1 for t1, grey matter for grey_matter."""
    return _WORDS.get(name, name.replace("_", " "))
