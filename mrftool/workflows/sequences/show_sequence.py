"""Show a sequence and the precision that it allows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.design.precision import Precision, plane, precision
from mrftool.environment.reporter import Reporter
from mrftool.evaluation.text_tables import TextTable
from mrftool.figures.curves import sequence_figure
from mrftool.figures.sequences.diagram import diagram_figure
from mrftool.figures.sequences.precision import comparison_figure, precision_figure
from mrftool.figures.sequences.sensitivity import sensitivity_figure
from mrftool.formats.atomic import all_or_none
from mrftool.formats.sequence.heartbeats import read_with_heartbeats
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.manifold.sensitivity import sensitivity
from mrftool.physics.cramer_rao import Form
from mrftool.reports.sequences.sequence_tables import (
    common_tissue,
    precision_table,
    sensitivity_table,
)
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.steps.outputs.places import file_stem

_T1, _T2, _SIZE = (0.1, 5.0), (0.005, 3.0), 33  # [s], points along each axis


@dataclass(frozen=True)
class SequenceView:
    """A sequence, its precision and sensitivity in common tissues, and the pictures written."""

    sequence: PulseSequence
    precision: TextTable
    sensitivity: TextTable
    paths: tuple[Path, ...]


def show_sequence(
    name: str | Path,
    picture: Path | None,
    reporter: Reporter,
    *,
    rr: str | None = None,
    compare: str | Path | None = None,
    snr: float = 20.0,
    form: Form = "complex",
) -> SequenceView:
    """Find the precision and the sensitivity of a sequence, and draw them beside it.

    Parameters
    ----------
    name : str or Path
        Sequence file, or the name of a shipped one.
    picture : Path, optional
        Picture of flip angles, RF phases, TR and TE (PNG); pictures of the events over time, the
        Cramer-Rao bound and the sensitivity to given values go beside it. By default named after
        the sequence.
    reporter : Reporter
        Hears of progress and notes.
    rr : str, optional
        RR intervals [ms], as `read_heartbeats` reads them.
    compare : str or Path, optional
        Another sequence to compare the bounds with.
    snr : float
        Root mean square of each tissue's fingerprint over the noise of each channel [1].
    form : {"complex", "magnitude"}
        Of the signals.

    """
    sequence, other = read_with_heartbeats(name, rr), None
    if compare is not None:
        other = read_sequence(compare)
    names, tissue = common_tissue()
    marks = {word: (t1, t2) for word, t1, t2 in zip(names, tissue.t1, tissue.t2, strict=True)}
    found = _bounds(sequence, other, snr, form, reporter)
    n_common = len(names)
    common = [bound[:n_common] for bound in found]
    planes = [bound[n_common:] for bound in found]
    sensitive = sensitivity(sequence, tissue, form=form)
    paths = _pictures(sequence, other, picture)
    with all_or_none(paths) as (train, diagram, bound, shifts, *comparison):
        sequence_figure(sequence, train)
        diagram_figure(sequence, diagram)
        precision_figure(planes[0], sequence, snr, bound, tissues=marks)
        sensitivity_figure(sensitive, common[0], sequence, snr, shifts, tissues=names)
        if other is not None:
            per_scan = float(np.sqrt(sequence.duration / other.duration))
            of_both = (sequence.name, other.name)
            comparison_figure(planes[0], planes[1], of_both, per_scan, comparison[0], tissues=marks)
    if other is None:
        table = precision_table(sequence.name, common[0], snr)
    else:
        table = precision_table(sequence.name, common[0], snr, common[1], other.name)
    shift_table = sensitivity_table(sequence.name, names, sensitive, common[0], snr)
    return SequenceView(sequence, table, shift_table, tuple(paths))


def _bounds(
    sequence: PulseSequence,
    other: PulseSequence | None,
    snr: float,
    form: Form,
    reporter: Reporter,
) -> list[Precision]:
    """Precision of one or both sequences: of the common tissues, then of points over T1 and T2."""
    _, tissue = common_tissue()
    points = plane(_T1, _T2, _SIZE)
    both = Tissue(np.concatenate([tissue.t1, points.t1]), np.concatenate([tissue.t2, points.t2]))
    sequences = [sequence]
    if other is not None:
        sequences.append(other)
    with reporter.progress("finding the bound", len(both) * len(sequences)) as progress:
        return [precision(each, both, snr, form=form, progress=progress) for each in sequences]


def _pictures(
    sequence: PulseSequence, other: PulseSequence | None, picture: Path | None
) -> list[Path]:
    """Pictures of the sequence, its events, its bound, its sensitivity, and the comparison."""
    first = picture or Path(f"{file_stem(sequence.name)}.png")
    beside = ["diagram", "precision", "sensitivity"]
    if other is not None:
        beside.append(f"against_{file_stem(other.name)}")
    return [first, *(first.with_name(f"{first.stem}_{name}.png") for name in beside)]
