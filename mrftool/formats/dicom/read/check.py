"""Checks of the planes that were chosen, and what is worth a note about them."""

from collections.abc import Sequence

from mrftool.errors import InputError
from mrftool.formats.dicom.read.plane import Plane


def check_planes(planes: Sequence[Plane]) -> None:
    """Raises InputError for duplicates, frames that are not described, and mixed frames of
    reference.
    """
    seen: dict[tuple[str, int], Plane] = {}
    described: dict[str, int] = {}
    for plane in planes:
        described[plane.path] = described.get(plane.path, 0) + 1
        uid = plane.values.get("SOPInstanceUID")
        if uid is None:
            raise InputError(
                f"{plane.name}: SOPInstanceUID is missing, expected each image to have its own"
            )
        twin = seen.setdefault((uid, plane.index), plane)
        if twin is not plane:
            raise InputError(
                f"{plane.name}: is the same instance as {twin.name}, expected each image once"
            )
    for plane in planes:
        if plane.n_frames != described[plane.path]:
            raise InputError(
                f"{plane.label}: has {plane.n_frames} frames and describes {described[plane.path]}, "
                "expected a single-frame or an enhanced multi-frame image"
            )
    _one_space(planes)


def notes_of(planes: Sequence[Plane]) -> tuple[str, ...]:
    """What a reader of the report should know about these images."""
    notes = []
    if any(str(plane.values.get("LossyImageCompression", "00")) == "01" for plane in planes):
        notes.append("Images were compressed with loss.")
    modality = planes[0].values.get("Modality", "missing")
    if modality != "MR":
        notes.append(f"The modality is {modality}, not MR.")
    if any(
        str(plane.values.get("PhotometricInterpretation", "")) == "MONOCHROME1" for plane in planes
    ):
        notes.append(
            "Images are meant to be shown inverted (MONOCHROME1): the stored numbers are taken as they are."
        )
    numbers = {
        (plane.series, plane.values.get("InstanceNumber"))
        for plane in planes
        if plane.n_frames == 1
    }
    for uid in sorted({series for series, _ in numbers}):
        whole = sorted(
            number for series, number in numbers if series == uid and isinstance(number, int)
        )
        gaps = whole[-1] - whole[0] + 1 - len(whole) if whole else 0
        if gaps:
            notes.append(
                f"The instance numbers of the series have {gaps} gaps: images may be missing."
            )
    return tuple(notes)


def facts_of(plane: Plane) -> dict[str, object]:
    """What a sidecar would say of the series, in the words of BIDS; nothing of the patient."""
    names = {
        "Manufacturer": "Manufacturer",
        "ManufacturersModelName": "ManufacturerModelName",
        "MagneticFieldStrength": "MagneticFieldStrength",
        "SeriesNumber": "SeriesNumber",
        "SeriesDescription": "SeriesDescription",
        "ProtocolName": "ProtocolName",
        "SeriesInstanceUID": "SeriesInstanceUID",
    }
    return {ours: plane.values[key] for ours, key in names.items() if key in plane.values}


def _one_space(planes: Sequence[Plane]) -> None:
    first = planes[0].values.get("FrameOfReferenceUID")
    for plane in planes:
        if plane.values.get("FrameOfReferenceUID") != first:
            raise InputError(
                f"{plane.name}: its frame of reference is not that of {planes[0].name}, expected one for the series"
            )
