"""Series whose frames are read in order, once: compressed files, and folders of thousands of
images.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np

from mrftool.arrays import Array, BoolArray
from mrftool.scan.series import Series, Signal, Voxels, c_order

_TILE_BYTES = 48 << 20  # of frames that are read together
_LEAST, _MOST = 4, 32  # of them
FramesInOrder = Iterator[tuple[int, Array]]


class KeptSignals:
    """Signals of some voxels, kept from a pass over all frames."""

    def __init__(self) -> None:
        self._positions: Voxels = np.empty(0, np.intp)
        self._tiles: list[Array] = []

    def keep(self, positions: Voxels, tiles: list[Array]) -> None:
        """Keep these alone: all frames `(frame, voxel)`, in pieces, of positions in file order,
        ascending.
        """
        self._positions, self._tiles = positions, tiles

    def find(self, positions: Voxels) -> Signal | None:
        """Signals `(voxel, time)`; None unless all of them were kept."""
        places = np.searchsorted(self._positions, positions)
        if not len(self._positions) or places.max(initial=0) >= len(self._positions):
            return None
        if not np.array_equal(self._positions[places], positions):
            return None
        return transposed(self._tiles, places)


class StreamingReader(ABC):
    """What reads the signals of a series, and can read all frames in order.

    Parameters
    ----------
    kept
        Signals of the voxels that later steps are likely to ask for.
    """

    kept: KeptSignals

    @abstractmethod
    def __call__(self, positions: Voxels) -> Signal:
        """As `Series.read`."""

    @property
    @abstractmethod
    def streams(self) -> bool:
        """Whether one pass over all frames is quicker than reading voxel by voxel, of complex
        signals.
        """

    @abstractmethod
    def frames(self) -> FramesInOrder:
        """The number of the first frame of each tile, and its values `(frame, voxel)`, complex64,
        voxels in file order. A tile is valid until the next but one is asked for.

        Raises InputError if a file is damaged.
        """

    @abstractmethod
    def prepare(self) -> None:
        """Do at once what takes long before voxels can be read one by one."""

    def few(self, positions: Voxels) -> Signal:
        """As `Series.read`, of so few voxels that their signals fit into memory: those that were
        kept, or else of another pass.
        """
        kept = self.kept.find(positions)
        if kept is not None:
            return kept
        return transposed((frames for _, frames in self.frames()), positions)


def transposed(tiles: Iterable[Array], places: Voxels) -> Signal:
    """Signals `(voxel, time)` at places of all frames `(frame, voxel)`, in pieces."""
    chosen = [np.take(frames, places, axis=1) for frames in tiles]
    return np.ascontiguousarray(np.concatenate(chosen).T)


def frames_at_once(n_bytes: int) -> int:
    """How many frames of so many bytes a tile has."""
    return min(max(_TILE_BYTES // n_bytes, _LEAST), _MOST)


def streaming_reader(series: Series) -> StreamingReader | None:
    """The reader of a series that is best read frame by frame; None of others."""
    reader = series.read
    if isinstance(reader, StreamingReader) and reader.streams:
        return reader
    return None


def prepare(series: Series) -> None:
    """Make a series ready to be read voxel by voxel: inflate a compressed file."""
    if isinstance(series.read, StreamingReader):
        series.read.prepare()


def signals_of_few(series: Series, mask: BoolArray) -> tuple[Voxels, Signal]:
    """Flat indices and signals `(voxel, time)` of the few voxels of `mask` `(x, y, z)`."""
    reader = streaming_reader(series)
    if reader is not None:
        positions = np.flatnonzero(mask.ravel(order="F"))
        return c_order(positions, series.shape), reader.few(positions)
    voxels, signals = zip(*series.blocks(mask), strict=True)
    return np.concatenate(voxels), np.concatenate(signals)
