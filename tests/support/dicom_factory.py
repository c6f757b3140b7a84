"""Writes synthetic 4-D DICOM series as scanners do: classic or enhanced, in parts of a complex
signal, shuffled.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
WORDS = {"magnitude": "M", "phase": "P", "real": "R", "imaginary": "I"}
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def oblique(spacing: tuple[float, float, float] = (1.5, 2.0, 4.0)) -> NDArray[np.float64]:
    """An affine to RAS+ with three tilts; its columns are orthogonal and right-handed in LPS
    [mm].
    """
    turn = np.eye(3)
    for axis, angle in enumerate((0.3, -0.2, 0.5)):
        step = np.eye(3)
        one, two = (axis + 1) % 3, (axis + 2) % 3
        step[one, one] = step[two, two] = np.cos(angle)
        step[one, two], step[two, one] = -np.sin(angle), np.sin(angle)
        turn = turn @ step
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = (-31.25, 42.5, -17.0)
    return LPS @ affine


@dataclass
class Scan:
    """image: `(x, y, z, time)`, complex or real. The rest says how it is written.

    change: called with each data set, its slice and its time before it is written.
    """

    image: NDArray[Any]
    affine: NDArray[np.float64] = field(default_factory=oblique)
    parts: tuple[str, ...] = ("magnitude",)
    maker: str = "Tester"
    number: int = 7
    series: str = field(default_factory=generate_uid)
    study: str = field(default_factory=generate_uid)
    frame_of_reference: str = field(default_factory=generate_uid)
    syntax: str = ExplicitVRLittleEndian
    change: Callable[[Dataset, int, int], None] = lambda dataset, z, t: None
    seed: int = 0

    @cached_property
    def step(self) -> float:
        """What one stored unit means, so that the largest value fits [signal]."""
        return float(f"{abs(self.image).max() / 32_000:.6g}")


def write_classic(folder: Path, scan: Scan) -> list[Path]:
    """One file per slice, time and part, under names that say nothing. Returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    planes = list(_planes(scan))
    names = np.random.default_rng(scan.seed).permutation(len(planes))
    paths = []
    for instance, (name, (z, t, part)) in enumerate(zip(names, planes, strict=True), start=1):
        dataset = classic(scan, z, t, part, instance)
        scan.change(dataset, z, t)
        paths.append(save(dataset, folder / f"I{name:06d}.dcm"))
    return paths


def write_enhanced(folder: Path, scan: Scan) -> list[Path]:
    """All in one multi-frame file, the frames shuffled."""
    folder.mkdir(parents=True, exist_ok=True)
    planes = list(_planes(scan))
    order = np.random.default_rng(scan.seed).permutation(len(planes))
    dataset = _common(scan, ENHANCED_MR, 1)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "MR", "NONE"]
    dataset.ComplexImageComponent = "MIXED" if len(scan.parts) > 1 else scan.parts[0].upper()
    dataset.NumberOfFrames = len(planes)
    dataset.DimensionIndexSequence = Sequence(
        [_axis(0x00209128), _axis(0x00209057), _axis(0x00089208)]
    )
    dataset.SharedFunctionalGroupsSequence = Sequence([_shared(scan)])
    dataset.PerFrameFunctionalGroupsSequence = Sequence([_frame(scan, *planes[n]) for n in order])
    dataset.PixelData = b"".join(pixels(scan, *planes[n])[0].tobytes() for n in order)
    scan.change(dataset, 0, 0)
    return [save(dataset, folder / "enhanced.dcm")]


def classic(scan: Scan, z: int, t: int, part: str, instance: int) -> FileDataset:
    """The data set of one slice at one time."""
    dataset = _common(scan, MR, instance)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", WORDS[part], "ND"]
    dataset.ImagePositionPatient = _numbers(_position(scan, z))
    dataset.ImageOrientationPatient = _numbers(_orientation(scan))
    dataset.PixelSpacing = _numbers(_spacing(scan)[1::-1])
    dataset.SliceThickness = dataset.SpacingBetweenSlices = _numbers(_spacing(scan)[2:])[0]
    dataset.TemporalPositionIdentifier = t + 1
    dataset.NumberOfTemporalPositions = scan.image.shape[3]
    dataset.AcquisitionNumber = 1
    dataset.EchoNumbers = 1
    dataset.EchoTime, dataset.RepetitionTime, dataset.FlipAngle = 3, 12, 30
    dataset.EchoTrainLength = 1
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "GR", "SS", ""
    dataset.MRAcquisitionType = "2D"
    dataset.PixelRepresentation = 1
    stored, dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = pixels(
        scan, z, t, part
    )
    dataset.PixelData = stored.tobytes()
    return dataset


def pixels(scan: Scan, z: int, t: int, part: str) -> tuple[NDArray[np.int16], str, str, str]:
    """Stored integers `(row, column)`, rescale slope, intercept and type. Phases are in
    milliradians.
    """
    plane = scan.image[:, :, z, t].T
    if part == "phase":
        return np.rint(np.angle(plane) * 10_000).astype("<i2"), "0.1", "0", "mrad"
    values = {"magnitude": abs(plane), "real": plane.real, "imaginary": plane.imag}[part]
    return np.rint(values / scan.step).astype("<i2"), f"{scan.step:.10g}", "0", "US"


