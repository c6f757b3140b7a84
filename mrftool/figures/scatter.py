"""Estimates against a reference, voxel by voxel."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from mrftool.arrays import BoolArray, FloatArray
from mrftool.evaluation.score_tables import in_words
from mrftool.figures.canvas import Look, picture
from mrftool.quantities import quantity
from mrftool.tissue import Tissue

_MOST_POINTS = 20_000


def scatter_figure(
    reference: Tissue,
    estimate: Mapping[str, ArrayLike],
    path: str | Path,
    *,
    labels: NDArray[np.integer] | None = None,
    classes: Sequence[str] = (),
    title: str = "",
) -> None:
    """Draw estimated against true T1 and T2, in colours of the tissue classes.

    Parameters
    ----------
    reference
        Of each voxel.
    estimate
        Columns `(voxel,)` [s] under "t1" and "t2"; values that are not above 0 are left out.
    path
        Of the PNG file.
    labels
        Class of each voxel, as an index into `classes`.
    classes
        Their names.
    title
        Text above the panels.
    """
    names = [name for name in ("t1", "t2") if name in estimate]
    groups = _groups(len(reference), labels, classes)
    with picture(path, 5.2 * len(names) + 1.5, 5.2, title=title) as figure:
        for axes, name in zip(np.ravel(figure.subplots(1, len(names))), names, strict=True):
            true = 1e3 * getattr(reference, name)
            _scatter(axes, true, 1e3 * np.asarray(estimate[name], np.float64), groups)
            _identity_axes(axes, true[true > 0], quantity(name).title)
        if labels is not None:
            handles, texts = axes.get_legend_handles_labels()
            figure.legend(handles, texts, loc="outside right upper", markerscale=5, frameon=False)


def _groups(
    n: int, labels: NDArray[np.integer] | None, classes: Sequence[str]
) -> list[tuple[str, BoolArray]]:
    """The voxels of each class that occurs, by the name that the legend shows."""
    if labels is None:
        return [("voxels", np.ones(n, bool))]
    members = [(in_words(name), labels == index) for index, name in enumerate(classes)]
    return [(text, mask) for text, mask in members if mask.any()]


def _scatter(
    axes: Axes, true: FloatArray, found: FloatArray, groups: list[tuple[str, BoolArray]]
) -> None:
    """At most `_MOST_POINTS` voxels, evenly spread."""
    n = len(true)
    kept = np.unique(np.linspace(0, n - 1, min(n, _MOST_POINTS)).astype(int))
    look: Look = {"ms": 2.5, "alpha": 0.5, "mew": 0}
    for index, (text, mask) in enumerate(groups):
        chosen = kept[mask[kept] & (found[kept] > 0)]
        colour = colormaps["tab10"](index % 10)
        axes.plot(true[chosen], found[chosen], ".", color=colour, label=text, **look)


def _identity_axes(axes: Axes, true: FloatArray, title: str) -> None:
    """Logarithmic axes around the reference, with the line on which estimates should lie."""
    low, high = 1.0, 1e4
    if true.size:
        low, high = float(true.min()) / 2, float(true.max()) * 2
    axes.plot([low, high], [low, high], color="0.3", lw=0.8, zorder=0)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=f"true {title}", ylabel=f"estimated {title}")
    axes.grid(alpha=0.3)
