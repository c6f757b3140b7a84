"""Compare sequences: precision, sensitivities, energy and time, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.design.arm_loss import Order
from mrftool.design.comparison import characteristics
from mrftool.design.precision import Precision, plane, precision
from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError
from mrftool.evaluation.text_tables import TextTable
from mrftool.figures.sequences.design import design_figure
from mrftool.formats.atomic import all_or_none
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.reports.sequences.comparison_table import comparison_table
from mrftool.reports.sequences.sequence_tables import common_tissue
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

MAX_SEQUENCES = 6
_TISSUES = ("WM", "GM")
_T1, _T2, _SIZE, _SNR = (0.1, 5.0), (0.005, 3.0), 25, 20.0  # of the plane [s], points, any SNR


@dataclass(frozen=True)
class SequenceComparison:
    """The table of a comparison, and the picture written."""

    table: TextTable
    path: Path


def compare_sequences(
    names: Sequence[str | Path], picture: Path, reporter: Reporter, *, arms: int, order: Order
) -> SequenceComparison:
    """Compare sequences from files or by names of shipped ones.

    Parameters
    ----------
    names
        Of 2 to MAX_SEQUENCES sequences.
    picture
        Of trains and precision (PNG).
    reporter
        Told of the progress.
    arms, order
        Of the trajectory: see `mrftool.design.arm_loss.arm_of_repetition`.

    Raises
    ------
    ArgumentError
        If there are too few sequences or too many.
    """
    if not 2 <= len(names) <= MAX_SEQUENCES:
        raise ArgumentError(f"{len(names)} sequence(s), expected 2 to {MAX_SEQUENCES}")
    sequences = [read_sequence(name) for name in names]
    table = table_of(sequences, reporter, arms=arms, order=order)
    with all_or_none([picture]) as (path,):
        draw(sequences, path, reporter)
    return SequenceComparison(table, picture)


def table_of(
    sequences: Sequence[PulseSequence], reporter: Reporter, *, arms: int, order: Order
) -> TextTable:
    """The numbers of each sequence in white and grey matter."""
    names, tissue = common_tissue()
    chosen = [names.index(name) for name in _TISSUES]
    tissue = Tissue(tissue.t1[chosen], tissue.t2[chosen])
    found = []
    with reporter.progress("comparing sequences", len(sequences)) as progress:
        for sequence in sequences:
            found.append(characteristics(sequence, tissue, arms=arms, order=order))
            progress(1)
    return comparison_table(found, _TISSUES, arms)


def draw(sequences: Sequence[PulseSequence], path: Path, reporter: Reporter) -> None:
    """The trains and their precision over T1 and T2."""
    names, tissue = common_tissue()
    marks = {name: (t1, t2) for name, t1, t2 in zip(names, tissue.t1, tissue.t2, strict=True)}
    points = plane(_T1, _T2, _SIZE)
    found: list[Precision] = []
    with reporter.progress("finding the bound", len(points) * len(sequences)) as progress:
        for sequence in sequences:
            with np.errstate(divide="ignore"):
                found.append(precision(sequence, points, _SNR, progress=progress))
    design_figure(sequences, found, path, tissues=marks)