def save(dataset: FileDataset, path: Path) -> Path:
    """Writes the data set as it is, in the transfer syntax of its file meta information."""
    dataset.save_as(path, enforce_file_format=True)
    return path


def _planes(scan: Scan) -> Iterator[tuple[int, int, str]]:
    slices, times = scan.image.shape[2:]
    return ((z, t, part) for t in range(times) for part in scan.parts for z in range(slices))


def _common(scan: Scan, sop_class: str, instance: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, generate_uid()
    meta.TransferSyntaxUID = scan.syntax
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = scan.study, scan.series
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = scan.frame_of_reference, ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = (
        "20240229"
    )
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = (
        "101112"
    )
    dataset.AccessionNumber, dataset.StudyID, dataset.StudyDescription = (
        "A-17",
        "S1",
        "Fingerprinting",
    )
    dataset.Modality, dataset.Manufacturer, dataset.ManufacturerModelName = (
        "MR",
        scan.maker,
        "Model 1",
    )
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "12345", "V1"
    dataset.InstitutionName, dataset.ReferringPhysicianName = "Somewhere", "Referrer^Ray"
    dataset.PatientName, dataset.PatientID = "Müller^Jörg", "P-1"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientWeight = "19700101", "O", "70"
    dataset.PatientPosition, dataset.BodyPartExamined = "HFS", "BRAIN"
    dataset.SeriesNumber, dataset.SeriesDescription, dataset.InstanceNumber = (
        scan.number,
        "MRF",
        instance,
    )
    dataset.MagneticFieldStrength = 3
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Columns, dataset.Rows = scan.image.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
        16,
        16,
        15,
        1,
    )
    return dataset


def _shared(scan: Scan) -> Dataset:
    group = Dataset()
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = _numbers(_orientation(scan))
    measures.PixelSpacing = _numbers(_spacing(scan)[1::-1])
    measures.SliceThickness = measures.SpacingBetweenSlices = _numbers(_spacing(scan)[2:])[0]
    group.PlaneOrientationSequence, group.PixelMeasuresSequence = (
        Sequence([orientation]),
        Sequence([measures]),
    )
    return group


def _axis(pointer: int) -> Dataset:
    axis = Dataset()
    axis.DimensionIndexPointer = pointer
    axis.FunctionalGroupPointer = 0x00189226 if pointer == 0x00089208 else 0x00209111
    return axis


def _frame(scan: Scan, z: int, t: int, part: str) -> Dataset:
    group, place, content, kind, scale = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    place.ImagePositionPatient = _numbers(_position(scan, z))
    content.TemporalPositionIndex, content.InStackPositionNumber, content.StackID = (
        t + 1,
        z + 1,
        "1",
    )
    content.DimensionIndexValues = [t + 1, z + 1, scan.parts.index(part) + 1]
    kind.FrameType = ["ORIGINAL", "PRIMARY", "MR", "NONE"]
    kind.ComplexImageComponent = part.upper()
    _, scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = pixels(scan, z, t, part)
    group.PlanePositionSequence, group.FrameContentSequence = Sequence([place]), Sequence([content])
    group.MRImageFrameTypeSequence, group.PixelValueTransformationSequence = (
        Sequence([kind]),
        Sequence([scale]),
    )
    return group


def _spacing(scan: Scan) -> NDArray[np.float64]:
    return np.linalg.norm(scan.affine[:3, :3], axis=0)


def _orientation(scan: Scan) -> NDArray[np.float64]:
    return ((LPS @ scan.affine)[:3, :2] / _spacing(scan)[:2]).T.ravel()


def _position(scan: Scan, z: int) -> NDArray[np.float64]:
    return (LPS @ scan.affine @ (0, 0, z, 1))[:3]


def _numbers(values: NDArray[np.float64]) -> list[str]:
    """Decimal strings of at most 16 characters."""
    return [f"{value:.10f}"[:16] for value in values]


def phantom(shape: tuple[int, ...] = (7, 5, 3, 6)) -> NDArray[np.complex128]:
    """A complex image in which every voxel and time is different."""
    rng = np.random.default_rng(1)
    return rng.uniform(0.2, 1, shape) * np.exp(1j * rng.uniform(-3.1, 3.1, shape))


def forget_time(dataset: Dataset) -> None:
    """Removes everything that could order the images in time."""
    for name in (
        "TemporalPositionIdentifier",
        "AcquisitionNumber",
        "EchoNumbers",
        "AcquisitionTime",
        "ContentTime",
    ):
        del dataset[name]
    dataset.InstanceNumber = 1


WRITERS = {"classic": write_classic, "enhanced": write_enhanced}
PARTS = [("real", "imaginary"), ("magnitude", "phase"), ("magnitude",)]
