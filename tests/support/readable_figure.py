"""Whether the words of a figure can be read: on the page, and none on another."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def require_readable(figure: Figure) -> None:
    """Every text lies on the page, and none on another one."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts_of(figure)]
    page = figure.bbox
    for text, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
        assert inside, f"{text!r} leaves the page"
    for (a, box_a), (b, box_b) in combinations(boxes, 2):
        apart = (
            box_a.x1 < box_b.x0 + 1
            or box_b.x1 < box_a.x0 + 1
            or box_a.y1 < box_b.y0 + 1
            or box_b.y1 < box_a.y0 + 1
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
