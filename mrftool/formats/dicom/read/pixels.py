"""Pixels of the planes: straight from the file where they are stored plainly, through a codec where
not.
"""

import io
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from mrftool.environment.extras import install_hint
from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.dicom.headers.header import inflated_pixels
from mrftool.formats.dicom.read.plane import Layout, Plane

_PLAIN = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
)  # implicit and explicit VR little endian, PS3.5 A.1 and A.2
_ALSO_NATIVE = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")  # deflated, and big endian
Stored = NDArray[np.integer[Any]]


def is_plain(layout: Layout, plane: Plane) -> bool:
    """True if single rows of the image can be read from the file as they are."""
    return layout.syntax in _PLAIN and not plane.pixels.get("deflated")


def is_compressed(layout: Layout, plane: Plane) -> bool:
    """True if a codec must decode the image.

    Raises InputError if its transfer syntax holds no images, MissingExtraError if no codec for it
    is installed.
    """
    if layout.syntax in (*_PLAIN, *_ALSO_NATIVE):
        return False
    uid = UID(layout.syntax)
    try:
        decoder = get_decoder(uid)
    except NotImplementedError as error:
        raise InputError(f"{plane.label}: transfer syntax {uid.name} cannot be decoded") from error
    if not decoder.is_available:
        hint = install_hint("jpeg")
        raise MissingExtraError(f"{plane.label}: no decoder for {uid.name} is installed", hint=hint)
    return True


def stored_rows(planes: Sequence[Plane], layout: Layout, first: int, last: int) -> Stored:
    """Stored integers of rows `first` to `last`, exclusive, of planes of one layout and corner:
    `(plane, row, column)`, in as many bits as are allocated.

    Raises InputError if a file ends too early or its codec fails.
    """
    top, left = planes[0].corner
    if all(is_plain(layout, plane) for plane in planes):
        values = _from_files(planes, layout, top + first, top + last)
    else:
        values = np.stack([_decoded(plane, layout)[top + first : top + last] for plane in planes])
    return _meaningful(values[:, :, left : left + layout.columns], layout)


def _from_files(planes: Sequence[Plane], layout: Layout, first: int, last: int) -> Stored:
    shape = (len(planes), last - first, layout.full[1])
    values = np.empty(shape, f"<{layout.kind}{layout.bits_allocated // 8}")
    for plane, rows in zip(planes, values, strict=True):
        place = plane.pixels["offset"] + (plane.index * layout.full[0] + first) * layout.row_bytes
        if _read_into(rows, plane, place) != rows.nbytes:
            raise InputError(
                f"{plane.name}: ends within its pixels, though it was whole when it was opened"
            )
    return values


def _read_into(rows: Stored, plane: Plane, place: int) -> int:
    """Fill `rows` from a place in the file of a plane; how many bytes there were."""
    try:
        with open(plane.path, "rb", buffering=0) as file:  # noqa: PTH123  (Path is slow for thousands)
            file.seek(place)
            return file.readinto(rows.data) or 0
    except OSError as error:
        raise InputError(f"{plane.label}: cannot be read: {error.strerror or error}") from error


def _decoded(plane: Plane, layout: Layout) -> Stored:
    """The whole plane by way of pydicom and its plugins."""
    options = _decoder_options(plane, layout)
    index, fragments = plane.index, plane.pixels.get("fragments")
    try:
        decoder: Any = get_decoder(UID(layout.syntax))
        with _pixel_file(plane) as file:
            source = file
            if fragments is not None:
                source = io.BytesIO(_fragment(file, *fragments[index]))
                index, options["number_of_frames"] = 0, 1
            values = decoder.as_array(source, index=index, raw=True, **options)[0]
    except (KeyboardInterrupt, SystemExit):
        raise
    except (
        BaseException
    ) as error:  # a codec on hostile bytes; some written in Rust panic with no mere Exception
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"{plane.name}: damaged pixels, which cannot be decoded: {said}"
        ) from error
    if values.shape != layout.full:
        raise InputError(f"{plane.name}: decodes to {values.shape} pixels, expected {layout.full}")
    return np.asarray(values)


def _decoder_options(plane: Plane, layout: Layout) -> dict[str, Any]:
    return {
        "rows": layout.full[0],
        "columns": layout.full[1],
        "samples_per_pixel": 1,
        "photometric_interpretation": layout.photometric,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.signed),
        "number_of_frames": plane.n_frames,
        "pixel_keyword": "PixelData",
    }


def _fragment(file: BinaryIO, place: int, length: int) -> bytes:
    """One compressed frame as if it were alone in its file."""
    file.seek(place)
    return encapsulate([file.read(length)], has_bot=False)


def _pixel_file(plane: Plane) -> BinaryIO:
    if plane.pixels.get("deflated"):
        return inflated_pixels(plane.path)
    file = open(plane.path, "rb")  # noqa: PTH123, SIM115  (the caller closes it)
    file.seek(plane.pixels["offset"])
    return file


def _meaningful(values: Stored, layout: Layout) -> Stored:
    """Bits above the stored ones removed, and the sign brought up to the top."""
    if layout.bits_stored == layout.bits_allocated:
        return values
    words = values.astype(f"{layout.kind}{layout.bits_allocated // 8}")
    up = words << (layout.bits_allocated - 1 - layout.high_bit)
    return np.asarray(up >> (layout.bits_allocated - layout.bits_stored))
