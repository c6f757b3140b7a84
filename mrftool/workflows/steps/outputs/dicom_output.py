"""Maps as DICOM: whether they are wanted, in whose study, and in which form."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError, MismatchError
from mrftool.quantities import QUANTITIES
from mrftool.scan.series import Series
from mrftool.workflows.steps.outputs.maps_run import MapsRun

if TYPE_CHECKING:
    from mrftool.formats.dicom.read.series import DicomSeries

DicomFormat = Literal["mr", "parametric-map"]
FOLDER = "dicom"  # of the DICOM maps, in the folder of the maps


@dataclass(frozen=True)
class DicomChoice:
    """What the caller asks for.

    Parameters
    ----------
    wanted : bool, optional
        By default, DICOM maps are written for a scan that came as DICOM.
    reference : Path, optional
        DICOM series in whose study the maps go.
    format : {"mr", "parametric-map"}, optional
        "mr", the default, stores whole ms; "parametric-map" stores float32.

    """

    wanted: bool | None = None
    reference: Path | None = None
    format: DicomFormat | None = None

    def __post_init__(self) -> None:
        if self.wanted is False and (self.reference or self.format):
            raise ArgumentError(
                "a DICOM reference and format do nothing where no DICOM maps are written",
                arguments=("dicom_reference", "dicom_format"),
            )

    def without_patient(self) -> "DicomChoice":
        """The choice of a run that says nothing of the patient: no DICOM maps.

        Raises ArgumentError if they are asked for, since they belong to the patient's study.
        """
        if self.wanted or self.reference or self.format:
            raise ArgumentError(
                "DICOM maps name the patient, expected none of them in an anonymous run",
                arguments=("anonymous",),
            )
        return DicomChoice(wanted=False)

    def chosen(self) -> dict[str, object]:
        """What was chosen, for the report."""
        return {"dicom-reference": self.reference, "dicom-format": self.format}


def dicom_choice(given: DicomChoice | None, anonymous: bool) -> DicomChoice:
    """What the caller asks for, the default, or what an anonymous run allows."""
    choice = given or DicomChoice()
    if anonymous:
        return choice.without_patient()
    return choice


@dataclass(frozen=True)
class DicomOutput:
    """The series in whose study the maps go, and their form."""

    reference: "DicomSeries"
    format: DicomFormat


def dicom_output(
    scan: Series, choice: DicomChoice, folder: Path, reporter: Reporter
) -> DicomOutput | None:
    """Where DICOM maps go; None if there are none to write.

    Whatever can be said of them before there are maps is checked here.

    Raises
    ------
    ArgumentError
        If maps are wanted as DICOM and no study is known.
    MismatchError
        If the reference does not cover the volume of the scan.
    InputError
        If the maps cannot be written as DICOM, or their folder holds other files.

    """
    output = _chosen_output(scan, choice, reporter)
    if output is not None:
        from mrftool.formats.dicom.write.objects import check_dicom_maps

        check_dicom_maps(
            folder / FOLDER,
            tuple(QUANTITIES),
            scan.placement,
            scan.shape,
            output.reference,
            format=output.format,
        )
    return output


def _chosen_output(scan: Series, choice: DicomChoice, reporter: Reporter) -> DicomOutput | None:
    if choice.wanted is False:
        return None
    form = choice.format or "mr"
    if choice.reference is not None:
        return DicomOutput(_reference(choice.reference, reporter), form)
    study = _as_dicom(scan)
    if study is not None:
        return DicomOutput(study, form)
    if choice.wanted or choice.format:
        raise ArgumentError(
            "DICOM maps need a study to go to, expected a DICOM scan or a reference series",
            arguments=("dicom_reference",),
        )
    return None


def _as_dicom(scan: Series) -> "DicomSeries | None":
    """The scan if it is a DICOM series; the slow module is not imported for other scans."""
    if "mrftool.formats.dicom.read.series" not in sys.modules:
        return None
    from mrftool.formats.dicom.read.series import DicomSeries

    if isinstance(scan, DicomSeries):
        return scan
    return None


def _reference(path: Path, reporter: Reporter) -> "DicomSeries":
    """The series in whose study maps go. Raises MismatchError if the folder holds several."""
    from mrftool.formats.dicom.read.series import open_dicom_series

    try:
        return open_dicom_series(path, progress=reporter.progress, place_only=True)
    except MismatchError as error:
        hint = "give a folder that holds the reference series alone"
        raise MismatchError(str(error), hint=hint) from error


def write_dicom(
    run: MapsRun, folder: Path, output: DicomOutput | None, reporter: Reporter
) -> list[Path]:
    """Write the maps as DICOM, all or none; the folder or file of each.

    Parameters
    ----------
    run
        What was done, and the maps that came out.
    folder
        Of the maps; those in DICOM go into a folder in it.
    output
        The study that they go to; None for no DICOM maps.
    reporter
        Hears of values that DICOM cannot hold.
    """
    if output is None:
        return []
    from mrftool.formats.dicom.write.objects import with_units, write_dicom_maps

    written = write_dicom_maps(
        folder / FOLDER,
        with_units(run.maps),
        run.series.placement,
        output.reference,
        run.provenance(),
        format=output.format,
    )
    for entry in written:
        for text, count in entry.counts.items():
            reporter.note(f"DICOM map {entry.name}: {count} voxels {text}")
    first_files = [entry.paths[0] for entry in written]
    if output.format == "parametric-map":
        return first_files
    return [file.parent for file in first_files]
