"""Scores as a table for the terminal, as Markdown and as JSON, all from the same records."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from mrftool.evaluation.metrics import Score
from mrftool.evaluation.text_tables import markdown_rows, plain

if TYPE_CHECKING:
    from rich.table import Table

# Field of Score, heading, format.
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
    ("coverage_2u", "in 2 unc.", "{:.2f}"),
    ("z_mean", "z mean", "{:+.2f}"),
    ("z_sd", "z sd", "{:.2f}"),
    ("n_invalid", "invalid", "{}"),
]
_ONLY_IN_FILES = ("bias_percent", "agreement_low", "agreement_high", "n_bound")
_REPLACED_BY_BOUND = ("sd", "log10_mse", "log10_mse_tissue", "coverage_2sd")
_REPLACED_WITHOUT_BOUND = ("z_mean", "z_sd")
_TEXT = ("parameter", "region")
_WORDS = {"t1": "T1", "t2": "T2", "csf": "CSF", "muscle_skin": "muscle, skin"}


def score_table(scores: Sequence[Score], title: str = "") -> "Table":
    """For the terminal: what fits on its width. Columns without a number in any row are left
    out.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    replaced: tuple[str, ...] = _REPLACED_WITHOUT_BOUND
    if any(score.rmse_over_bound is not None for score in scores):
        replaced = _REPLACED_BY_BOUND
    if any(score.coverage_2u is not None for score in scores):
        replaced = (*replaced, "z_mean")
    columns = _used_columns(scores, without=(*_ONLY_IN_FILES, *replaced))
    rows = _rows(scores, columns)
    table = Table(title_justify="left", box=SIMPLE_HEAD, padding=0)
    if title:
        table.title = plain(title)
    for (key, heading, _), cells in zip(columns, zip(*rows, strict=True), strict=True):
        width = max(map(len, cells))  # headings may wrap, numbers may not
        if key in _TEXT:
            table.add_column(plain(heading), justify="left", no_wrap=True, min_width=width)
        else:
            table.add_column(plain(heading), justify="right", min_width=width)
    _add_rows(table, scores, rows)
    return table


def _add_rows(table: "Table", scores: Sequence[Score], rows: Sequence[Sequence[str]]) -> None:
    """Add the rows of each parameter, with a line after them."""
    for parameter in dict.fromkeys(score.parameter for score in scores):
        for score, row in zip(scores, rows, strict=True):
            if score.parameter == parameter:
                table.add_row(*map(plain, row))
        table.add_section()


def score_markdown(scores: Sequence[Score]) -> str:
    """As a Markdown table."""
    columns = _used_columns(scores)
    headings = [heading for _, heading, _ in columns]
    rules = [":--" if key in _TEXT else "--:" for key, _, _ in columns]
    return markdown_rows([headings, rules, *_rows(scores, columns)])


def score_json(scores: Sequence[Score]) -> str:
    """As JSON: a list of records with all fields of `Score`; times in ms."""
    records = [{**asdict(score), "unit": "ms"} for score in scores]
    return json.dumps(records, indent=1, allow_nan=False) + "\n"


def in_words(name: str) -> str:
    """T1 for t1, grey matter for grey_matter."""
    return _WORDS.get(name, name.replace("_", " "))


def _used_columns(
    scores: Sequence[Score], without: Sequence[str] = ()
) -> list[tuple[str, str, str]]:
    return [
        column
        for column in _COLUMNS
        if column[0] not in without and _is_informative(scores, column[0])
    ]


def _rows(scores: Sequence[Score], columns: Sequence[tuple[str, str, str]]) -> list[list[str]]:
    return [[_cell(getattr(score, key), form) for key, _, form in columns] for score in scores]


def _cell(value: str | float | None, number_format: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return in_words(value)
    return number_format.format(value)


def _is_informative(scores: Sequence[Score], key: str) -> bool:
    if key == "n_invalid":
        return any(score.n_invalid for score in scores)
    if key == "n_bound":
        return any(0 < score.n_bound < score.n for score in scores)
    if key == "log10_mse_tissue":
        return any(score.n_tissue != score.n for score in scores)
    return any(getattr(score, key) is not None for score in scores)
