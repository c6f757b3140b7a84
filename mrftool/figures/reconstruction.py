"""Pictures of a reconstruction: how it converged, and what came out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mrftool.arrays import Array, FloatArray
from mrftool.figures.canvas import picture

_BRIGHT = 99.5  # percentile that is shown as white


def reconstruction_figure(
    residuals: Sequence[FloatArray], magnitude: Array, amplification: Array | None, path: Path
) -> None:
    """Residual over iterations, the first coefficient, and how much the noise is amplified.

    Parameters
    ----------
    residuals
        Relative residual after each iteration, for each slice [1].
    magnitude
        Modulus of the first coefficient of a slice `(x, y)`.
    amplification
        Noise over that of perfect encoding `(x, y)` [1]; None where it is not known.
    path
        Of the PNG file.
    """
    with picture(path, 12, 4) as figure:
        panels = figure.subplots(1, 3)
        _curve(panels[0], residuals)
        top = float(np.percentile(magnitude, _BRIGHT))
        _image(panels[1], magnitude, "first coefficient", (0, top), "gray")
        if amplification is None:
            panels[2].set_axis_off()
            return
        limits = (float(amplification.min()), float(np.percentile(amplification, _BRIGHT)))
        _image(panels[2], amplification, "noise over perfect encoding [1]", limits, "viridis")


def _curve(axes: Axes, residuals: Sequence[FloatArray]) -> None:
    for values in residuals:
        axes.semilogy(np.arange(1, len(values) + 1), values, color="C0", alpha=0.6)
    axes.set_xlabel("iteration")
    axes.set_ylabel("residual of the normal equations [1]")
    axes.grid(alpha=0.3)


def _image(axes: Axes, image: Array, title: str, limits: tuple[float, float], colours: str) -> None:
    drawn = axes.imshow(image.T, origin="lower", cmap=colours, vmin=limits[0], vmax=limits[1])
    axes.figure.colorbar(drawn, ax=axes, shrink=0.8)
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
