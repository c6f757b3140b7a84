"""The report of a run: one web page that needs nothing but itself, and its contents as JSON. The
home of Jinja.

What files say of themselves (names, models) is not trusted: Jinja escapes all of it, characters
that would not show are spelled out, and the page's own policy lets a browser load nothing and run
nothing.
"""

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mrftool.pages.views import slices_text, view_of
from mrftool.reports.contents import read_plain_sequence, report_contents
from mrftool.reports.parts.cards import fit_plots, map_cards, sequence_plots
from mrftool.reports.parts.tables import (
    budget_rows,
    flag_table,
    input_table,
    method_table,
    score_table,
    sequence_table,
    statistics_table,
    summary_text,
    time_table,
)
from mrftool.reports.run import Report, Run
from mrftool.sequence import PulseSequence

_MOST_CHARACTERS = 400  # of a text that a file gave
_KEPT_AT_START, _KEPT_AT_END = 300, 80  # of a longer one
# Unicode categories that show nothing, or turn the text around.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def make_report(run: Run) -> Report:
    """The report of a run."""
    sequence = read_plain_sequence(run.method.sequence)
    contents = report_contents(run, sequence)
    warnings = _warnings(contents)
    page = _page(run, contents, sequence) | {"warnings": warnings}
    html = _environment().get_template("report.html").render(page)
    return Report(html, contents, tuple(warnings))


def report_without_page(run: Run) -> Report:
    """The report of a run as numbers; its page is empty."""
    contents = report_contents(run, read_plain_sequence(run.method.sequence))
    return Report("", contents, tuple(_warnings(contents)))


def _warnings(contents: Mapping[str, Any]) -> list[str]:
    return [item["text"] for item in contents["remarks"] if item["level"] == "warning"]


def visible(value: Any) -> Any:
    """Text as a page may show it: no character hides, none turns others around, and it ends."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if len(value) > _MOST_CHARACTERS:
        start, end = value[:_KEPT_AT_START], value[-_KEPT_AT_END:]
        value = f"{start} \u2026 {end} ({len(value)} characters)"
    if value.isascii() and value.isprintable():
        return value
    return "".join(map(_visible_character, value))


def _visible_character(character: str) -> str:
    if unicodedata.category(character) in _HIDDEN:
        return f"\\u{ord(character):04x}"
    return character


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page(run: Run, contents: Mapping[str, Any], sequence: PulseSequence | None) -> dict[str, Any]:
    """What the template shows."""
    view = view_of(run.series.affine)
    return {
        "contents": contents,
        "view": view,
        "slices": slices_text(run.maps.t1.shape, view),
        "summary": summary_text(contents),
        "cards": map_cards(run.maps, contents["statistics"], view),
        "plots": sequence_plots(sequence),
        "fits": fit_plots(run.residuals),
        "budget": run.budget and budget_rows(run.budget),
        "is_typical": run.budget is not None and run.budget.is_typical,
        "flags": flag_table(contents["voxels"]),
        "statistics": statistics_table(contents["statistics"]),
        "scores": score_table(run.method.scores),
        "times": time_table(contents["seconds"]),
        "tables": [
            ("What was read", input_table(contents)),
            (f"The {run.method.kind}", method_table(run.method)),
            ("The sequence", sequence_table(run.method, sequence)),
            ("Software", contents["versions"]),
        ],
    }
