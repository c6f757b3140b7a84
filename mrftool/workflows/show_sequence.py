"""The work behind the bound in `mrftool sequence show`: what the sequence can reach, in pictures
and as a table.
"""

from pathlib import Path

import numpy as np

from mrftool.cli.console import file_stem, progress_bar
from mrftool.design.precision import plane, precision
from mrftool.evaluation.text_tables import TextTable
from mrftool.figures.curves import sequence_figure
from mrftool.figures.precision import comparison_figure, precision_figure
from mrftool.formats.atomic import all_or_none
from mrftool.physics.cramer_rao import Form
from mrftool.reports.precision_table import common_tissue, precision_table
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_T1, _T2, _SIZE = (0.1, 5.0), (0.005, 3.0), 33  # [s], points along each axis


def show_reach(
    sequence: PulseSequence, other: PulseSequence | None, snr: float, form: Form, picture: Path
) -> tuple[TextTable, list[Path]]:
    """The bounds of `sequence`, compared with those of `other`, as a table; and the pictures that
    were written.

    These are `picture`, of the train, and those of the bounds beside it: all of them, or none.
    """
    names, tissue = common_tissue()
    points = plane(_T1, _T2, _SIZE)
    both = Tissue(np.concatenate([tissue.t1, points.t1]), np.concatenate([tissue.t2, points.t2]))
    sequences = [sequence] if other is None else [sequence, other]
    with progress_bar("finding the bound", len(both) * len(sequences)) as progress:
        found = [precision(each, both, snr, form=form, progress=progress) for each in sequences]
    named = {name: (t1, t2) for name, t1, t2 in zip(names, tissue.t1, tissue.t2, strict=True)}
    few, planes = (
        [each[part] for each in found] for part in (slice(len(names)), slice(len(names), None))
    )
    beside = ["precision"] if other is None else ["precision", f"against_{file_stem(other.name)}"]
    paths = [picture, *(picture.with_name(f"{picture.stem}_{name}.png") for name in beside)]
    with all_or_none(paths) as (train, bound, *comparison):
        sequence_figure(sequence, train)
        precision_figure(planes[0], sequence, snr, bound, tissues=named)
        if other is not None:
            per_scan = float(np.sqrt(sequence.duration / other.duration))
            of_both = (sequence.name, other.name)
            comparison_figure(planes[0], planes[1], of_both, per_scan, comparison[0], tissues=named)
    if other is None:
        return precision_table(sequence.name, few[0], snr), paths
    return precision_table(sequence.name, few[0], snr, few[1], other.name), paths
