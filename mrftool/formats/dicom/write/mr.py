"""A map as MR Image Storage: one 16-bit image per slice (DICOM PS3.3 A.4), which every viewer and
archive shows.
"""

import copy

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from mrftool.formats.dicom.write.kept import copy_elements, value_of
from mrftool.formats.dicom.write.quantity import MOST, Quantified, StoredImage, stored_image
from mrftool.formats.dicom.write.space import Slices
from mrftool.formats.dicom.write.template import Origin, coded, contributors, source_images
from mrftool.quantities import SECOND

_FROM_SOURCE = (
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "SliceThickness",
    "InversionTime",
    "TriggerTime",
)


def mr_images(
    entry: Quantified, number: int, slices: Slices, origin: Origin
) -> tuple[list[Dataset], dict[str, int]]:
    """A series with one image per slice of the map, and the counts of numbers that could not be
    kept.

    number: of the map among its siblings, from 1.
    """
    stored = stored_image(entry)
    series = _series(entry, number, slices, origin)
    _say_what_it_is(series, entry, stored)
    planes = np.moveaxis(stored.integers, 2, 0)
    images = [_image(series, plane.T, k, slices, origin) for k, plane in enumerate(planes)]
    return images, stored.counts


def _series(entry: Quantified, number: int, slices: Slices, origin: Origin) -> Dataset:
    """Everything that the images of a series share but its numbers."""
    dataset = copy.deepcopy(origin.template)
    dataset.SOPClassUID, dataset.Modality = MRImageStorage, "MR"
    dataset.SeriesInstanceUID = generate_uid(prefix=None)
    dataset.SeriesNumber = origin.series_number(number)
    dataset.SeriesDescription = f"{entry.title} mrftool"
    dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = f"{origin.now:%Y%m%d}"
    dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = f"{origin.now:%H%M%S}"
    dataset.ImageType = ["DERIVED", "PRIMARY", entry.quantity.dicom.image_type]
    dataset.ScanningSequence, dataset.SequenceVariant = "RM", "NONE"
    dataset.ScanOptions = dataset.MRAcquisitionType = None
    dataset.SliceThickness = dataset.SpacingBetweenSlices = format_number_as_ds(slices.distance)
    stated = [keyword for keyword in _FROM_SOURCE if value_of(origin.header, keyword)]
    copy_elements(origin.header, dataset, stated)
    dataset.RepetitionTime = dataset.EchoTime = dataset.EchoTrainLength = (
        None  # they change from image to image
    )
    dataset.DerivationDescription = origin.derivation(entry.title)
    dataset.ContributingEquipmentSequence = contributors(
        origin.header, origin.provenance, origin.now
    )
    dataset.BurnedInAnnotation = "NO"
    return dataset


def _say_what_it_is(dataset: Dataset, entry: Quantified, stored: StoredImage) -> None:
    """Pixel format, scale, window, and the mapping to real-world values."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.RescaleSlope = format_number_as_ds(stored.slope)
    dataset.RescaleIntercept = format_number_as_ds(stored.intercept)
    dataset.RescaleType = "US"
    if entry.quantity.unit == SECOND:
        dataset.RescaleType = entry.quantity.unit.symbol
    centre, width = entry.window
    dataset.WindowCenter = format_number_as_ds(centre)
    dataset.WindowWidth = format_number_as_ds(max(width, stored.slope))
    if entry.has_narrow_window:
        dataset.VOILUTFunction = "LINEAR_EXACT"
    dataset.RealWorldValueMappingSequence = Sequence([_real_world(entry, stored)])


def _real_world(entry: Quantified, stored: StoredImage) -> Dataset:
    """The mapping to real-world values (PS3.3 C.7.6.16.2.11)."""
    mapping = Dataset()
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, MOST
    mapping.RealWorldValueSlope = stored.slope
    mapping.RealWorldValueIntercept = stored.intercept
    mapping.LUTExplanation, mapping.LUTLabel = entry.title, entry.quantity.label
    mapping.MeasurementUnitsCodeSequence = coded(entry.quantity.unit.code)
    if entry.quantity.dicom.code:
        quantity = Dataset()
        quantity.ValueType = "CODE"
        quantity.ConceptNameCodeSequence = coded(("246205007", "SCT", "Quantity"))
        quantity.ConceptCodeSequence = coded(entry.quantity.dicom.code)
        mapping.QuantityDefinitionSequence = Sequence([quantity])
    return mapping


def _image(
    series: Dataset,
    stored: np.ndarray[tuple[int, int], np.dtype[np.uint16]],
    k: int,
    slices: Slices,
    origin: Origin,
) -> Dataset:
    """The image of slice k; `stored` is `(row, column)`. Elements of the series are shared, not
    changed.
    """
    dataset = Dataset()
    dataset.update(series)
    dataset.SOPInstanceUID = generate_uid(prefix=None)
    dataset.InstanceNumber = k + 1
    dataset.ImagePositionPatient = [format_number_as_ds(float(x)) for x in slices.positions[k]]
    dataset.ImageOrientationPatient = [format_number_as_ds(float(x)) for x in slices.orientation]
    dataset.PixelSpacing = [format_number_as_ds(float(x)) for x in slices.spacing]
    dataset.SliceLocation = format_number_as_ds(float(slices.positions[k] @ slices.normal))
    dataset.SourceImageSequence = source_images([origin.planes[k]])
    dataset.Rows, dataset.Columns = stored.shape
    dataset.PixelData = np.ascontiguousarray(stored, "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
