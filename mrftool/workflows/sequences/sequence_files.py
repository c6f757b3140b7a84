"""Check sequence files, and exchange sequences with other tools."""

from collections.abc import Iterable
from pathlib import Path

from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError, InputError
from mrftool.formats.atomic import write_text
from mrftool.formats.sequence.completion import Imported
from mrftool.formats.sequence.heartbeats import read_with_heartbeats
from mrftool.formats.sequence.importing import PULSEQ, import_sequence, imported_text
from mrftool.formats.sequence.pulseq.writing.scanner import Scanner
from mrftool.formats.sequence.pulseq.writing.write import write_pulseq
from mrftool.formats.sequence.sources import Given
from mrftool.formats.sequence.tables.columns import Layout
from mrftool.formats.sequence.write import export_sequence
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.sequence import PulseSequence
from mrftool.workflows.steps.outputs.own_files import require_own_sequence
from mrftool.workflows.steps.outputs.places import keep_inputs


def check_sequences(names: Iterable[str | Path]) -> tuple[dict[str, PulseSequence], list[str]]:
    """Read sequence files: those that are sound, by name, and the faults of the others."""
    sound: dict[str, PulseSequence] = {}
    faults: list[str] = []
    for name in names:
        try:
            sound[str(name)] = read_sequence(name)
        except InputError as error:
            faults.append(str(error))
    return sound, faults


def import_sequence_file(
    file: Path,
    output: Path,
    reporter: Reporter,
    *,
    given: Given | None = None,
    layout: Layout | None = None,
    overwrite: bool = False,
) -> Imported:
    """Make a sequence file of another tool's file.

    Parameters
    ----------
    file : Path
        Pulseq (.seq), ISMRMRD (.h5, .mrd), or a table of numbers.
    output : Path
        The sequence file to write (YAML).
    reporter : Reporter
        Hears of progress and notes.
    given : Given, optional
        What the file does not say: nothing is guessed.
    layout : Layout, optional
        Of a table.
    overwrite : bool
        Whether `output` may replace a file that mrftool did not write.

    """
    keep_inputs([file], [output])
    require_own_sequence(output, overwrite=overwrite)
    with reporter.working(f"reading {file}"):
        imported = import_sequence(file, given, layout)
    write_text(imported_text(imported, file), output)
    for sentence in imported.notes:
        reporter.note(sentence)
    return imported


def export_sequence_file(
    name: str | Path,
    output: Path,
    reporter: Reporter | None = None,
    *,
    rr: str | None = None,
    scanner: Scanner | None = None,
    overwrite: bool = False,
) -> PulseSequence:
    """Write a sequence as a table (.csv), or as YAML with every rule resolved, which keep its id;
    or as a Pulseq file (.seq) that a scanner can play.

    Parameters
    ----------
    name : str or Path
        Sequence file, or the name of a shipped one.
    output : Path
        The file to write.
    reporter : Reporter, optional
        Hears what a Pulseq file plays in another way than the sequence says.
    rr : str, optional
        RR intervals [ms], as `read_heartbeats` reads them.
    scanner : Scanner, optional
        Limits of the scanner that plays a Pulseq file.
    overwrite : bool
        Whether `output` may replace a file that mrftool did not write.

    """
    keep_inputs([Path(name)], [output])
    require_own_sequence(output, overwrite=overwrite)
    if output.suffix.lower() not in PULSEQ:
        if scanner is not None:
            raise ArgumentError("limits of a scanner are for Pulseq files (.seq)")
        return export_sequence(str(name), output, rr=rr)
    sequence = read_with_heartbeats(str(name), rr)
    for sentence in write_pulseq(sequence, output, scanner):
        if reporter is not None:
            reporter.note(sentence)
    return sequence
