"""Pictures as PNG. Source: PNG specification, https://www.w3.org/TR/png-3/."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _INDEXED = 2, 3  # colour types
_BIT_DEPTH = 8
_NO_FILTER, _DIFFERENCE_FROM_ABOVE = 0, 2


def png_bytes(indices: NDArray[np.uint8], palette: NDArray[np.floating]) -> bytes:
    """Encode a picture whose pixels are indices into a palette.

    Parameters
    ----------
    indices : array
        `(row, column)`
    palette : array
        Red, green and blue of at most 256 colours `(colour, 3)`, from 0 to 1 [1].
    """
    height, width = indices.shape
    colours = np.rint(np.clip(palette, 0, 1) * 255).astype(np.uint8)
    rows = np.full((height, width + 1), _NO_FILTER, np.uint8)  # each row starts with its filter
    rows[:, 1:] = indices
    return _file(width, height, _INDEXED, rows, palette=colours.tobytes(), level=6)


def rgb_png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Encode a picture of red, green and blue `(row, column, 3)`.

    Each row is stored as its difference from the one above: enlarged pictures have many equal ones.
    """
    height, width, _ = pixels.shape
    flat = pixels.reshape(height, 3 * width)
    rows = np.full((height, 1 + 3 * width), _DIFFERENCE_FROM_ABOVE, np.uint8)
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    return _file(width, height, _RGB, rows, level=1)


def _file(
    width: int,
    height: int,
    colour_type: int,
    rows: NDArray[np.uint8],
    *,
    level: int,
    palette: bytes = b"",
) -> bytes:
    """A file of rows that begin with the number of their filter; level: of the compression."""
    header = struct.pack(">IIBBBBB", width, height, _BIT_DEPTH, colour_type, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    if palette:
        chunks.append(_chunk(b"PLTE", palette))
    chunks += [_chunk(b"IDAT", zlib.compress(rows.data, level)), _chunk(b"IEND", b"")]
    return _SIGNATURE + b"".join(chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    length = struct.pack(">I", len(content))
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return length + name + content + checksum
