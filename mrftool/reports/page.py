"""The report of a run: one web page that needs nothing but itself, and the same facts as JSON. The
home of Jinja.

What files say of themselves (names, models) is not trusted: Jinja escapes all of it, characters
that would not show are spelled out, and the page's own policy lets a browser load nothing and run
nothing.
"""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.figures.panels import flags_in
from mrftool.figures.views import View, slices_text, view_of
from mrftool.quantities import QUANTITIES, SECOND, Flag, quantity
from mrftool.reports.facts import read_plain_sequence, run_facts, window_of
from mrftool.reports.pictures import (
    bars,
    curve,
    flag_picture,
    gradient,
    hex_colour,
    map_picture,
    ticks,
)
from mrftool.reports.rows import (
    flag_rows,
    input_rows,
    method_rows,
    percent,
    quantiles_text,
    score_rows,
    sequence_rows,
    stage_rows,
    statistics_rows,
    summary_text,
)
from mrftool.reports.run import Run
from mrftool.sequence import PulseSequence

_MOST_CHARACTERS = 400
_HIDDEN = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
    "Zl",
    "Zp",
}  # Unicode categories that show nothing, or turn the text around


@dataclass(frozen=True)
class Report:
    """html: the page. json: the facts. warnings: sentences, empty if the run looks good."""

    html: str
    json: str
    warnings: tuple[str, ...]


def make_report(run: Run) -> Report:
    """The report of a run."""
    sequence = read_plain_sequence(run.method.sequence)
    facts = run_facts(run, sequence)
    page = _environment().get_template("report.html").render(_page(run, facts, sequence))
    warnings = tuple(remark["text"] for remark in facts["remarks"] if remark["level"] == "warning")
    return Report(page, json.dumps(facts, indent=2, allow_nan=False) + "\n", warnings)


def visible(value: Any) -> Any:
    """Text as a page may show it: no character hides, none turns others around, and it ends."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if len(value) > _MOST_CHARACTERS:
        value = f"{value[: _MOST_CHARACTERS - 100]} \u2026 {value[-80:]} ({len(value)} characters)"
    if value.isascii() and value.isprintable():
        return value
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) in _HIDDEN else c for c in value)


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page(run: Run, facts: Mapping[str, Any], sequence: PulseSequence | None) -> dict[str, Any]:
    """What the template shows."""
    view = view_of(run.series.affine)
    return {
        "facts": facts,
        "warnings": [remark["text"] for remark in facts["remarks"] if remark["level"] == "warning"],
        "view": view,
        "slices": slices_text(run.maps.t1.shape, view),
        "summary": summary_text(facts),
        "cards": _cards(run, facts, view),
        "plots": [] if sequence is None else _plots(sequence),
        "flag_rows": flag_rows(facts["voxels"]),
        "statistics": statistics_rows(facts["statistics"]),
        "scores": score_rows(run.method.scores),
        "stages": stage_rows(facts["seconds"]),
        "tables": [
            ("What was read", input_rows(facts)),
            (f"The {run.method.kind}", method_rows(run.method)),
            ("The sequence", sequence_rows(run.method, sequence)),
            ("Software", facts["versions"]),
        ],
    }


def _cards(run: Run, facts: Mapping[str, Any], view: View) -> list[dict[str, Any]]:
    """Each map: picture, colour bar, histogram in the same window."""
    masked = (run.maps.flags & Flag.MASKED) != 0
    cards = {"flags": _flag_card(run, view)}
    for name, image in run.maps.images():
        if name != "flags":
            cards[name] = _card(name, image, masked, view, facts["statistics"][name])
    return [cards[name] for name in QUANTITIES if name in cards]


def _card(
    name: str,
    image: Array,
    masked: BoolArray,
    view: View,
    statistics: Mapping[str, Any],
) -> dict[str, Any]:
    style, _, _ = window_of(name, image)
    low, high = style.window
    histogram = statistics.get("histogram", {"counts": [0], "below": 0, "above": 0})
    title, text = style.title, quantiles_text(statistics, style)
    n_beyond = histogram["below"] + histogram["above"]
    return {
        "name": name,
        "title": title,
        "picture": _trusted(map_picture(image, masked, view, style)),
        "alt": f"{title}, {slices_text(image.shape, view)}, colours from {low:.3g} to {high:.3g}; {text}",
        "gradient": Markup(gradient(style.table)),  # noqa: S704 - made of our own colours
        "ticks": [(100 * (tick - low) / (high - low), f"{tick:g}") for tick in ticks(low, high)],
        "large": quantity(name).unit == SECOND,  # two in a row, the others three
        "bars": Markup(bars(histogram["counts"])),  # noqa: S704 - numbers
        "text": text,
        "beyond": f"{n_beyond} ({percent(n_beyond / statistics['n'])}) are beyond the scale"
        if n_beyond
        else "",
    }


def _flag_card(run: Run, view: View) -> dict[str, Any]:
    flags = run.maps.flags
    shown = [(hex_colour(each.colour), each.label) for each in flags_in(flags)]
    alt = f"Flags, {slices_text(flags.shape, view)}; {', '.join(text for _, text in shown)}"
    return {
        "name": "flags",
        "title": quantity("flags").caption,
        "picture": _trusted(flag_picture(flags, view)),
        "alt": alt,
        "legend": shown,
        "large": False,
    }


def _trusted(picture: Any) -> dict[str, Any]:
    uri = Markup(picture.uri)  # noqa: S704 - base64
    return {
        **vars(picture),
        "uri": uri,
        "style": f"aspect-ratio:{picture.aspect:.4f}",
        "coarse": picture.width < 400,
    }


def _plots(sequence: PulseSequence) -> list[dict[str, Any]]:
    """Flip angle, and what else changes from one repetition to the next."""
    columns = [
        ("flip angle [deg]", np.rad2deg(sequence.flip_angle)),
        ("RF phase [deg]", np.rad2deg(sequence.rf_phase) % 360),
        ("TR [ms]", sequence.tr * 1e3),
        ("TE [ms]", sequence.te * 1e3),
    ]
    changing = [column for column in columns[1:] if np.ptp(column[1]) > 1e-6]
    return [_plot(title, values) for title, values in (columns[0], *changing)]


def _plot(title: str, values: FloatArray) -> dict[str, Any]:
    low, high = min(0.0, float(values.min())), max(float(values.max()) * 1.05, 1e-3)
    n = len(values)
    across = [(100 * (tick - 0.5) / n, f"{tick:g}") for tick in ticks(1, n, 6) if tick >= 1] or [
        (50.0, "1")
    ]
    return {
        "title": title,
        "path": Markup(curve(values, low, high)),  # noqa: S704 - numbers
        "x": across,
        "y": [(100 * (high - tick) / (high - low), f"{tick:g}") for tick in ticks(low, high, 4)],
        "text": f"{title} of {n} repetitions, {values.min():.4g} to {values.max():.4g}",
    }
