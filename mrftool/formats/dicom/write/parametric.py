"""A map as a Parametric Map (DICOM PS3.3 A.75): 32-bit floating point, all slices in one object, by
highdicom.
"""

import re
from itertools import chain
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.coding import Code
from pydicom.uid import MRImageStorage, generate_uid

from mrftool.errors import InputError
from mrftool.formats.dicom.write.kept import PATIENT_AND_STUDY, PLACE
from mrftool.formats.dicom.write.quantity import Quantified
from mrftool.formats.dicom.write.space import Slices
from mrftool.formats.dicom.write.template import Origin, contributors, is_named, refer_to

_EXPECTED = (  # of a source, if only empty
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "PositionReferenceIndicator"),
)


def parametric_map(
    entry: Quantified, number: int, slices: Slices, origin: Origin
) -> tuple[list[Dataset], dict[str, int]]:
    """One object with the map, and the counts of numbers that could not be kept.

    highdicom sorts the frames by geometry: find them by their positions, not by their numbers.
    """
    images = _one_image_per_slice(entry.values.shape, slices, origin)
    try:
        made = _made(entry, number, slices, origin, images)
        _name_real_sources(made, images, origin)
    except Exception as error:  # highdicom raises whatever it likes
        said = " ".join(str(error).split())[:160]
        raise InputError(
            f"{origin.planes[0].label}: its header does not fit a Parametric Map: {said}"
        ) from error
    _complete(made, origin)
    return [made], entry.counts


def _made(
    entry: Quantified, number: int, slices: Slices, origin: Origin, images: list[Dataset]
) -> Dataset:
    from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
    from highdicom.pm import ParametricMap

    spacing, distance = slices.spacing.tolist(), slices.distance
    return ParametricMap(
        images,
        np.ascontiguousarray(entry.values.transpose(2, 1, 0)),
        series_instance_uid=generate_uid(prefix=None),
        series_number=origin.series_number(number),
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer="mrftool",
        manufacturer_model_name="mrftool",
        software_versions=origin.template.SoftwareVersions,
        device_serial_number="0",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(entry)],
        voi_lut_transformations=[_window(entry)],
        pixel_measures=PixelMeasuresSequence(spacing, distance, distance),
        plane_orientation=PlaneOrientationSequence("PATIENT", slices.orientation.tolist()),
        plane_positions=[
            PlanePositionSequence("PATIENT", place) for place in slices.positions.tolist()
        ],
        content_label=re.sub(r"[^0-9A-Z]", "_", entry.name.upper())[:16],
        content_description=origin.derivation(entry.title)[:64],
        series_description=f"{entry.title} mrftool",
    )


def _one_image_per_slice(shape: tuple[int, ...], slices: Slices, origin: Origin) -> list[Dataset]:
    """Headers of an image for each slice of the maps, with what highdicom takes from its sources.

    They are made here and carry UIDs of their own, so that nothing that is odd about the real
    sources comes near highdicom; `_name_real_sources` puts in their place what they stand for.
    """
    images = []
    for place in slices.positions:
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, generate_uid(prefix=None)
        image.StudyInstanceUID = origin.template.StudyInstanceUID
        image.SeriesInstanceUID = origin.planes[0].series or generate_uid(prefix=None)
        image.FrameOfReferenceUID = origin.template.FrameOfReferenceUID
        image.Rows, image.Columns = shape[1], shape[0]
        image.PixelSpacing = [float(x) for x in slices.spacing]
        image.SliceThickness = image.SpacingBetweenSlices = slices.distance
        image.ImageOrientationPatient = [float(x) for x in slices.orientation]
        image.ImagePositionPatient = [float(x) for x in place]
        for keyword in _EXPECTED:
            setattr(image, keyword, None)
        images.append(image)
    return images


def _name_real_sources(made: Dataset, stand_ins: list[Dataset], origin: Origin) -> None:
    """References to the stand-ins become references to the images that they stand for."""
    uids = [image.SOPInstanceUID for image in stand_ins]
    real = dict(zip(uids, origin.planes, strict=True))
    sequences = [element for element in made.iterall() if element.VR == "SQ"]
    for item in chain.from_iterable(sequence.value for sequence in sequences):
        plane = real.get(item.get("ReferencedSOPInstanceUID"))
        if plane is not None and is_named(plane):
            refer_to(item, plane)
    _name_each_source_once(made)


def _name_each_source_once(made: Dataset) -> None:
    for series in made.get("ReferencedSeriesSequence") or []:
        unique = {_reference(item): item for item in series.ReferencedInstanceSequence}
        for item in unique.values():
            item.pop("ReferencedFrameNumber", None)
        series.ReferencedInstanceSequence = Items(unique.values())


def _reference(item: Dataset) -> str:
    return str(item.ReferencedSOPInstanceUID)


def _mapping(entry: Quantified) -> Any:
    from highdicom.pm import RealWorldValueMapping

    definition = None
    if entry.quantity.dicom.code:
        definition = Code(*entry.quantity.dicom.code)
    return RealWorldValueMapping(
        lut_label=entry.quantity.label,
        lut_explanation=entry.title,
        unit=Code(*entry.quantity.unit.code),
        value_range=(float(entry.values.min()), float(entry.values.max())),
        slope=1.0,
        intercept=0.0,
        quantity_definition=definition,
    )


def _window(entry: Quantified) -> Any:
    from highdicom import VOILUTTransformation

    centre, width = entry.window
    function = None
    if entry.has_narrow_window:
        function = "LINEAR_EXACT"
    return VOILUTTransformation(window_center=centre, window_width=width, voi_lut_function=function)


def _complete(made: Dataset, origin: Origin) -> None:
    """What highdicom leaves out: how it was made, on what, and where."""
    for keyword in (*PATIENT_AND_STUDY, *PLACE):
        if keyword in origin.template:
            made[keyword] = origin.template[keyword]
    made.SoftwareVersions = origin.template.SoftwareVersions
    made.DerivationDescription = origin.derivation(made.SeriesDescription)
    made.ContributingEquipmentSequence = contributors(origin.header, origin.provenance, origin.now)
