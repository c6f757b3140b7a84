"""A page of maps in pixels, and as a PNG file."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mrftool.arrays import FloatArray
from mrftool.formats.atomic import writing
from mrftool.formats.png import rgb_png_bytes
from mrftool.pages.page import MapPage, Panel
from mrftool.pages.styles import Style, ticks
from mrftool.quantities import Colour

Box = tuple[float, float, float, float]  # left, top, right, bottom [pixel]
Place = tuple[float, float]  # from the left and from the top [pixel]

_DPI = 130
_LEFT, _ABOVE_MAP, _ABOVE_ALL, _CAPTION = 0.08, 0.36, 0.32, 0.36  # of a page of maps [inch]
_TITLE_TO_MAP, _TITLE_TO_EDGE, _CAPTION_TO_EDGE = 0.1, 0.18, 0.14  # of the texts' middles [inch]
_LINE = 0.2  # height of a line of a legend [inch]
_LEGEND_COLUMNS = 3
_PATCH, _GAP = 0.22, 0.08  # width of a legend's colours, and what lies between [inch]
_BAR = (1.02, 1.07)  # the sides of a colour bar [width of the map]
_POINT = 0.05  # height of the point of a bar, which goes on beyond its window [height of the map]
_TICK, _MARGIN = 0.03, 0.06  # length of a tick; between a letter and its edge [inch]
_MOST_TICKS = 7
_LARGE, _MEDIUM, _SMALL = 11, 9, 8  # sizes of texts [point]
_BLACK, _WHITE, _DARK = (0, 0, 0), (255, 255, 255), (89, 89, 89)


def save_page(page: MapPage, path: str | Path) -> None:
    """Write a page as PNG, whole or not at all."""
    content = rgb_png_bytes(np.asarray(Sheet(page).image))
    with writing(Path(path)) as part:
        part.write_bytes(content)


class Sheet:
    """A page that is drawn.

    Parameters
    ----------
    page
        What it shows.

    Attributes
    ----------
    image
        Its pixels.
    texts
        Each text with its box.
    """

    def __init__(self, page: MapPage) -> None:
        self.texts: list[tuple[str, Box]] = []
        self._lines = max(_legend_lines(panel) for panel in page.panels)
        width, height = (round(_DPI * length) for length in self._size(page))
        self.image = Image.new("RGB", (width, height), _WHITE)
        self._draw = ImageDraw.Draw(self.image)
        for index, panel in enumerate(page.panels):
            self._draw_panel(page, panel, self._box(page, index))
        self._write(page.title, (0.01 * width, _DPI * _TITLE_TO_EDGE), _LARGE, "lm")
        below = height - _DPI * _CAPTION_TO_EDGE
        self._write(page.caption, (width / 2, below), _SMALL, "mm", colour=_DARK)

    def _size(self, page: MapPage) -> Place:
        """Width and height [inch]."""
        rows = -(-len(page.panels) // page.columns)
        height = rows * (page.size[1] + _ABOVE_MAP) + _LINE * self._lines
        return page.width * page.columns, height + _ABOVE_ALL + _CAPTION

    def _box(self, page: MapPage, index: int) -> Box:
        """Where a panel's map lies [pixel]."""
        row, column = divmod(index, page.columns)
        left = column * page.width + _LEFT
        top = _ABOVE_ALL + (row + 1) * _ABOVE_MAP + row * page.size[1]
        if row > 0:
            top += _LINE * self._lines
        ends = left, top, left + page.size[0], top + page.size[1]
        return tuple(float(round(_DPI * end)) for end in ends)  # type: ignore[return-value]

    def _draw_panel(self, page: MapPage, panel: Panel, box: Box) -> None:
        left, top, right, bottom = box
        middle, centre = (left + right) / 2, (top + bottom) / 2
        pixels = _resized(panel.picture, round(right - left), round(bottom - top))
        self.image.paste(Image.fromarray(pixels), (round(left), round(top)))
        self._write(panel.title, (middle, top - _DPI * _TITLE_TO_MAP), _LARGE, "mm")
        inset, view = _DPI * _MARGIN, page.view
        self._mark(view.left, (left + inset, centre), "lm")
        self._mark(view.right, (right - inset, centre), "rm")
        self._mark(view.top, (middle, top + inset), "mt")
        self._mark(view.bottom, (middle, bottom - inset), "mb")
        if panel.scale is not None:
            self._draw_bar(panel.scale, box)
        if panel.legend:
            self._draw_legend(panel.legend, box)

    def _draw_bar(self, style: Style, box: Box) -> None:
        """The colours of a window with its numbers; a point where it holds what is beyond."""
        start, top, end, bottom = box
        left, right = (round(start + share * (end - start)) for share in _BAR)
        (low, high), point = style.window, round(_POINT * (bottom - top))
        ends = [(style.table[-1], top, top + point)]
        top += point
        if low < 0:
            ends.append((style.table[0], bottom, bottom - point))
            bottom -= point
        colours = _resized(style.table[::-1, None], right - left, round(bottom - top))
        self.image.paste(Image.fromarray(colours), (left, round(top)))
        self._draw.rectangle((left, top, right, bottom), outline=_BLACK)
        for colour, tip, base in ends:
            corners = [(left, base), ((left + right) / 2, tip), (right, base)]
            self._draw.polygon(corners, fill=_in_bytes(colour), outline=_BLACK)
        for tick, label in _labelled_ticks(low, high):
            y = bottom - (tick - low) / (high - low) * (bottom - top)
            self._draw.line((right, y, right + _DPI * _TICK, y), fill=_BLACK)
            self._write(label, (right + 2 * _DPI * _TICK, y), _MEDIUM, "lm")

    def _draw_legend(self, entries: tuple[tuple[Colour, str], ...], box: Box) -> None:
        """Colours and labels, in the middle below a map."""
        patch, gap, line = _DPI * _PATCH, _DPI * _GAP, _DPI * _LINE
        widest = max(_font(_SMALL).getlength(label) for _, label in entries)
        step = patch + widest + 3 * gap
        width = min(len(entries), _LEGEND_COLUMNS) * step - 2 * gap
        start = min((box[0] + box[2] - width) / 2, self.image.width - width)
        for index, (colour, label) in enumerate(entries):
            row, column = divmod(index, _LEGEND_COLUMNS)
            left, y = max(start, 0.0) + column * step, box[3] + (row + 0.5) * line
            area = (left, y - line / 5, left + patch, y + line / 5)
            self._draw.rectangle(area, fill=_in_bytes(colour), outline=_DARK)
            self._write(label, (left + patch + gap, y), _SMALL, "lm")

    def _mark(self, letter: str, place: Place, anchor: str) -> None:
        """A white letter with a black outline."""
        self._write(letter, place, _MEDIUM, anchor, colour=_WHITE, outline=2)

    def _write(
        self,
        text: str,
        place: Place,
        size: int,
        anchor: str,
        *,
        colour: tuple[int, int, int] = _BLACK,
        outline: int = 0,
    ) -> None:
        """A text at an anchor of Pillow's. Names that come from files need not be valid Unicode."""
        shown = text.encode("utf-8", "replace").decode().replace("\n", " ")
        font = _font(size)
        self._draw.text(
            place, shown, colour, font, anchor, stroke_width=outline, stroke_fill=_BLACK
        )
        box = self._draw.textbbox(place, shown, font, anchor, stroke_width=outline)
        self.texts.append((shown, box))


def _legend_lines(panel: Panel) -> int:
    return -(-len(panel.legend) // _LEGEND_COLUMNS)


def _labelled_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round numbers, all with as many decimals as the longest of them."""
    found = ticks(low, high, _MOST_TICKS)
    if not found:
        return []
    texts = [f"{tick:.10g}" for tick in found]
    if any("e" in text for text in texts):
        return [(tick, f"{tick:g}") for tick in found]
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return [(tick, f"{tick:.{decimals}f}") for tick in found]


def _resized(picture: FloatArray, width: int, height: int) -> NDArray[np.uint8]:
    """The nearest pixel of a picture `(row, column, channel)` at each place, in bytes."""
    small = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    n_rows, n_columns = small.shape[:2]
    wide = small[:, np.arange(width) * n_columns // width]
    return np.asarray(wide[np.arange(height) * n_rows // height])


def _in_bytes(colour: Colour | FloatArray) -> tuple[int, ...]:
    return tuple(round(255 * float(part)) for part in colour)


@cache
def _font(points: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib."""
    package = find_spec("matplotlib")
    if package is None or package.origin is None:
        raise FileNotFoundError("matplotlib is not installed, expected its font")
    file = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(file), round(points * _DPI / 72))
