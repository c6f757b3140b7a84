"""PNG out: pictures of few colours, each pixel an index. Source: PNG specification,
https://www.w3.org/TR/png-3/.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INDEXED = 3  # colour type


def png_bytes(indices: NDArray[np.uint8], palette: NDArray[np.floating]) -> bytes:
    """A picture `(row, column)` of indices into `palette` `(colour, RGB)`, at most 256 colours of 0
    to 1 [1].
    """
    height, width = indices.shape
    colours = np.rint(np.clip(palette, 0, 1) * 255).astype(np.uint8)
    rows = np.zeros((height, width + 1), np.uint8)  # each row starts with its filter: 0, none
    rows[:, 1:] = indices
    header = struct.pack(">IIBBBBB", width, height, 8, _INDEXED, 0, 0, 0)
    chunks = {
        b"IHDR": header,
        b"PLTE": colours.tobytes(),
        b"IDAT": zlib.compress(rows.tobytes(), 6),
        b"IEND": b"",
    }
    return _SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks.items())


def _chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )
