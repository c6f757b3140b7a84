"""Where elements lie in headers, remembered from file to file.

The files of a series nearly all have one of a few layouts. A header whose tags, VRs and lengths are
those of one that was walked before is not walked again: its values lie at the same places.
"""

from collections.abc import Collection, Iterable
from typing import BinaryIO

from mrftool.formats.dicom.headers.keywords import Values
from mrftool.formats.dicom.headers.raw_elements import OutOfOrdinaryError, Scanned, scan
from mrftool.formats.dicom.headers.signature import HEAD, has_preamble

_READ_FIRST = 1 << 18  # bytes; longer headers are not ordinary
_PIXEL_HEAD = 12  # bytes of the tag, VR and length of the pixel element
_MOST_LAYOUTS = 16  # of headers in files of one size


class KnownLayout:
    """Where the elements lie in headers whose fixed pieces are those of one that was walked.

    tags, vrs: of the wanted elements. last: raw values and result of the last header that had this
    layout.
    """

    def __init__(self, scanned: Scanned, data: bytes) -> None:
        self.scanned = scanned
        self.has_pixels = scanned.place + _PIXEL_HEAD <= len(data)
        self.n_bytes = scanned.place + _PIXEL_HEAD
        self.tags = tuple(scanned.values)
        self.vrs = tuple(vr for vr, _ in scanned.values.values())
        self.last: tuple[list[bytes], Values] | None = None
        self._places = [place for _, place in scanned.values.values()]
        self._fixed = _ones(scanned.fixed)
        if self.has_pixels:
            self._fixed |= _ones([slice(scanned.place, self.n_bytes)])
        self._expected = self._fixed & self._number(data)

    def holds(self, data: bytes) -> bool:
        """True if a header has this layout."""
        return len(data) >= self.n_bytes and self._fixed & self._number(data) == self._expected

    def raw_values(self, data: bytes) -> list[bytes]:
        """Bytes of the wanted elements of a header that has this layout, in the order of `tags`."""
        return [data[place] for place in self._places]

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data[: self.n_bytes], "little")


def _ones(pieces: Iterable[slice]) -> int:
    """A number whose bits are set where the pieces lie, the first byte being the lowest."""
    number = 0
    for piece in pieces:
        length = piece.stop - piece.start
        number |= ((1 << 8 * length) - 1) << 8 * piece.start
    return number


class KnownLayouts:
    """The layouts of headers seen so far, by the size of their files."""

    def __init__(self, wanted: Collection[int]) -> None:
        self._wanted = wanted
        self._by_size: dict[int, list[KnownLayout]] = {}

    def layout_of(self, file: BinaryIO, size: int) -> tuple[KnownLayout, bytes]:
        """The layout of a header, and its bytes, read no further than needed where it is known.

        Raises what `scan` raises.
        """
        layouts = self._by_size.setdefault(size, [])
        data = file.read(max((layout.n_bytes for layout in layouts), default=HEAD))
        for layout in layouts:
            if layout.holds(data):
                return layout, data
        if not has_preamble(data):
            raise OutOfOrdinaryError
        data += file.read(max(_READ_FIRST - len(data), 0))
        found = KnownLayout(scan(data, self._wanted), data)
        if found.has_pixels:
            layouts.insert(0, found)
            del layouts[_MOST_LAYOUTS:]
        return found, data
