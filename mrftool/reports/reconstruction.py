"""The report of a reconstruction: a page and its numbers."""

import base64
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.formats.bids import to_json

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.2em 1em .2em 0;text-align:left}"
    "img{max-width:100%}"
)
_SHOWN = {
    "source": "raw data",
    "sequence_id": "sequence id",
    "rank": "rank of the temporal basis",
    "basis_left_out": "relative error that the basis leaves, root mean square",
    "iterations": "iterations",
    "replicas": "replicas of the noise",
    "trajectory_unit": "trajectory in",
    "is_prewhitened": "prewhitened by a noise scan",
    "time_segments": "time segments of the off-resonance",
    "started": "started",
}


def report_files(
    facts: Mapping[str, Any],
    residuals: Sequence[FloatArray],
    magnitude: Array,
    amplification: Array | None,
) -> dict[str, str | bytes]:
    """Contents of the report's files by name: page, numbers and picture.

    Parameters
    ----------
    facts
        What was used, and what it gave for each slice.
    residuals
        Relative residual after each iteration, for each slice [1].
    magnitude
        Modulus of the first coefficient `(x, y, z)`.
    amplification
        Noise over that of perfect encoding `(x, y, z)` [1]; None where it is not known.
    """
    middle = magnitude.shape[2] // 2
    noise = None
    if amplification is not None:
        noise = amplification[:, :, middle]
    drawn = _drawn(residuals, magnitude[:, :, middle], noise)
    shown = {key: value for key, value in facts.items() if key != "sequence"}
    return {"report.json": to_json(shown), "report.html": _page(facts, drawn)}


def _drawn(residuals: Sequence[FloatArray], magnitude: Array, noise: Array | None) -> bytes:
    from mrftool.figures.reconstruction import reconstruction_figure

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "reconstruction.png"
        reconstruction_figure(residuals, magnitude, noise, path)
        return path.read_bytes()


def _page(facts: Mapping[str, Any], drawn: bytes) -> str:
    source = escape(str(facts["source"]))
    encoded = base64.b64encode(drawn).decode()
    rows = "".join(
        f"<tr><td>{escape(text)}</td><td>{escape(_text(facts.get(key)))}</td></tr>"
        for key, text in _SHOWN.items()
    )
    sentences = "".join(f"<li>{escape(text)}</li>" for text in facts["assumptions"])
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{source}</title>"
        f"<style>{_STYLE}</style><h1>Reconstruction of {source}</h1>"
        f"<img alt='Residual over iterations, first coefficient, noise amplification' "
        f"src='data:image/png;base64,{encoded}'><h2>Slices</h2>{_slices(facts)}"
        f"<h2>Settings</h2><table>{rows}</table><h2>Assumptions</h2><ul>{sentences}</ul></html>\n"
    )


def _slices(facts: Mapping[str, Any]) -> str:
    heads = ("slice", "noise sd", "condition", "last residual", "noise over perfect encoding")
    lines = ["<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for index, part in enumerate(facts["slices"]):
        cells = (
            index,
            part["noise_sd"],
            part["condition"],
            part["residuals"][-1],
            part["median_noise_amplification"],
        )
        lines.append("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return {True: "yes", False: "no"}[value]
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return "-" if value is None else str(value)
