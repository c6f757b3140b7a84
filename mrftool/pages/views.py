"""How a volume is laid out on a page: slices as a radiologist expects them, beside each other."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, FloatArray

MOST_SLICES = 12  # of a picture
_MARKS = {0: ("R", "L"), 1: ("A", "P"), 2: ("S", "I")}  # of the high and the low end of each axis


@dataclass(frozen=True)
class View:
    """Slices across the third voxel axis, in radiological convention: the patient's right is on the
    left.

    Parameters
    ----------
    axes
        Voxel axes of (slice, row, column).
    flips
        Which of them run backwards.
    left, right, top, bottom
        Letters for the directions of the edges: R, L, A, P, S, I.
    aspect
        Height / width of a voxel on the page [1].
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    left: str
    right: str
    top: str
    bottom: str
    aspect: float

    def planes(self, image: Array) -> Array:
        """Volume `(x, y, z, ...)` to pages `(slice, row, column, ...)`."""
        pages = np.moveaxis(image, self.axes, (0, 1, 2))
        backwards = tuple(int(axis) for axis in np.flatnonzero(self.flips))
        return np.asarray(np.flip(pages, backwards))


def view_of(affine: FloatArray) -> View:
    """The view of a volume whose voxels lie at `affine` `(4, 4)` [mm, RAS+]; oblique slices take
    the nearest plane.
    """
    edges = affine[:3, :3]
    size = np.linalg.norm(edges, axis=0)
    along = edges / size
    world = _nearest(along)
    through = world[2]
    across, up = {2: (0, 1), 1: (0, 2), 0: (1, 2)}[through]
    axes = (2, world.index(up), world.index(across))
    rises = [bool(along[world[axis], axis] > 0) for axis in axes]
    left, right = _MARKS[across]
    top, bottom = _MARKS[up]
    aspect = float(size[axes[1]] / size[axes[2]])
    # slices from low to high; rows and columns from high to low: front or head on top, right or
    # front on the left
    return View(axes, (not rises[0], rises[1], rises[2]), left, right, top, bottom, aspect)


def chosen_slices(n_slices: int, most: int) -> NDArray[np.intp]:
    """At most `most` of the slices, evenly spread, the middle one if one is wanted."""
    if n_slices <= most:
        return np.arange(n_slices)
    return np.floor((np.arange(most) + 0.5) * n_slices / most).astype(np.intp)


def shown_pages(image: Array, view: View) -> Array:
    """The slices of a volume that a picture shows: `(slice, row, column, ...)`."""
    pages = view.planes(image)
    return pages[chosen_slices(len(pages), MOST_SLICES)]


def slices_text(shape: tuple[int, ...], view: View) -> str:
    """Which slices a picture shows, counted from 1, in words."""
    n = shape[view.axes[0]]
    numbers = chosen_slices(n, MOST_SLICES) + 1
    if view.flips[0]:
        numbers = n + 1 - numbers
    if n == 1:
        return "one slice"
    if len(numbers) == n:
        return f"slices {numbers[0]} to {numbers[-1]}"
    return f"slices {', '.join(map(str, numbers))} of {n}"


def panel_height(shape: tuple[int, ...], view: View) -> float:
    """Height / width of the picture of a volume of that shape."""
    n_slices, rows, columns = (shape[axis] for axis in view.axes)
    n = min(n_slices, MOST_SLICES)
    height = rows * view.aspect
    across = montage_columns(n, height, columns)
    down = -(-n // across)
    return float(down * height / (across * columns))


def montage_columns(n_pages: int, height: float, width: float) -> int:
    """Pages beside each other, so that the montage is about as wide as high."""
    columns = np.arange(1, n_pages + 1)
    rows = -(-n_pages // columns)
    elongation = np.abs(np.log(columns * width / (rows * height)))
    return int(columns[np.argmin(elongation)])


def montage(pages: Array, columns: int) -> Array:
    """Pages `(page, row, column, channel)` in rows of `columns`, empty places 0."""
    n, height, width = pages.shape[:3]
    rows = -(-n // columns)
    full = np.zeros((rows * columns, *pages.shape[1:]), pages.dtype)
    full[:n] = pages
    grid = full.reshape(rows, columns, *pages.shape[1:]).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, *pages.shape[3:])


def orientation(affine: FloatArray) -> tuple[str, float]:
    """Where the three voxel axes run to, such as "RAS", and the largest angle between them and
    these directions [deg].

    affine: voxel index to millimetres in RAS+, `(4, 4)` [mm].
    """
    along = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    world = _nearest(along)
    cosines = [float(along[w, v]) for v, w in enumerate(world)]
    codes = [_MARKS[w][int(cosine <= 0)] for w, cosine in zip(world, cosines, strict=True)]
    return "".join(codes), float(np.rad2deg(np.arccos(min(1.0, *map(abs, cosines)))))


def _nearest(along: FloatArray) -> tuple[int, ...]:
    """The direction in the world that each voxel axis is closest to, all different."""
    return max(
        permutations(range(3)), key=lambda order: sum(abs(along[w, v]) for v, w in enumerate(order))
    )
