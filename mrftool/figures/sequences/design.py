"""Trains of several sequences, and their precision over T1 and T2, side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mrftool.design.precision import REFERENCE_NOISE, Precision
from mrftool.figures.canvas import picture
from mrftool.figures.sequences.precision import EFFICIENCY, Marks, draw_plane
from mrftool.sequence import PulseSequence

_NAMES = ("T1", "T2")


def design_figure(
    sequences: Sequence[PulseSequence],
    precisions: Sequence[Precision],
    path: str | Path,
    *,
    tissues: Marks,
) -> None:
    """Draw the flip angles of all sequences above, and the precision of each of them below.

    Parameters
    ----------
    sequences
        What is played.
    precisions
        Of each sequence, on one `plane` of T1 and T2.
    path
        Of the PNG file.
    tissues
        T1 and T2 of tissues to mark [s].
    """
    root, count = "\N{SQUARE ROOT}", len(sequences)
    title = f"Flip angles, and T / sd / {root}(scan time) [1/{root}s] for noise of "
    title += f"{100 * REFERENCE_NOISE:g} % of M0"
    with picture(path, max(5.2 * count, 8), 12.5, title=title) as figure:
        grid = figure.add_gridspec(3, count, height_ratios=(0.8, 1, 1))
        trains = figure.add_subplot(grid[0, :])
        for sequence in sequences:
            n = np.arange(1, len(sequence.flip_angle) + 1)
            trains.plot(n, np.rad2deg(sequence.flip_angle), lw=1.2, label=sequence.name)
        trains.set(xlabel="pulse", ylabel="flip angle [deg]")
        trains.grid(alpha=0.3)
        trains.legend(frameon=False)
        for column, (sequence, found) in enumerate(zip(sequences, precisions, strict=True)):
            for row, name in enumerate(_NAMES):
                axes = figure.add_subplot(grid[row + 1, column])
                draw_plane(axes, found.tissue, found.efficiency[:, row], EFFICIENCY, tissues)
                axes.set_title(f"{sequence.name}: {name}", fontsize=11)
