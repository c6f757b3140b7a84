"""What maps keep of the header of their source: the elements that can be written again.

Headers of scanners and archives break rules: dates such as `***`, values of the wrong type, letters
that their character set does not have. What cannot be written is left out, so that a study with a
flaw still gets its maps. Modules: DICOM PS3.3 C.7.1 (patient), C.7.2 (study), C.7.4.1 (frame of
reference).
"""

import copy
import io
from collections.abc import Iterable, Iterator
from typing import Any

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import validate_value

from mrftool.formats.bids import versions

PATIENT_AND_STUDY = (
    *("SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID"),
    *("OtherPatientIDsSequence", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize"),
    *("PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("DeidentificationMethodCodeSequence", "EthnicGroup", "PatientComments"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription"),
    *("AccessionNumber", "IssuerOfAccessionNumberSequence", "ReferringPhysicianName"),
    *("ProcedureCodeSequence", "TimezoneOffsetFromUTC"),
)
PLACE = (
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition"),
    *("BodyPartExamined", "Laterality"),
)
_SCAN = (
    *("ProtocolName", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
    *("AcquisitionDate", "AcquisitionTime"),
    *("MagneticFieldStrength", "ImagingFrequency", "ImagedNucleus"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
_MUST_EXIST = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    "PositionReferenceIndicator",
)
_STRICT = frozenset(("AS", "DA", "DS", "DT", "IS", "TM", "UI"))  # VRs with a form of values
_PRODUCT = "mrftool"


def start_of(source: Dataset) -> Dataset:
    """A data set for a derived object of the same patient, study and frame of reference."""
    dataset = Dataset()
    copy_elements(source, dataset, (*PATIENT_AND_STUDY, *PLACE, *_SCAN))
    for keyword in _MUST_EXIST:
        if keyword not in dataset:
            setattr(dataset, keyword, None)
    for keyword in ("FrameOfReferenceUID", "StudyInstanceUID"):
        if not dataset.get(keyword):
            setattr(dataset, keyword, generate_uid(prefix=None))
    laterality = _frame_laterality(source)
    if "Laterality" not in dataset and laterality:
        dataset.Laterality = laterality
    dataset.Manufacturer = dataset.ManufacturerModelName = _PRODUCT
    dataset.SoftwareVersions = [f"{name} {version}" for name, version in versions().items()]
    return dataset


def value_of(source: Dataset, keyword: str) -> Any:
    """The value of an element; None if it is missing or malformed."""
    try:
        return source.get(keyword)
    except Exception:  # whatever pydicom raises
        return None


def copy_elements(source: Dataset, target: Dataset, keywords: Iterable[str]) -> None:
    """Copies the elements that `source` has and that can be written; others are left out."""
    character_set = _character_set(source)
    for keyword in keywords:
        for element in _sound(source, keyword, character_set):
            target.add(element)


def writable_items(source: Dataset, keyword: str) -> list[Dataset]:
    """Copies of the items of a sequence; none if it cannot be written."""
    for element in _sound(source, keyword, _character_set(source)):
        if element.VR == "SQ":
            return list(element.value)
    return []


def _character_set(source: Dataset) -> list[str]:
    """The character sets of the texts, if all of them are known; none otherwise."""
    value = value_of(source, "SpecificCharacterSet") or []
    if isinstance(value, str):
        value = [value]
    names = [str(name) for name in value]
    known = pydicom.charset.python_encoding
    if all(name in known for name in names):
        return names
    return []


def _sound(source: Dataset, keyword: str, character_set: list[str]) -> Iterator[Any]:
    """The element with the type that the dictionary has for it, if it is there and can be
    written.
    """
    if keyword not in source:
        return
    if keyword == "SpecificCharacterSet" and not character_set:
        return
    vr = dictionary_VR(keyword)
    try:
        value = copy.deepcopy(source[keyword].value)
        element = pydicom.DataElement(keyword, vr, value)
        if vr in _STRICT:
            _validate(vr, element.value)
        _write_alone(element, character_set)
    except Exception:  # whatever pydicom raises: the element is malformed
        return
    yield element


def _validate(vr: str, value: Any) -> None:
    values = value
    if not isinstance(value, pydicom.multival.MultiValue | list):
        values = [value]
    for one in values:
        if one not in (None, ""):
            validate_value(vr, str(one), pydicom.config.RAISE)


def _write_alone(element: Any, character_set: list[str]) -> None:
    """Raises whatever pydicom raises if the element cannot be written."""
    dataset = Dataset()
    if character_set and element.keyword != "SpecificCharacterSet":
        dataset.SpecificCharacterSet = character_set
    dataset.add(element)
    pydicom.dcmwrite(
        io.BytesIO(),
        dataset,
        implicit_vr=ExplicitVRLittleEndian.is_implicit_VR,
        little_endian=True,
    )


def _frame_laterality(source: Dataset) -> str | None:
    """Left or right, where an enhanced image says so of its frames."""
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in value_of(source, name) or []:
            for anatomy in value_of(group, "FrameAnatomySequence") or []:
                side = value_of(anatomy, "FrameLaterality")
                if side in ("L", "R"):
                    return str(side)
    return None
