"""Maps as MRD images: 16-bit integers, one image for each slice, one series for each map."""

from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np

from mrftool.arrays import Array
from mrftool.formats.dicom.write.quantity import StoredImage, quantified, stored_image
from mrftool.formats.mrd.geometry import slice_head
from mrftool.formats.mrd.image import MAGNITUDE, MrdImage
from mrftool.grid import Placement
from mrftool.maps import Maps
from mrftool.quantities import Quantity, quantity

NAMES = ("t1", "t2", "sd_t1", "sd_t2", "m0")  # of the maps that are sent, where a scan has them
FIRST_SERIES = 101
_UNSIGNED_SHORT = 1
_SHARED = (  # what the images keep of the head of a readout or image that they were made from
    "measurement_uid",
    "patient_table_position",
    "acquisition_time_stamp",
    "physiology_time_stamp",
)


def map_images(maps: Maps, placement: Placement, source: Array) -> Iterator[MrdImage]:
    """The maps of a scan as images, map by map.

    Parameters
    ----------
    maps
        T1, T2, their uncertainty and M0 are taken; times in whole ms.
    placement
        Where they lie.
    source
        Head of one record of a readout or image of the scan.

    """
    present = dict(maps.images())
    for number, name in enumerate(NAMES):
        if name not in present:
            continue
        entry = quantity(name)
        values = quantified(name, present[name], entry.unit.name)
        stored = stored_image(values)
        attributes = _attributes(entry, stored, values.window)
        for index in range(stored.integers.shape[2]):
            plane = stored.integers[:, :, index]
            head = _head(plane, placement, index, source)
            head["image_series_index"] = FIRST_SERIES + number
            head["attribute_string_len"] = len(attributes.encode())
            yield MrdImage(head, attributes, np.ascontiguousarray(plane.T)[None, None])


def _head(plane: Array, placement: Placement, index: int, source: Array) -> Array:
    """Head of one slice of a map."""
    head = slice_head(plane.shape, placement, index)
    for name in _SHARED:
        head[name] = source[name]
    head["data_type"] = _UNSIGNED_SHORT
    head["image_type"] = MAGNITUDE
    return head


def _attributes(entry: Quantity, stored: StoredImage, window: tuple[float, float]) -> str:
    """What a viewer needs of a map: its role, unit, scale and window, the same in all slices."""
    centre, width = ((value - stored.intercept) / stored.slope for value in window)
    facts = {
        "DataRole": "Quantitative",
        "ImageProcessingHistory": "MRFTOOL",
        "SequenceDescriptionAdditional": entry.label,
        "ImageComment": f"{entry.description} [{entry.unit.symbol}]",
        "Unit": entry.unit.symbol,
        "WindowCenter": f"{centre:g}",
        "WindowWidth": f"{max(width, 1):g}",
        "RescaleSlope": f"{stored.slope:g}",
        "RescaleIntercept": f"{stored.intercept:g}",
        "Keep_image_geometry": "1",
    }
    root = ElementTree.Element("ismrmrdMeta")
    for name, value in facts.items():
        meta = ElementTree.SubElement(root, "meta")
        ElementTree.SubElement(meta, "name").text = name
        ElementTree.SubElement(meta, "value").text = value
    return ElementTree.tostring(root, encoding="unicode")
