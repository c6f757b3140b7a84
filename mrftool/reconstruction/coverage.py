"""Whether a trajectory covers k-space well enough for an image."""

import numpy as np

from mrftool.arrays import BoolArray, FloatArray
from mrftool.errors import InputError
from mrftool.scan.kspace import Trajectory

_LEAST_REACH = 0.6  # along each axis, of the Nyquist frequency of the image
_COARSE = 12  # cells along each axis, none of which a trajectory leaves out on purpose
_LEAST_COARSE = 0.9  # share of those cells, within the reach of the trajectory
_EDGE = 0.9  # of the reach: cells beyond are cut by the edge
_LEAST_FINE = 0.5  # share of the cells of one per field of view, for one coil or two
_LEAST_SQUARE = 0.97  # share of the cells of the whole square


def require_coverage(trajectory: Trajectory, matrix: tuple[int, int], n_coils: int) -> None:
    """Raise InputError unless samples and coils determine an image of this size.

    The trajectory must reach the resolution of the image along both axes, must not leave a part of
    k-space out, as partial Fourier encoding does, and all its arms together must be no more
    undersampled than there are coils.
    """
    reach = abs(trajectory.points[trajectory.inside]).max(axis=0, initial=0.0) / np.pi
    for axis, share in zip("xy", reach, strict=True):
        if share < _LEAST_REACH:
            raise InputError(
                f"the trajectory covers {share:.2g} of the image's resolution along {axis}, "
                "expected about 1"
            )
    n_x, n_y = matrix
    coarse = _covered(trajectory, (min(n_x, _COARSE), min(n_y, _COARSE)), reach)
    if coarse < _LEAST_COARSE:
        raise InputError(
            f"the trajectory leaves {1 - coarse:.0%} of k-space out, expected samples in all parts"
        )
    fine, least = _covered(trajectory, matrix, reach), min(1 / n_coils, _LEAST_FINE)
    if fine < least:
        raise InputError(
            f"the arms together sample {fine:.1%} of k-space, which {n_coils} coils cannot make "
            f"up for, expected at least {least:.0%}"
        )


def require_covered_square(trajectory: Trajectory, matrix: tuple[int, int]) -> None:
    """Raise InputError unless the samples cover the square of k-space: its corners too.

    Unmeasured corners leave images free to differ there, which joint estimates turn into noise.
    """
    share = float(_seen(trajectory, (matrix[0] // 2, matrix[1] // 2)).mean())
    if share < _LEAST_SQUARE:
        raise InputError(
            f"the trajectory covers {share:.0%} of the k-space square, expected its corners "
            "too for a joint estimate"
        )


def _covered(trajectory: Trajectory, cells: tuple[int, int], reach: FloatArray) -> float:
    """Share of the cells within the reach of the trajectory that hold a sample [1]."""
    places = [(np.arange(n) + 0.5) / n * 2 - 1 for n in cells]
    x, y = np.meshgrid(*places, indexing="ij")
    within = (x / reach[0]) ** 2 + (y / reach[1]) ** 2 <= _EDGE**2
    return float(_seen(trajectory, cells)[within].mean())


def _seen(trajectory: Trajectory, cells: tuple[int, int]) -> BoolArray:
    """Cells of the k-space square that hold a sample `(x, y)`."""
    points = trajectory.points[trajectory.inside]
    seen = np.zeros(cells, bool)
    places = [
        np.clip(((points[:, axis] / (2 * np.pi) + 0.5) * size).astype(int), 0, size - 1)
        for axis, size in enumerate(cells)
    ]
    seen[places[0], places[1]] = True
    return seen
