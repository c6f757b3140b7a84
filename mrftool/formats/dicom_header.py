"""The header of one DICOM file, classic or enhanced, as plain values for each image plane in it.

Everything is read leniently here: what is missing or makes no sense is absent from the values, and only the series
that was chosen must be complete. Attributes: DICOM PS3.3 C.7.6 and C.8.3 (MR Image), C.7.6.16 (functional groups).
"""

import io
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mrftool.errors import InputError
from mrftool.formats.dicom_csa import csa_numbers
from mrftool.formats.dicom_keywords import GROUPS, KEYWORDS, LISTS, PRIVATE, SEQUENCES
from mrftool.formats.dicom_quick import Values, quick_header
from mrftool.formats.dicom_scan import OutOfOrdinaryError

_TAGS = [
    *(pydicom.tag.Tag(keyword) for keyword in (*KEYWORDS, *SEQUENCES)),
    *(pydicom.tag.Tag(group, 0x1000 | low) for group, low, _, _ in PRIVATE.values()),
    *(pydicom.tag.Tag(group, 0x10) for group, _, _, _ in PRIVATE.values()),
    *(pydicom.tag.Tag(0x0029, element) for element in (0x0010, 0x1010)),
]
_CSA = (0x0029, 0x1010)  # Siemens' own header
_PHILIPS_FRAME = (0x2005, 0x140F)  # Philips writes the classic private elements of a frame in here
_SPATIAL = {0x00200032, 0x00200037, 0x00209056, 0x00209057, 0x00089208}  # not time: position, stack, component
_MAX_INFLATED = 2 << 30


def read_header(path: str, label: str) -> Values:
    """What the file says of its pixels and planes, in values that JSON can hold.

    Returns {"file": values of all planes, "frames": [values of one plane, ...], "pixels": where they lie}.

    Raises InputError if the file is no DICOM that can be parsed.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            size = os.fstat(file.fileno()).st_size
            try:
                return quick_header(file, size)
            except (OutOfOrdinaryError, struct.error, ValueError):
                file.seek(0)
            with lenient():
                return pydicom_header(file, size)
    except InputError as error:
        raise InputError(f"{label}: {error}") from error
    except OSError as error:
        raise InputError(f"{label}: cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise InputError(f"{label}: damaged DICOM: sequences nested beyond all measure") from error
    except Exception as error:  # a parser on hostile bytes: whatever it raises, the file is at fault
        raise InputError(f"{label}: damaged DICOM: {_one_line(error)}") from error


def read_dataset(path: str, label: str) -> Dataset:
    """The whole data set without its pixels.

    Raises InputError if it cannot be parsed.
    """
    try:
        with lenient():
            return pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except Exception as error:
        raise InputError(f"{label}: damaged DICOM: {_one_line(error)}") from error


def inflated_pixels(path: str) -> BinaryIO:
    """The pixel data of a file whose data set is deflated as a whole."""
    with lenient():
        return io.BytesIO(pydicom.dcmread(path).PixelData)


def pydicom_header(file: BinaryIO, size: int) -> Values:
    """As `read_header` gives it, of any file that pydicom can parse."""
    deflated = _is_deflated(file)
    dataset = pydicom.dcmread(file, stop_before_pixels=not deflated, force=True, specific_tags=_tags(deflated))
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "")) or _guessed_syntax(dataset)
    pixels = _deflated_place(dataset) if deflated else _place(file, dataset, size)
    pixels["syntax"] = syntax
    values: Values = (
        {"SOPClassUID": _sop_class(dataset)} | _flat(dataset, KEYWORDS) | _private(dataset) | _real_world(dataset)
    )
    if values.get("MosaicTiles", 0) > 1:
        values["SliceNormal"] = _slice_normal(dataset)
    return {"file": values, "frames": list(_frames(dataset)), "pixels": pixels}


def _tags(deflated: bool) -> list[Any]:
    return [*_TAGS, pydicom.tag.Tag("PixelData")] if deflated else _TAGS


def _sop_class(dataset: Dataset) -> str:
    """As the file meta information has it, for data sets that have none of their own, or end before it.

    Raises InputError if nothing says what the file is.
    """
    found = str(dataset.get("SOPClassUID", "")) or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    if not found:
        raise InputError("damaged DICOM: ends before it says what it is (SOPClassUID)")
    return found


def _guessed_syntax(dataset: Dataset) -> str:
    implicit, little = dataset.original_encoding
    return {(True, True): "1.2.840.10008.1.2", (False, True): "1.2.840.10008.1.2.1"}.get(
        (bool(implicit), bool(little)), "1.2.840.10008.1.2.2"
    )


def _place(file: BinaryIO, dataset: Dataset, size: int) -> Values:
    """Where the value of the pixel element lies in the file, whose position is at that element [bytes]."""
    head = file.read(12)
    if len(head) < 8:
        return {}
    implicit, little = dataset.original_encoding
    order = "<" if little else ">"
    if implicit:
        start, (length,) = file.tell() - len(head) + 8, struct.unpack(order + "I", head[4:8])
    else:
        start, (length,) = file.tell(), struct.unpack(order + "I", head[8:12])
    element = struct.unpack(order + "HH", head[:4])
    return {"element": element[1], "offset": start, "length": length, "available": size - start}


def _deflated_place(dataset: Dataset) -> Values:
    length = len(dataset.get("PixelData", b""))
    return {"element": 0x10, "offset": 0, "length": length, "available": length, "deflated": True} if length else {}


def _is_deflated(file: BinaryIO) -> bool:
    """True for the deflated transfer syntax.

    Raises InputError if it would grow beyond what a file of images holds.
    """
    start = file.read(1024)
    file.seek(0)
    uid = str(DeflatedExplicitVRLittleEndian).encode()
    found = start.find(uid)
    if found < 0 or start[found + len(uid) : found + len(uid) + 1] == b".":
        return False
    length = struct.unpack("<I", start[140:144])[0]  # of the file meta information, (0002,0000)
    file.seek(144 + length)
    engine, grown = zlib.decompressobj(-zlib.MAX_WBITS), 0
    data = file.read(1 << 16)
    while data and grown <= _MAX_INFLATED:
        grown += len(engine.decompress(data, 1 << 24))
        data = engine.unconsumed_tail or file.read(1 << 16)
    if grown > _MAX_INFLATED:
        raise InputError(f"would inflate to more than {_MAX_INFLATED} bytes")
    file.seek(0)
    return True


def _frames(dataset: Dataset) -> Iterator[Values]:
    """Values of each frame of an enhanced image; nothing for a classic one."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    common = _from_groups(shared[0])
    axes = [int(item.DimensionIndexPointer) for item in dataset.get("DimensionIndexSequence") or []]
    for item in dataset.get("PerFrameFunctionalGroupsSequence") or []:
        values = common | _from_groups(item)
        index = values.pop("DimensionIndexValues", None)
        if isinstance(index, list) and len(index) == len(axes):
            times = [n for n, pointer in zip(index, axes, strict=True) if pointer not in _SPATIAL]
            values |= {"DimensionIndexValues": times} if times else {}
        yield values


