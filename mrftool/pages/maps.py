"""Pictures of maps: an overview, and errors against a reference."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.errors import MismatchError
from mrftool.maps import Maps
from mrftool.pages import drawing
from mrftool.pages.page import flags_panel, map_panel, page_of, page_view
from mrftool.pages.styles import ERROR_STYLE, Style, style_of
from mrftool.quantities import Flag, quantity

_COLUMNS = 4  # of an overview
_IN_ORDER = (
    *("t1", "t2", "m0", "flags"),
    *("sd_t1", "systematic_t1", "combined_t1", "residual"),
    *("sd_t2", "systematic_t2", "combined_t2", "misfit"),
)


def overview_figure(
    maps: Maps, affine: FloatArray | None, path: str | Path, *, title: str = ""
) -> None:
    """Draw all maps of a scan: at most twelve slices, evenly spread.

    T1, T2, M0 and the flags come first; the standard deviation and uncertainties of T1, and of T2,
    have a row each.

    Parameters
    ----------
    maps
        T1, T2, M0 and flags, and what else there is.
    affine
        Voxel index to millimetres in RAS+, `(4, 4)` [mm]; None where it is not known.
    path
        Of the PNG file.
    title
        Text above the maps.
    """
    images = _in_rows(dict(maps.images()))
    masked = (maps.flags & Flag.MASKED) != 0
    view, panels = page_view(affine), []
    for name, image in images:
        if name == "flags":
            panels.append(flags_panel(image, view))
        else:
            panels.append(map_panel(image, view, style_of(name, image), masked))
    columns = min(len(images), _COLUMNS)
    drawing.save_page(page_of(panels, columns, maps.t1.shape, affine, title), path)


def _in_rows(images: dict[str, Array]) -> list[tuple[str, Array]]:
    """Images by name, those that belong together in one row; others follow."""
    known = [name for name in _IN_ORDER if name in images]
    others = [name for name in images if name not in _IN_ORDER]
    return [(name, images[name]) for name in (*known, *others)]


def error_figure(
    reference: Mapping[str, Array],
    estimate: Mapping[str, Array],
    affine: FloatArray,
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """Draw reference, estimate and relative error of T1 and T2, in a row each.

    Parameters
    ----------
    reference, estimate
        Images `(x, y, z)` [s] under "t1" and "t2"; 0 where there is no reference.
    affine
        Voxel index to millimetres in RAS+, `(4, 4)` [mm].
    path
        Of the PNG file.
    title
        Text above the maps.

    Raises
    ------
    MismatchError
        If an estimate has another shape than its reference.
    """
    names = [name for name in ("t1", "t2") if name in reference and name in estimate]
    view, panels = page_view(affine), []
    for name in names:
        true, found = _pair(name, reference, estimate)
        for image, style in _reference_estimate_and_error(name, true, found):
            panels.append(map_panel(image, view, style, ~(true > 0)))
    shape = reference[names[0]].shape
    drawing.save_page(page_of(panels, 3, shape, affine, title), path)


def _pair(
    name: str, reference: Mapping[str, Array], estimate: Mapping[str, Array]
) -> tuple[FloatArray, FloatArray]:
    true = np.asarray(reference[name], np.float64)
    found = np.asarray(estimate[name], np.float64)
    if true.shape != found.shape:
        raise MismatchError(
            f"{name} has shape {found.shape}, expected {true.shape} as the reference"
        )
    return true, found


def _reference_estimate_and_error(
    name: str, true: FloatArray, found: FloatArray
) -> list[tuple[FloatArray, Style]]:
    """Three images, each with the style that it is shown in."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = 100 * (found - true) / true
    style, text = style_of(name), quantity(name).title
    return [
        (true, replace(style, title=f"true {text}")),
        (found, replace(style, title=f"estimated {text}")),
        (error, replace(ERROR_STYLE, title=f"error of {quantity(name).caption} [%]")),
    ]
