"""What every derived DICOM object says of its patient, study, equipment and sources.

Modules: DICOM PS3.3 C.7.1 (patient), C.7.2 (study), C.7.4.1 (frame of reference), C.7.5.1
(equipment), C.7.6.16.2.5 and C.12.1 (sources and contributing equipment).
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import generate_uid

from mrftool.formats.bids import Provenance, versions
from mrftool.formats.dicom.read.plane import Plane
from mrftool.quantities import Code

PATIENT_AND_STUDY = (
    *(
        "SpecificCharacterSet",
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "OtherPatientIDsSequence",
    ),
    *(
        "PatientBirthDate",
        "PatientSex",
        "PatientAge",
        "PatientSize",
        "PatientWeight",
        "PatientIdentityRemoved",
    ),
    *(
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "EthnicGroup",
        "PatientComments",
    ),
    *(
        "StudyInstanceUID",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "StudyDescription",
        "AccessionNumber",
    ),
    *(
        "IssuerOfAccessionNumberSequence",
        "ReferringPhysicianName",
        "ProcedureCodeSequence",
        "TimezoneOffsetFromUTC",
    ),
)
_KEPT = (
    *PATIENT_AND_STUDY,
    *(
        "FrameOfReferenceUID",
        "PositionReferenceIndicator",
        "BodyPartExamined",
        "Laterality",
        "PatientPosition",
    ),
    *("ProtocolName", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
    *(
        "AcquisitionDate",
        "AcquisitionTime",
        "MagneticFieldStrength",
        "ImagingFrequency",
        "ImagedNucleus",
    ),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
_MUST_EXIST = (
    *(
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
    ),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"),
)
_LONGEST_TEXT = 1024  # of the VR ST


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
        return (
            source * 100 + number if isinstance(source, int) and 0 < source < 10_000_000 else number
        )

    def derivation(self, title: str) -> str:
        """One sentence: what it is, and from what."""
        source = self.planes[0].series
        return f"{title} by {self.provenance.algorithm}, from {self.n_time} time points of series {source}"[
            :_LONGEST_TEXT
        ]


def start_of(source: Dataset) -> Dataset:
    """A data set for a derived object of the same patient, study and frame of reference."""
    dataset = Dataset()
    for keyword in _KEPT:
        if keyword in source:
            dataset[keyword] = copy.deepcopy(source[keyword])
    for keyword in _MUST_EXIST:
        if keyword not in dataset:
            setattr(dataset, keyword, None)
    if "FrameOfReferenceUID" not in dataset:
        dataset.FrameOfReferenceUID = generate_uid(prefix=None)
    dataset.Manufacturer = dataset.ManufacturerModelName = "mrftool"
    dataset.SoftwareVersions = [f"{name} {version}" for name, version in versions().items()]
    return dataset


def coded(code: Code) -> Items:
    """A sequence of one code."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return Items([item])


def contributors(source: Dataset, provenance: Provenance, now: datetime) -> Items:
    """The scanner, and this program with what the numbers depend on."""
    scanner, program = Dataset(), Dataset()
    scanner.PurposeOfReferenceCodeSequence = coded(("109101", "DCM", "Acquisition Equipment"))
    for keyword in (
        "Manufacturer",
        "ManufacturerModelName",
        "DeviceSerialNumber",
        "SoftwareVersions",
        "StationName",
    ):
        if keyword in source:
            scanner[keyword] = source[keyword]
    scanner.setdefault("Manufacturer", "unknown")
    program.PurposeOfReferenceCodeSequence = coded(("109102", "DCM", "Processing Equipment"))
    program.Manufacturer = program.ManufacturerModelName = "mrftool"
    program.SoftwareVersions = [f"{name} {version}" for name, version in versions().items()]
    program.ContributionDateTime = f"{now:%Y%m%d%H%M%S}"
    program.ContributionDescription = described(provenance)
    earlier = source.get("ContributingEquipmentSequence") or []
    return Items([*earlier, scanner, program])


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
        item = Dataset()
        item.ReferencedSOPClassUID = plane.values.get("SOPClassUID")
        item.ReferencedSOPInstanceUID = plane.values.get("SOPInstanceUID")
        if plane.n_frames > 1:
            item.ReferencedFrameNumber = plane.index + 1
        purpose = ("121322", "DCM", "Source Image for Image Processing Operation")
        item.PurposeOfReferenceCodeSequence = coded(purpose)
        items.append(item)
    return items
