"""What every derived DICOM object says of its equipment and sources.

Modules: DICOM PS3.3 C.7.5.1 (equipment), C.7.6.16.2.5 and C.12.1 (sources and contributing
equipment).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from mrftool.formats.bids import Provenance, versions
from mrftool.formats.dicom.read.plane import Plane
from mrftool.formats.dicom.write.kept import copy_elements, writable_items
from mrftool.quantities import Code

_LONGEST_TEXT = 1024  # of the VR ST
_MOST_SERIES = 10_000_000  # numbers above leave no room for two more digits
_EQUIPMENT = (
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "StationName",
)


@dataclass(frozen=True)
class Origin:
    """What maps come from. header: of one source image. template: what `start_of` makes of it.

    planes: a source image for each slice of the maps.
    n_time: time points of the source. now: when the maps are written.
    """

    header: Dataset
    template: Dataset
    planes: Sequence[Plane]
    n_time: int
    provenance: Provenance
    now: datetime

    def series_number(self, number: int) -> int:
        """For the map with this number: that of the source, and two digits."""
        source = self.planes[0].values.get("SeriesNumber")
        if isinstance(source, int) and 0 < source < _MOST_SERIES:
            return source * 100 + number
        return number

    def derivation(self, title: str) -> str:
        """One sentence: what it is, and from what."""
        source = self.planes[0].series
        text = f"{title} by {self.provenance.algorithm}, from {self.n_time} time points"
        return f"{text} of series {source}"[:_LONGEST_TEXT]


def coded(code: Code) -> Items:
    """A sequence of one code."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return Items([item])


def contributors(source: Dataset, provenance: Provenance, now: datetime) -> Items:
    """The scanner, and this program with what the numbers depend on.

    Versions of other software are told in the descriptions: dcm2niix takes SoftwareVersions, at
    whatever depth, for those of the scanner that made the images, and reads them accordingly.
    """
    scanner, program = Dataset(), Dataset()
    scanner.PurposeOfReferenceCodeSequence = coded(("109101", "DCM", "Acquisition Equipment"))
    copy_elements(source, scanner, _EQUIPMENT)
    scanner.setdefault("Manufacturer", "unknown")
    program.PurposeOfReferenceCodeSequence = coded(("109102", "DCM", "Processing Equipment"))
    program.Manufacturer = program.ManufacturerModelName = "mrftool"
    program.SoftwareVersions = [f"{name} {version}" for name, version in versions().items()]
    program.ContributionDateTime = f"{now:%Y%m%d%H%M%S}"
    program.ContributionDescription = described(provenance)
    earlier = [*writable_items(source, "ContributingEquipmentSequence"), scanner]
    for item in earlier:
        _describe_software(item)
    return Items([*earlier, program])


def _describe_software(item: Dataset) -> None:
    """Moves the versions of the software into the description."""
    versions_there = item.pop("SoftwareVersions", None)
    if versions_there is None or not versions_there.value:
        return
    texts: Any = versions_there.value
    if isinstance(texts, str):
        texts = [texts]
    software = ", ".join(str(text) for text in texts)
    said = (str(item.get("ContributionDescription") or ""), f"software {software}")
    item.ContributionDescription = "; ".join(text for text in said if text)[:_LONGEST_TEXT]


def described(provenance: Provenance) -> str:
    """Algorithm, sequence and hashes in one text."""
    facts = [provenance.algorithm, provenance.pulse_sequence, *_facts(provenance.details)]
    return "; ".join(facts)[:_LONGEST_TEXT]


def _facts(details: Mapping[str, Any]) -> list[str]:
    plain = {
        key: value
        for key, value in details.items()
        if isinstance(value, str | int | float | list | tuple)
    }
    return [f"{key} {value}" for key, value in plain.items()]


def source_images(planes: Sequence[Plane]) -> Items:
    """References to images from which something was computed."""
    items = Items()
    for plane in planes:
        if not is_named(plane):
            continue
        item = Dataset()
        refer_to(item, plane)
        purpose = ("121322", "DCM", "Source Image for Image Processing Operation")
        item.PurposeOfReferenceCodeSequence = coded(purpose)
        items.append(item)
    return items


def is_named(plane: Plane) -> bool:
    """Whether the image has the identifiers by which others refer to it."""
    names = (plane.values.get("SOPClassUID"), plane.values.get("SOPInstanceUID"))
    return all(isinstance(name, str) and name for name in names)


def refer_to(item: Dataset, plane: Plane) -> None:
    """Makes `item` name the image, and its frame where it has several."""
    item.ReferencedSOPClassUID = plane.values.get("SOPClassUID")
    item.ReferencedSOPInstanceUID = plane.values.get("SOPInstanceUID")
    if plane.n_frames > 1:
        item.ReferencedFrameNumber = plane.index + 1
