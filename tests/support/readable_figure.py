"""Whether the words of a figure can be read: on the page, and none on another."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from mrftool.pages.drawing import Box, Sheet
from mrftool.pages.page import MapPage


def require_readable(figure: Figure) -> None:
    """Every text lies on the page, and none on another one."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [
        (text.get_text(), tuple(text.get_window_extent(renderer).extents))
        for text in texts_of(figure)
    ]
    _require_apart(boxes, (figure.bbox.x1, figure.bbox.y1))


def require_readable_page(page: MapPage) -> None:
    """Every text of a page of maps lies on the page, and none on another one."""
    sheet = Sheet(page)
    _require_apart([each for each in sheet.texts if each[0].strip()], sheet.image.size)


def _require_apart(boxes: list[tuple[str, Box]], size: tuple[float, float]) -> None:
    """Texts with their boxes (two ends across and up each), on a page of that width and height."""
    for text, (x0, y0, x1, y1) in boxes:
        inside = x0 >= -1 and y0 >= -1 and x1 <= size[0] + 1 and y1 <= size[1] + 1
        assert inside, f"{text!r} leaves the page"
    for (a, box_a), (b, box_b) in combinations(boxes, 2):
        apart = (
            box_a[2] < box_b[0] + 1
            or box_b[2] < box_a[0] + 1
            or box_a[3] < box_b[1] + 1
            or box_b[3] < box_a[1] + 1
        )
        assert apart, f"{a!r} on {b!r}"


def texts_of(figure: Figure) -> list[Text]:
    """All texts that are drawn; an axis also keeps labels of ticks that are not in view."""
    all_axes = [axes for outer in figure.axes for axes in (outer, *outer.child_axes)]
    hidden: set[Text] = set()
    for axis in (axis for axes in all_axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=True)
        shown = {tick.label1 for tick, place in ticks if low <= place <= high}
        hidden |= set(axis.findobj(Text)) - shown - {axis.label, axis.offsetText}
    texts = figure.findobj(Text)
    return [
        text
        for text in texts
        if text not in hidden and text.get_visible() and text.get_text().strip()
    ]