def _from_groups(item: Dataset) -> Values:
    values: Values = _real_world(item)
    for name, keywords in GROUPS.items():
        group = item.get(name)
        if group:
            values |= _flat(group[0], keywords)
    philips = item.get(_PHILIPS_FRAME)
    if philips is not None and philips.VR == "SQ" and len(philips.value):
        values |= _private(philips.value[0])
    return values


def _flat(dataset: Dataset, keywords: tuple[str, ...]) -> Values:
    found = ((keyword, _plain(dataset, keyword)) for keyword in keywords if keyword in dataset)
    good = ((keyword, value) for keyword, value in found if keyword in LISTS or not isinstance(value, list))
    return {keyword: value for keyword, value in good if value is not None}


def _plain(dataset: Dataset, key: Any) -> Any:
    """A value in Python's own types; None if it is empty or does not convert."""
    try:
        value = dataset[key].value
    except Exception:  # an attribute that makes no sense counts as absent
        return None
    if value is None or value == "":
        return None
    if isinstance(value, pydicom.multival.MultiValue | list):
        return [_scalar(one) for one in value] or None
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else str(value)


def _private(dataset: Dataset) -> Values:
    values: Values = {}
    for name, (group, low, creator, form) in PRIVATE.items():
        if str(dataset[group, 0x10].value if (group, 0x10) in dataset else "").strip() != creator:
            continue
        if (group, 0x1000 | low) not in dataset:
            continue
        element = dataset[group, 0x1000 | low]
        value = element.value
        if isinstance(value, bytes) and len(value) == struct.calcsize(form):
            value = struct.unpack(form, value)[0]
        if isinstance(value, int | float):
            values[name] = _scalar(value)
    return values


def _slice_normal(dataset: Dataset) -> list[float]:
    data = dataset[_CSA].value if _CSA in dataset else b""
    return csa_numbers(data, "SliceNormalVector") if isinstance(data, bytes) else []


def _real_world(dataset: Dataset) -> Values:
    """Each item of a Real World Value Mapping as [slope, intercept, unit]; the slope is None for a lookup table."""
    items = []
    for item in dataset.get("RealWorldValueMappingSequence") or []:
        units = item.get("MeasurementUnitsCodeSequence")
        unit = str(units[0].get("CodeValue", "")) if units else ""
        items.append([_plain(item, "RealWorldValueSlope"), _plain(item, "RealWorldValueIntercept") or 0.0, unit])
    return {"RealWorld": items} if items else {}


@contextmanager
def lenient() -> Iterator[None]:
    """Values that break a rule of their type are for us to judge: no warnings from the parser."""
    settings: Any = pydicom.config.settings
    before = settings.reading_validation_mode
    settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode = before


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:160] or type(error).__name__


def as_planes(header: Mapping[str, Any]) -> list[Values]:
    """The values of each plane: those of the file, overridden by those of the frame. Equal texts are kept once."""
    common = {key: sys.intern(value) if type(value) is str else value for key, value in header["file"].items()}
    return [common | frame for frame in header["frames"]] or [common]
