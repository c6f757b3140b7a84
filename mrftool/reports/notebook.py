"""What notebooks show of the nouns: a line of text with a picture, or a table."""

import tempfile
from base64 import b64encode
from collections.abc import Callable
from functools import singledispatch
from html import escape
from pathlib import Path
from typing import TypeVar

from mrftool.inference.model.summary import summary
from mrftool.inference.session import Model
from mrftool.maps import Maps
from mrftool.sequence import PulseSequence

Noun = TypeVar("Noun")

_TEXT = 'style="font-family: sans-serif; margin: 0.3em 0"'
_IMAGE = 'style="max-width: 100%; height: auto; background: white"'


@singledispatch
def html_of(noun: object) -> str:
    """HTML of a noun; its repr, if there is no picture of it."""
    return f"<pre>{escape(repr(noun))}</pre>"


@html_of.register
def _(sequence: PulseSequence) -> str:
    from mrftool.figures.curves import sequence_figure
    from mrftool.figures.sequences.diagram import diagram_figure

    columns = _with_picture(sequence, "flip angles, phases, TR and TE", sequence_figure)
    return columns + _image(sequence, "events over time", diagram_figure)


@html_of.register
def _(maps: Maps) -> str:
    from mrftool.pages.maps import overview_figure

    return _with_picture(maps, "maps", lambda maps, path: overview_figure(maps, None, path))


@html_of.register
def _(model: Model) -> str:
    rows = "".join(
        f'<tr><th style="text-align: left">{escape(key)}</th>'
        f'<td style="text-align: left">{escape(value)}</td></tr>'
        for key, value in summary(model.manifest).items()
    )
    return f"<p {_TEXT}>{escape(repr(model))}</p><table>{rows}</table>"


def _with_picture(noun: Noun, what: str, draw: Callable[[Noun, Path], None]) -> str:
    """The repr of a noun above its picture."""
    return f"<p {_TEXT}>{escape(repr(noun))}</p>" + _image(noun, what, draw)


def _image(noun: Noun, what: str, draw: Callable[[Noun, Path], None]) -> str:
    """A picture of a noun that is in the page itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.png")
        draw(noun, path)
        image = b64encode(path.read_bytes()).decode()
    source = f"data:image/png;base64,{image}"
    return f'<img {_IMAGE} alt="{what}" src="{source}">'
