"""The page that pictures are drawn on, and what their axes share.

Agg draws them, without pyplot and in matplotlib's default style: no display is needed, the user's
settings change nothing, and none of them is changed for others.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mrftool.formats.atomic import writing

LayoutEngine = Literal["constrained"]
Look = dict[str, Any]  # further arguments of matplotlib's functions

_MARGIN = 0.1  # above the title [inch]
_DPI = 130
_COMPRESSION = 3  # of 9: files a tenth larger than at 6, in two thirds of the time
TIME_TICKS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # of axes of T1 and T2 [ms]


@contextmanager
def picture(
    path: str | Path,
    width: float,
    height: float,
    *,
    title: str = "",
    layout: LayoutEngine | None = "constrained",
) -> Iterator[Figure]:
    """A figure to draw on; saved as PNG when the block ends, whole or not at all.

    Parameters
    ----------
    path
        Of the PNG file.
    width, height
        Of the page [inch].
    title
        Text above everything, empty for none.
    layout
        What places the axes; None where the caller does, which saves measuring all texts.
    """
    with style.context("default"):
        figure = Figure(figsize=(width, height), layout=layout)
        yield figure
        if title:
            heading = figure.suptitle(title, x=0.01, ha="left", fontsize=11)
            if layout is None:
                heading.set_y(1 - _MARGIN / height)
        save_figure(figure, path)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    figure.set_dpi(_DPI)
    FigureCanvasAgg(figure)
    _show_texts_verbatim(figure)
    with writing(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        _lay_out(figure)
        look = {"compress_level": _COMPRESSION}
        figure.savefig(part, format="png", dpi=_DPI, pil_kwargs=look)


def _lay_out(figure: Figure) -> None:
    """Place the axes: saving would draw a figure without output first, to place them."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def _show_texts_verbatim(figure: Figure) -> None:
    """Names that come from files are no formulas, and need not be valid Unicode.

    Only the labels of ticks are matplotlib's own.
    """
    for text in _texts(figure):
        text.set_parse_math(False)
        text.set_text(text.get_text().encode("utf-8", "replace").decode())


def _texts(artist: Artist) -> Iterator[Text]:
    """All texts within an artist but the labels of ticks, which are not even made for it."""
    if isinstance(artist, Text):
        yield artist
    if isinstance(artist, Axis):
        yield from (artist.label, artist.offsetText)
        return
    for part in artist.get_children():
        yield from _texts(part)


def label_ticks(axis: Axis, places: tuple[float, ...]) -> None:
    """Ticks at these places of a logarithmic axis, and no others, in plain numbers."""
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter(FuncFormatter(_tick_label))
    axis.set_minor_locator(NullLocator())


def _tick_label(value: float, _position: int | None) -> str:
    """Up to six digits, three below 1."""
    if value < 1:
        return f"{value:.3g}"
    return f"{value:g}"


def round_ticks(low: float, high: float) -> tuple[float, ...]:
    """1, 2, 5, 10, ... between the ends of a logarithmic axis; only powers of ten on long ones."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps: tuple[int, ...] = (1, 2, 5)
    if len(decades) > 4:
        steps = (1,)
    places = [step * 10.0**decade for decade in decades for step in steps]
    return tuple(place for place in places if low <= place <= high)


def legend_on_the_right(axes: Axes) -> None:
    """A legend outside the axes, so that it hides no curve."""
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
