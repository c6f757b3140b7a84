"""Pictures of few colours as PNG. Source: PNG specification, https://www.w3.org/TR/png-3/."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INDEXED = 3  # colour type
_BIT_DEPTH = 8
_NO_FILTER = 0


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
    header = struct.pack(">IIBBBBB", width, height, _BIT_DEPTH, _INDEXED, 0, 0, 0)
    chunks = (
        _chunk(b"IHDR", header),
        _chunk(b"PLTE", colours.tobytes()),
        _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)),
        _chunk(b"IEND", b""),
    )
    return _SIGNATURE + b"".join(chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    length = struct.pack(">I", len(content))
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return length + name + content + checksum
