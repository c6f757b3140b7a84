"""The header of one DICOM file, classic or enhanced, as plain values for each image plane in it.

Everything is read leniently here: what is missing or makes no sense is absent from the values, and
only the series that was chosen must be complete. Attributes: DICOM PS3.3 C.7.6 and C.8.3 (MR
Image), C.7.6.16 (functional groups).
"""

import io
import os
import struct
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mrftool.errors import InputError
from mrftool.formats.dicom.headers.keywords import BLOCKS, KEYWORDS, PRIVATE, SEQUENCES, Values
from mrftool.formats.dicom.headers.lenient import lenient
from mrftool.formats.dicom.headers.quick import Known, quick_header
from mrftool.formats.dicom.headers.signature import DICOM_HEAD, HEAD, from_start
from mrftool.formats.dicom.headers.values import (
    flat,
    frames_of,
    mosaic_of,
    private_of,
    real_world_of,
)

_TAGS = [
    *(pydicom.tag.Tag(keyword) for keyword in (*KEYWORDS, *SEQUENCES)),
    *(
        pydicom.tag.Tag(group, element)
        for group, low in (*((group, low) for group, low, _, _ in PRIVATE.values()), (0x0029, 0x10))
        for block in BLOCKS
        for element in (block, block << 8 | low)
    ),
]
_UNDEFINED = 0xFFFFFFFF
_MAX_INFLATED = 2 << 30


def look_into(path: str, known: Known) -> tuple[bytes, Values | None]:
    """The first bytes of a file, and its header if it is an ordinary one, as `read_header` gives
    it.

    known: of the headers read before. Raises as `read_head`.
    """

    def look(file: BinaryIO, size: int) -> tuple[bytes, Values | None]:
        try:
            return DICOM_HEAD, quick_header(file, size, known)
        except OSError:
            raise
        except Exception:  # whatever a hostile file makes of it: the slow way tells
            file.seek(0)
            return file.read(HEAD), None

    return from_start(path, look) or (b"", None)


def read_header(path: str, label: str) -> Values:
    """What the file says of its pixels and planes, in values that JSON can hold.

    Returns {"file": values of all planes, "frames": [values of one plane, ...], "pixels": where
    they lie}.

    Raises InputError if the file is no DICOM that can be parsed.
    """
    try:
        with open(path, "rb") as file, lenient():  # noqa: PTH123
            return pydicom_header(file, os.fstat(file.fileno()).st_size)
    except InputError as error:
        raise InputError(f"{label}: {error}") from error
    except OSError as error:
        raise InputError(f"{label}: cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise InputError(f"{label}: damaged DICOM: sequences nested beyond all measure") from error
    except (
        Exception
    ) as error:  # a parser on hostile bytes: whatever it raises, the file is at fault
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
    dataset = pydicom.dcmread(
        file, stop_before_pixels=not deflated, force=True, specific_tags=_tags(deflated)
    )
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "")) or _guessed_syntax(dataset)
    pixels = _deflated_place(dataset)
    if not deflated:
        pixels = _place(file, dataset, size)
    pixels["syntax"] = syntax
    values: Values = (
        {"SOPClassUID": _sop_class(dataset)}
        | flat(dataset, KEYWORDS)
        | private_of(dataset)
        | real_world_of(dataset)
    )
    values |= mosaic_of(dataset, values)
    return {"file": values, "frames": list(frames_of(dataset)), "pixels": pixels}


def _tags(deflated: bool) -> list[Any]:
    if deflated:
        return [*_TAGS, pydicom.tag.Tag("PixelData")]
    return _TAGS


def _sop_class(dataset: Dataset) -> str:
    """As the file meta information has it, for data sets that have none of their own, or end before
    it.

    Raises InputError if nothing says what the file is.
    """
    found = str(dataset.get("SOPClassUID", "")) or str(
        dataset.file_meta.get("MediaStorageSOPClassUID", "")
    )
    if not found:
        raise InputError("damaged DICOM: ends before it says what it is (SOPClassUID)")
    return found


def _guessed_syntax(dataset: Dataset) -> str:
    implicit, little = dataset.original_encoding
    return {(True, True): "1.2.840.10008.1.2", (False, True): "1.2.840.10008.1.2.1"}.get(
        (bool(implicit), bool(little)), "1.2.840.10008.1.2.2"
    )


def _place(file: BinaryIO, dataset: Dataset, size: int) -> Values:
    """Where the value of the pixel element lies in the file, whose position is at that element
    [bytes].
    """
    head = file.read(12)
    if len(head) < 8:
        return {}
    implicit, little = dataset.original_encoding
    order = ">"
    if little:
        order = "<"
    if implicit:
        start, (length,) = file.tell() - len(head) + 8, struct.unpack(order + "I", head[4:8])
    else:
        start, (length,) = file.tell(), struct.unpack(order + "I", head[8:12])
    element = struct.unpack(order + "HH", head[:4])
    place = {"element": element[1], "offset": start, "length": length, "available": size - start}
    n_frames = dataset.get("NumberOfFrames") or 1
    if length == _UNDEFINED and n_frames > 1:
        found = _fragments(file, start, size)
        if len(found) == n_frames:
            place["fragments"] = found
    return place


def _fragments(file: BinaryIO, start: int, size: int) -> list[list[int]]:
    """Place and length of each fragment of compressed pixel data, without the offset table before
    them (PS3.5 A.4).

    Most files have one for each frame; then a frame is found without counting through those before
    it.
    """
    found: list[list[int]] = []
    place = start
    while place + 8 <= size:
        file.seek(place)
        group, element, length = struct.unpack("<HHI", file.read(8))
        if (group, element) != (0xFFFE, 0xE000) or place + 8 + length > size:
            break
        found.append([place + 8, length])
        place += 8 + length
    return found[1:]


def _deflated_place(dataset: Dataset) -> Values:
    length = len(dataset.get("PixelData", b""))
    if not length:
        return {}
    return {"element": 0x10, "offset": 0, "length": length, "available": length, "deflated": True}


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


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:160] or type(error).__name__


def as_planes(header: Mapping[str, Any]) -> list[Values]:
    """The values of each plane: those of the file, overridden by those of the frame."""
    common: Values = header["file"]
    return [common | frame for frame in header["frames"]] or [common]
