"""A map as a Parametric Map (DICOM PS3.3 A.75): 32-bit floating point, all slices in one object, by
highdicom.
"""

import copy
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from mrftool.errors import InputError
from mrftool.formats.dicom.headers.header import read_dataset
from mrftool.formats.dicom.write.quantity import Quantified
from mrftool.formats.dicom.write.space import Slices
from mrftool.formats.dicom.write.template import PATIENT_AND_STUDY, Origin, contributors


def parametric_map(
    entry: Quantified, number: int, slices: Slices, origin: Origin
) -> tuple[list[Dataset], dict[str, int]]:
    """One object with the map, and the counts of numbers that could not be kept.

    highdicom sorts the frames by geometry: find them by their positions, not by their numbers.
    """
    try:
        made = _made(entry, number, slices, origin)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(
            f"{origin.planes[0].label}: its header does not fit a Parametric Map: {said}"
        ) from error
    _complete(made, origin)
    return [made], entry.counts


def _made(entry: Quantified, number: int, slices: Slices, origin: Origin) -> Dataset:
    from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
    from highdicom.pm import ParametricMap

    positions = [
        PlanePositionSequence("PATIENT", [float(x) for x in place]) for place in slices.positions
    ]
    return ParametricMap(
        _one_image_per_slice(slices, origin),
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
        pixel_measures=PixelMeasuresSequence(
            [float(x) for x in slices.spacing], slices.distance, slices.distance
        ),
        plane_orientation=PlaneOrientationSequence(
            "PATIENT", [float(x) for x in slices.orientation]
        ),
        plane_positions=positions,
        content_label="".join(c if c.isalnum() else "_" for c in entry.name.upper())[:16],
        content_description=origin.derivation(entry.title)[:64],
        series_description=f"{entry.title} mrftool",
    )


def _one_image_per_slice(slices: Slices, origin: Origin) -> list[Dataset]:
    """Headers of the source images, each file once, with the attributes that highdicom takes for
    granted.
    """
    files = {plane.path: plane.label for plane in origin.planes}
    headers = [read_dataset(path, label) for path, label in files.items()]
    for header in headers:
        header.update(copy.deepcopy(origin.template))
        header.setdefault("SliceThickness", slices.distance)
        if header.PatientSex not in ("M", "F", "O"):
            header.PatientSex = (
                None  # highdicom wants one of these; `_complete` puts back what was there
            )
    return headers


def _mapping(entry: Quantified) -> Any:
    from highdicom.pm import RealWorldValueMapping

    code = entry.quantity.dicom.code
    return RealWorldValueMapping(
        lut_label=entry.quantity.label,
        lut_explanation=entry.title,
        unit=Code(*entry.quantity.unit.code),
        value_range=(float(entry.values.min()), float(entry.values.max())),
        slope=1.0,
        intercept=0.0,
        quantity_definition=Code(*code) if code else None,
    )


def _window(entry: Quantified) -> Any:
    from highdicom import VOILUTTransformation

    centre, width = entry.window
    function = "LINEAR_EXACT" if entry.has_narrow_window else None
    return VOILUTTransformation(window_center=centre, window_width=width, voi_lut_function=function)


def _complete(made: Dataset, origin: Origin) -> None:
    """What highdicom leaves out: how it was made, on what, and where."""
    places = (
        "FrameOfReferenceUID",
        "PositionReferenceIndicator",
        "PatientPosition",
        "BodyPartExamined",
        "Laterality",
    )
    for keyword in (*PATIENT_AND_STUDY, *places):
        if keyword in origin.template:
            made[keyword] = origin.template[keyword]
    made.SoftwareVersions = origin.template.SoftwareVersions
    made.DerivationDescription = origin.derivation(made.SeriesDescription)
    made.ContributingEquipmentSequence = contributors(origin.header, origin.provenance, origin.now)
