"""Sequences from files of other tools: Pulseq, MRD headers, tables of numbers."""

import hashlib
from dataclasses import replace
from pathlib import Path

from mrftool.errors import ArgumentError, InputError
from mrftool.formats.regular_file import require_regular
from mrftool.formats.sequence.completion import Imported, combine
from mrftool.formats.sequence.mrd.header import mrd_findings
from mrftool.formats.sequence.pulseq.train import pulseq_findings
from mrftool.formats.sequence.sources import Findings, Given
from mrftool.formats.sequence.tables.columns import Layout
from mrftool.formats.sequence.tables.read import table_findings
from mrftool.formats.sequence.tables.text import read_table
from mrftool.formats.sequence.write import from_csv, is_own, yaml_text
from mrftool.sequence import PulseSequence

PULSEQ = (".seq",)
MRD = (".h5", ".hdf5", ".mrd", ".ismrmrd")
LONGEST_NAME = 100


def import_sequence(
    path: Path, given: Given | None = None, layout: Layout | None = None
) -> Imported:
    """Read the sequence in a file of another tool, completed by what the user says of it.

    Parameters
    ----------
    path : Path
        .seq is Pulseq, .h5 and .mrd are ISMRMRD, everything else is a table of numbers.
    given : Given, optional
        What the user says of the sequence.
    layout : Layout, optional
        What the user says of a table.

    Raises
    ------
    InputError
        Naming every fault, and every quantity that neither the file nor the user says.
    ArgumentError
        For arguments that the format has no use for.
    MissingExtraError
        If the package for the format is absent.
    """
    given, layout = given or Given(), layout or Layout()
    name = _name(path, given)
    if not path.exists():
        raise InputError(f"{path}: no such file, expected a sequence of another tool")
    require_regular(path, "a sequence of another tool")
    suffix = path.suffix.lower()
    _refuse_unused(suffix, given, layout)
    if suffix in PULSEQ:
        found = pulseq_findings(path, given)
    elif suffix in MRD:
        found = mrd_findings(path)
    else:
        found = _table(path, given, layout)
    return combine(found, given, name, str(path))


def _name(path: Path, given: Given) -> str:
    """The name of the sequence: the one given, or that of the file."""
    name = given.name or path.stem[:LONGEST_NAME] or "unnamed"
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ArgumentError(f"a name of {len(name)} letters, expected 1 to {LONGEST_NAME}")
    return name


def imported_text(imported: Imported, path: Path) -> str:
    """The sequence file of an import, whose description tells its origin and every assumption."""
    notes = ". ".join(note[0].upper() + note[1:] for note in imported.notes)
    description = f"Imported from {path.name} ({imported.origin}). {notes}."
    source = f"{path.name}, SHA-256 {_sha256(path)}"
    return yaml_text(imported.sequence, _printable(description), _printable(source))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _refuse_unused(suffix: str, given: Given, layout: Layout) -> None:
    """Refuse arguments that would do nothing."""
    if suffix in (*PULSEQ, *MRD) and layout != Layout():
        raise ArgumentError(
            "columns, units, bases, rows and the decimal sign are for tables of numbers"
        )
    if suffix not in PULSEQ:
        _refuse_pulseq_arguments(given)
    has_inversion = given.inversion_time is not None or given.inversion_efficiency is not None
    if given.no_inversion and has_inversion:
        raise ArgumentError(
            "no inversion and the numbers of an inversion exclude each other",
            arguments=["inversion"],
        )


def _refuse_pulseq_arguments(given: Given) -> None:
    said = (given.slice_positions, given.field, given.rr)
    if said == (None, None, None) and not given.receiver_follows:
        return
    raise ArgumentError(
        "the slice profile, the receiver, the field of the magnet and RR intervals are for Pulseq "
        "files",
        arguments=["slice_positions", "receiver_follows", "field", "rr"],
    )


def _table(path: Path, given: Given, layout: Layout) -> Findings:
    table = read_table(path, layout.decimal)
    if not is_own(table):
        return table_findings(path, given, layout)
    if layout != Layout():
        raise ArgumentError(
            "columns, units, bases and rows are for tables that mrftool did not write"
        )
    return _as_findings(from_csv(table, str(path)))


def _as_findings(sequence: PulseSequence) -> Findings:
    found = Findings(
        "list of mrftool",
        name=sequence.name,
        flip_angle=sequence.flip_angle,
        rf_phase=sequence.rf_phase,
        tr=sequence.tr,
        te=sequence.te,
        spoiling=sequence.spoiling,
        spoiler=sequence.spoiler,
        slice_profile=sequence.slice_profile,
    )
    train = sequence.train
    if train is None:
        return replace(found, events=tuple(sequence.events))
    found = replace(
        found,
        has_inversion=train.inversion is not None,
        repeats=train.repeats,
        wait=train.wait,
    )
    if train.inversion is None:
        return found
    time, efficiency = train.inversion.time, train.inversion.efficiency
    return replace(found, inversion_time=time, inversion_efficiency=efficiency)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
