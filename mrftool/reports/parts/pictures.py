"""Pictures as parts of a web page: maps as PNG in data URIs, histograms and curves as SVG paths.

Text stays text, which the page sets in its own size and colour.
"""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.formats.png import png_bytes
from mrftool.pages.colours import GREY
from mrftool.pages.styles import Style
from mrftool.pages.views import View, montage, montage_columns, shown_pages
from mrftool.quantities import FLAGS, UNFLAGGED, Flag

_MOST_PIXELS = 300_000  # of a montage; larger ones show the mean of 2 x 2, 3 x 3, ... voxels
_N_COLOURS = 254
_BLACK, _NAN, _FIRST = 0, 1, 2  # in the palette: masked and empty, not a number, first colour
_STOPS = 33
_WIDTH, _HEIGHT = 1000.0, 100.0  # of the box that curves are drawn in


@dataclass(frozen=True)
class Picture:
    """A PNG image for a web page.

    Parameters
    ----------
    uri
        Data URI of the PNG.
    width, height
        Number of its pixels.
    aspect
        Width / height as it should be shown [1].
    reduced
        Voxels along each edge that one pixel stands for.
    """

    uri: str
    width: int
    height: int
    aspect: float
    reduced: int


def map_picture(image: Array, masked: BoolArray, view: View, style: Style) -> Picture:
    """A map `(x, y, z)`, in the unit in memory, in the colours and the window of `style`; masked
    voxels are black.
    """
    if np.iscomplexobj(image):
        image = np.abs(image)
    pages, outside = shown_pages(image, view).astype(np.float64), shown_pages(masked, view)
    factor = _reduction(pages.shape)
    if factor > 1:
        pages, outside = _means(pages, outside, factor)
    low, high = style.window
    share = (np.clip(pages * style.scale, low, high) - low) / (high - low)
    is_nan = np.isnan(share)
    colour = np.minimum(np.where(is_nan, 0, share) * _N_COLOURS, _N_COLOURS - 1).astype(np.uint8)
    index = np.where(outside, _BLACK, np.where(is_nan, _NAN, colour + _FIRST))
    chosen = np.rint(np.linspace(0, len(style.table) - 1, _N_COLOURS)).astype(int)
    return _picture(index, np.vstack([(0, 0, 0), GREY, style.table[chosen]]), view, factor)


def flag_picture(flags: NDArray[np.uint8], view: View) -> Picture:
    """The most severe flag of each voxel; in a reduced picture, of the voxels under each pixel.

    A pixel is shown as masked where its whole block is.
    """
    pages = shown_pages(flags, view)
    severities = [flag for flag in reversed(list(FLAGS)) if flag != Flag.MASKED]
    index = np.ones(pages.shape, np.uint8)
    for place, flag in enumerate(severities, start=2):
        index[(pages & flag) != 0] = place
    index[(pages & Flag.MASKED) != 0] = _BLACK
    factor = _reduction(pages.shape)
    if factor > 1:
        index = _blocks(index, factor, _BLACK).max(axis=(2, 4))
    shown = [FLAGS[Flag.MASKED], UNFLAGGED, *(FLAGS[flag] for flag in severities)]
    return _picture(index, np.array([each.colour for each in shown]), view, factor)


def gradient(table: FloatArray) -> str:
    """The colours of a table as a CSS gradient from left to right."""
    rows = table[np.rint(np.linspace(0, len(table) - 1, _STOPS)).astype(int)]
    return f"linear-gradient(to right,{','.join(hex_colour(row) for row in rows)})"


def hex_colour(colour: ArrayLike) -> str:
    """#rrggbb of an RGB colour of 0 to 1."""
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in np.asarray(colour))


def bars(counts: ArrayLike) -> str:
    """SVG path of a histogram, in a box of 1000 x 100; the highest bar fills it."""
    counts = np.asarray(counts, np.float64)
    x = np.linspace(0, _WIDTH, len(counts) + 1)
    y = _HEIGHT * (1 - counts / max(counts.max(), 1))
    steps = "".join(f"V{top:.4g}H{right:.5g}" for top, right in zip(y, x[1:], strict=True))
    return f"M0 {_HEIGHT:g}{steps}V{_HEIGHT:g}Z"


def curve(values: ArrayLike, low: float, high: float) -> str:
    """SVG path of a value per repetition, in a box of 1000 x 100 that reaches from low to high."""
    values = np.asarray(values, np.float64)
    x = (np.arange(len(values)) + 0.5) * _WIDTH / len(values)
    y = _HEIGHT * (high - values) / (high - low)
    return "M" + "L".join(f"{a:.5g} {b:.4g}" for a, b in zip(x, y, strict=True))


def _reduction(shape: tuple[int, ...]) -> int:
    return max(1, int(np.ceil(np.sqrt(np.prod(shape) / _MOST_PIXELS))))


def _means(pages: Array, outside: BoolArray, factor: int) -> tuple[Array, BoolArray]:
    """Means over the voxels inside, and which pixels have none. NaN stays visible."""
    inside = _blocks(~outside, factor, fill=False)
    total = np.where(inside, _blocks(pages, factor, 0.0), 0.0).sum(axis=(2, 4))
    count = inside.sum(axis=(2, 4))
    return total / np.maximum(count, 1), count == 0


def _blocks(pages: Array, factor: int, fill: Any) -> Array:
    """`(page, row, factor, column, factor)`, filled up at the far edges."""
    n, height, width = pages.shape
    rows, columns = -(-height // factor), -(-width // factor)
    padding = ((0, 0), (0, rows * factor - height), (0, columns * factor - width))
    return np.pad(pages, padding, constant_values=fill).reshape(n, rows, factor, columns, factor)


def _picture(index: Array, palette: FloatArray, view: View, factor: int) -> Picture:
    columns = montage_columns(len(index), index.shape[1] * view.aspect, index.shape[2])
    whole = montage(index, columns)
    height, width = whole.shape
    uri = "data:image/png;base64," + base64.b64encode(png_bytes(whole, palette)).decode("ascii")
    return Picture(uri, width, height, width / (height * view.aspect), factor)
