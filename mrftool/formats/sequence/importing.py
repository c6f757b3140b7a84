"""Sequences from files of other tools: Pulseq, MRD headers, tables. One front door for all of them."""

import hashlib
from pathlib import Path

from mrftool.errors import ArgumentError, InputError
from mrftool.formats.regular_file import require_regular
from mrftool.formats.sequence.columns import Layout, table_findings
from mrftool.formats.sequence.completion import Findings, Given, Imported, combine
from mrftool.formats.sequence.mrd_header import mrd_findings
from mrftool.formats.sequence.pulseq.train import pulseq_findings
from mrftool.formats.sequence.text_table import read_table
from mrftool.formats.sequence.write import from_csv, is_own, yaml_text
from mrftool.sequence import PulseSequence

PULSEQ = (".seq",)
MRD = (".h5", ".hdf5", ".mrd", ".ismrmrd")


def import_sequence(
    path: Path, given: Given | None = None, layout: Layout | None = None
) -> Imported:
    """The sequence in a file of another tool, completed by what the user says of it.

    .seq is Pulseq, .h5 and .mrd are ISMRMRD, everything else is a table of numbers: see `Layout`.

    Raises InputError that names every fault and everything that neither the file nor the user says;
    ArgumentError for options that the format has no use for; MissingExtraError if the package for the
    format is absent.
    """
    given, layout = given or Given(), layout or Layout()
    name = given.name or path.stem[:100] or "unnamed"
    if not 1 <= len(name) <= 100:
        raise ArgumentError(f"a name of {len(name)} letters, expected 1 to 100")
    if not path.exists():
        raise InputError(f"{path}: no such file, expected a sequence of another tool")
    require_regular(path, "a sequence of another tool")
    suffix = path.suffix.lower()
    _check_options(suffix, given, layout)
    if suffix in PULSEQ:
        found = pulseq_findings(path, given)
    elif suffix in MRD:
        found = mrd_findings(path)
    else:
        found = _from_text(path, given, layout)
    return combine(found, given, name, str(path))


def imported_text(imported: Imported, path: Path) -> str:
    """The sequence file of an import: with all that was assumed in its description, and the file it
    came from.
    """
    notes = ". ".join(note[0].upper() + note[1:] for note in imported.notes)
    description = f"Imported from {path.name} ({imported.origin}). {notes}."
    said = (description, f"{path.name}, SHA-256 {_sha256(path)}")
    return yaml_text(
        imported.sequence, *("".join(c if c.isprintable() else "?" for c in text) for text in said)
    )


def _check_options(suffix: str, given: Given, layout: Layout) -> None:
    """An option that would do nothing is refused."""
    if suffix in (*PULSEQ, *MRD) and layout != Layout():
        raise ArgumentError(
            "columns, units, bases, rows and the decimal sign are options for tables of numbers"
        )
    if suffix not in PULSEQ and (
        given.slice_positions is not None or given.receiver_follows or given.field is not None
    ):
        raise ArgumentError(
            "--slice-profile, --receiver-follows and --field-t are options for Pulseq files"
        )
    if given.no_inversion and (
        given.inversion_time is not None or given.inversion_efficiency is not None
    ):
        raise ArgumentError("--no-inversion and an inversion exclude each other")


def _from_text(path: Path, given: Given, layout: Layout) -> Findings:
    table = read_table(path, layout.decimal)
    if not is_own(table):
        return table_findings(path, given, layout)
    if layout != Layout():
        raise ArgumentError(
            "columns, units, bases and rows are options for tables that mrftool did not write"
        )
    return _as_findings(from_csv(table, str(path)))


def _as_findings(sequence: PulseSequence) -> Findings:
    inversion = sequence.inversion
    return Findings(
        "list of mrftool",
        name=sequence.name,
        flip_angle=sequence.flip_angle,
        rf_phase=sequence.rf_phase,
        tr=sequence.tr,
        te=sequence.te,
        has_inversion=inversion is not None,
        inversion_time=inversion.time if inversion else None,
        inversion_efficiency=inversion.efficiency if inversion else None,
        spoiling=sequence.spoiling,
        spoiler=sequence.spoiler,
        slice_profile=sequence.slice_profile,
        repeats=sequence.repeats,
        wait=sequence.wait,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
