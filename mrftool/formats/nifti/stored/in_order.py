"""The images of compressed files, inflated in order: never stored, and a few at a time in
memory.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any

import numpy as np

from mrftool.arrays import Array
from mrftool.formats.nifti.files import reading, require_no_more, require_size
from mrftool.formats.nifti.header import NiftiHeader
from mrftool.formats.nifti.stored.frames import Frames
from mrftool.scan.stream import frames_at_once

_BUFFERS = 2  # one is filled while the caller works on the other
_CHUNK = 1 << 20  # bytes that isal inflates at a time: more makes it slower


class Inflating:
    """The bytes of a data file, in order.

    Parameters
    ----------
    stream
        The inflated bytes.
    header
        What they should be.
    """

    def __init__(self, stream: IO[bytes], header: NiftiHeader) -> None:
        self._stream: Any = stream
        self._path = header.data_path
        self._claimed = header.n_bytes
        self._done = 0
        self._skip(header.offset)

    def fill(self, values: Array) -> None:
        """Fill a contiguous array with the next bytes. Raises InputError where they end too
        early.
        """
        target = values.reshape(-1).view(np.uint8).data
        while target:
            count = self._stream.readinto(target[:_CHUNK])
            self._done += count
            if not count:
                require_size(self._path, self._done, self._claimed)
            target = target[count:]

    def finish(self) -> None:
        """Read what is left, which proves the whole file undamaged. Raises InputError where it is
        more than the header claims.
        """
        rest = memoryview(bytearray(_CHUNK))
        while count := self._stream.readinto(rest):
            self._done += count
            require_no_more(self._path, self._done, self._claimed)

    def _skip(self, n_bytes: int) -> None:
        for start in range(0, n_bytes, _CHUNK):
            self.fill(np.empty(min(_CHUNK, n_bytes - start), np.uint8))


class _Tiles:
    """The images of a file, with room for two tiles of `at_once` of them."""

    def __init__(self, part: Frames, stream: IO[bytes], at_once: int) -> None:
        self._part = part
        self._bytes = Inflating(stream, part.header)
        shape = (_BUFFERS, at_once, part.n_voxels)
        self._room = np.empty(shape, part.header.dtype)

    def next(self, number: int, count: int) -> Array:
        """The next `count` images, in the room of tile `number`."""
        tile = self._room[number % _BUFFERS, :count]
        self._bytes.fill(tile)
        return self._part.scaled(tile)

    def finish(self) -> None:
        """See `Inflating`."""
        self._bytes.finish()


def tiles_in_order(parts: Sequence[Frames]) -> Iterator[tuple[int, list[Array]]]:
    """The number of the first image of each tile, and values `(image, voxel)` of each file. They
    are valid until the next but one is asked for.

    Raises InputError if a file is damaged, or holds less or more than its header claims.
    """
    image = max(part.header.dtype.itemsize * part.n_voxels for part in parts)
    n_images = len(parts[0])
    at_once = min(frames_at_once(image), n_images)
    with ExitStack() as files:
        sources = [
            _Tiles(part, files.enter_context(reading(part.header.data_path)), at_once)
            for part in parts
        ]
        for number, first in enumerate(range(0, n_images, at_once)):
            count = min(at_once, n_images - first)
            yield first, [source.next(number, count) for source in sources]
        for source in sources:
            source.finish()
