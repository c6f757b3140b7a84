"""Maps as DICOM: whether they are wanted, in whose study, and in which form."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mrftool.cli.console import note, progress_bar
from mrftool.errors import ArgumentError, MismatchError
from mrftool.formats.bids import Provenance
from mrftool.maps import Maps
from mrftool.series import Series

if TYPE_CHECKING:
    from mrftool.formats.dicom.read.series import DicomSeries

DicomFormat = Literal["mr", "parametric-map"]
FOLDER = "dicom"  # of the DICOM maps, in the folder of the maps


@dataclass(frozen=True)
class DicomOutput:
    """The series in whose study the maps go, and their form."""

    reference: "DicomSeries"
    format: DicomFormat


def dicom_output(
    scan: Series, wanted: bool | None, reference: Path | None, form: DicomFormat | None
) -> DicomOutput | None:
    """What the options ask for: by default DICOM maps for a scan that came as DICOM.

    Raises ArgumentError if maps are wanted as DICOM and no study is known, or if an option would do
    nothing.
    """
    from mrftool.formats.dicom.read.series import DicomSeries

    if wanted is False and (reference or form):
        raise ArgumentError(
            "--no-dicom leaves nothing for --dicom-reference and --dicom-format to do"
        )
    if wanted is False:
        return None
    if reference is not None:
        return DicomOutput(_reference(reference), form or "mr")
    if isinstance(scan, DicomSeries):
        return DicomOutput(scan, form or "mr")
    if wanted or form:
        raise ArgumentError(
            "DICOM maps need a study to go to, expected a DICOM scan",
            hint="pass --dicom-reference SERIES",
        )
    return None


def _reference(path: Path) -> "DicomSeries":
    """The series in whose study maps go. Raises MismatchError if the folder holds several."""
    from mrftool.formats.dicom.read.series import open_dicom_series

    try:
        return open_dicom_series(path, progress=progress_bar, place_only=True)
    except MismatchError as error:
        hint = "for --dicom-reference, give a folder with one series alone"
        raise MismatchError(str(error), hint=hint) from error


@contextmanager
def dicom_maps(
    maps: Maps, folder: Path, series: Series, output: DicomOutput | None, provenance: Provenance
) -> Iterator[list[Path]]:
    """Writes the maps as DICOM; yields the folders and files of each map. If the block fails, they
    are gone again.
    """
    if output is None:
        yield []
        return
    from mrftool.formats.dicom.write.objects import with_units, write_dicom_maps

    place = folder / FOLDER
    there = place.exists()
    written = write_dicom_maps(
        place,
        with_units(maps),
        series.placement,
        output.reference,
        provenance,
        format=output.format,
    )
    try:
        yield [
            entry.paths[0] if output.format == "parametric-map" else entry.paths[0].parent
            for entry in written
        ]
    except BaseException:
        for path in (path for entry in written for path in entry.paths):
            path.unlink(missing_ok=True)
        if not there:
            shutil.rmtree(place, ignore_errors=True)
        raise
    for entry in written:
        for text, count in entry.counts.items():
            note(f"DICOM map {entry.name}: {count} voxels {text}")
