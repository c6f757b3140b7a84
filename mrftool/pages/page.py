"""What a page of maps shows: panels in rows, each a map with its title and colour bar."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.pages.colours import coloured
from mrftool.pages.styles import Style, flags_in
from mrftool.pages.views import (
    View,
    montage,
    montage_columns,
    panel_height,
    shown_pages,
    slices_text,
    view_of,
)
from mrftool.quantities import FLAGS, UNFLAGGED, Colour, quantity

_PANEL, _MONTAGE = 4.0, 5.5  # width of a map with its colour bar, of one or of more slices [inch]
_MAP_SHARE = 0.82  # of that width, without the colour bar and its numbers
_LEAST_SLICES = 3  # of a wide panel
_LEAST_HEIGHT, _MOST_HEIGHT = 0.05, 5.0  # of a map [its width]: longer ones are compressed


@dataclass(frozen=True, eq=False)
class Panel:
    """A map as a page shows it.

    Parameters
    ----------
    title
        Above it.
    picture
        Its slices beside each other, in colours from 0 to 1 `(row, column, channel)`.
    scale
        What its colour bar shows; None for no bar.
    legend
        Colours and their labels, below it.
    """

    title: str
    picture: FloatArray
    scale: Style | None = None
    legend: tuple[tuple[Colour, str], ...] = ()


@dataclass(frozen=True, eq=False)
class MapPage:
    """Panels of one size, in rows.

    Parameters
    ----------
    panels
        From left to right, row by row.
    columns
        How many of them are beside each other.
    view
        How their slices lie in the patient.
    width
        Of a panel with its colour bar [inch].
    size
        Width and height of a map [inch].
    title, caption
        Above and below all panels.
    """

    panels: tuple[Panel, ...]
    columns: int
    view: View
    width: float
    size: tuple[float, float]
    title: str
    caption: str


def page_of(
    panels: list[Panel],
    columns: int,
    shape: tuple[int, ...],
    affine: FloatArray | None,
    title: str,
) -> MapPage:
    """A page of maps of one shape.

    Parameters
    ----------
    panels, columns, title
        As those of the page.
    shape
        Of the maps `(x, y, z)`.
    affine
        Voxel index to millimetres in RAS+, `(4, 4)` [mm]; None where it is not known.
    """
    view, width = page_view(affine), _PANEL
    if shape[view.axes[0]] >= _LEAST_SLICES:
        width = _MONTAGE
    across = _MAP_SHARE * width
    height = float(np.clip(panel_height(shape, view), _LEAST_HEIGHT, _MOST_HEIGHT))
    size = (across, across * height)
    caption = (
        f"{slices_text(shape, view)}; {_place_text(affine)}; grey: not a number, black: masked"
    )
    return MapPage(tuple(panels), columns, view, width, size, title, caption)


def page_view(affine: FloatArray | None) -> View:
    """The view of a volume whose axes are taken for R, A, S where its place is not known.

    affine: voxel index to millimetres in RAS+, `(4, 4)` [mm]; None where it is not known.
    """
    if affine is None:
        return view_of(np.eye(4))
    return view_of(affine)


def map_panel(image: Array, view: View, style: Style, masked: BoolArray | None = None) -> Panel:
    """A map with its colour bar.

    Parameters
    ----------
    image
        `(x, y, z)` in the unit in memory; of complex numbers the modulus is shown.
    view, style
        How slices lie on the page, and how numbers are shown.
    masked
        Voxels drawn black, by default those that are 0.
    """
    if masked is None:
        masked = image == 0
    if np.iscomplexobj(image):
        image = np.abs(image)
    pages = shown_pages(image, view).astype(np.float64) * style.scale
    picture = coloured(pages, style.table, style.window, shown_pages(masked, view))
    return Panel(style.title, _montage(picture, view), style)


def flags_panel(flags: Array, view: View) -> Panel:
    """The most severe flag of each voxel, with a legend of those that occur."""
    pages = shown_pages(flags, view)
    picture = np.tile(np.array(UNFLAGGED.colour), (*pages.shape, 1))
    for flag in reversed(list(FLAGS)):
        picture[(pages & flag) != 0] = FLAGS[flag].colour
    legend = tuple((each.colour, each.label) for each in flags_in(pages))
    return Panel(quantity("flags").caption, _montage(picture, view), legend=legend)


def _montage(pages: FloatArray, view: View) -> FloatArray:
    """Coloured pages `(page, row, column, channel)` beside each other."""
    columns = montage_columns(len(pages), pages.shape[1] * view.aspect, pages.shape[2])
    return np.asarray(montage(pages, columns))


def _place_text(affine: FloatArray | None) -> str:
    """The size of the voxels, where it is known."""
    if affine is None:
        return "axes taken for R, A, S"
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    return f"voxels {' x '.join(f'{edge:.3g}' for edge in edges)} mm"
