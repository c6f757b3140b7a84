"""The attributes of DICOM headers that are read, and what a value may be."""

from typing import Any

Values = dict[str, Any]

GROUPS = {  # functional group: what is taken from it
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "MRImageFrameTypeSequence": ("FrameType", "ComplexImageComponent"),
    "MREchoSequence": ("EffectiveEchoTime",),
    "MRTimingAndRelatedParametersSequence": ("RepetitionTime", "FlipAngle"),
    "TemporalPositionSequence": ("TemporalPositionTimeOffset",),
    "FrameContentSequence": (
        "TemporalPositionIndex",
        "DimensionIndexValues",
        "FrameAcquisitionNumber",
        "FrameAcquisitionDateTime",
        "FrameReferenceDateTime",
    ),
}
KEYWORDS = (
    *(
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
    ),
    *(
        "SeriesNumber",
        "SeriesDescription",
        "ProtocolName",
        "Modality",
        "Manufacturer",
        "ManufacturerModelName",
    ),
    *("MagneticFieldStrength", "ImageType", "ComplexImageComponent", "LossyImageCompression"),
    *(
        "TemporalPositionIdentifier",
        "NumberOfTemporalPositions",
        "AcquisitionNumber",
        "EchoNumbers",
        "EchoTime",
    ),
    *("RepetitionTime", "InversionTime", "FlipAngle", "SequenceName", "PulseSequenceName"),
    *(
        "InstanceNumber",
        "TriggerTime",
        "AcquisitionDateTime",
        "AcquisitionDate",
        "AcquisitionTime",
        "ContentTime",
    ),
    *(
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "SpacingBetweenSlices",
    ),
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
)
LISTS = {  # may have several values; all others count as absent if they do
    *("ImageType", "FrameType", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    "DimensionIndexValues",
}
EITHER_SIGN = ("PixelPaddingValue", "PixelPaddingRangeLimit")  # kept as 16 bits without a sign
BLOCKS = range(
    0x10, 0x20
)  # where the private elements of a creator may lie; nearly always in the first
# Our name: (group, element without its block, creator, format of the bytes where VR is unknown)
PRIVATE = {
    "GeImageKind": (0x0043, 0x2F, "GEMS_PARM_01", "<h"),
    "MosaicTiles": (0x0019, 0x0A, "SIEMENS MR HEADER", "<H"),
    "PhilipsScaleIntercept": (0x2005, 0x0D, "Philips MR Imaging DD 001", "<f"),
    "PhilipsScaleSlope": (0x2005, 0x0E, "Philips MR Imaging DD 001", "<f"),
}
_ONLY_PHILIPS = (0x2005, 0x10)  # a block that no other vendor has


def is_block_of(creator: str, found: str, group: int, block: int) -> bool:
    """Whether a private block, whose creator element says `found`, has the elements of `creator`.

    Where an anonymiser removed the creator, the block of one vendor alone is still known.
    """
    return found == creator or (not found and (group, block) == _ONLY_PHILIPS)


SEQUENCES = (
    *("RealWorldValueMappingSequence", "DimensionIndexSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
