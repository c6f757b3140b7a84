"""Compression of a whole series in one pass over its frames."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, Progress
from mrftool.environment.threads import prefetched
from mrftool.scan.compression import Sums, sums_of
from mrftool.scan.compressor import Compressor
from mrftool.scan.likely_sample import LikelySample
from mrftool.scan.series import Series, Voxels
from mrftool.scan.stream import StreamingReader

_VOXELS = 32768  # whose sums one thread adds to at a time


@dataclass(frozen=True, eq=False)
class BlockSums:
    """Sums of some voxels: their positions in file order, ascending, and all their frames."""

    positions: Voxels
    sums: Sums

    def add(self, frames: Array, first: int, *, is_whole: bool) -> None:
        """Add frames `(frame, voxel)` of the image; is_whole: whether all its voxels count."""
        if is_whole:
            own = frames[:, self.positions[0] : self.positions[-1] + 1]
        else:
            own = np.take(frames, self.positions, axis=1)
        self.sums.add(own, first)


def compressed_in_one_pass(
    series: Series,
    reader: StreamingReader,
    compressor: Compressor,
    mask: BoolArray | None,
    *,
    n_sampled: int,
    threads: int,
    progress: Progress | None = None,
) -> Iterator[BlockSums]:
    """Sums of all voxels of `mask` `(x, y, z)`, each given away once.

    Parameters
    ----------
    series, reader
        The series, and what reads it.
    compressor
        That compresses its signals.
    mask
        Voxels that count; None for all.
    n_sampled
        Voxels of a slice whose signals later steps ask for, at most: the reader keeps candidates.
    threads
        That add frames.
    progress
        Called with the share of the work since the last call, as a number of voxels.

    Raises
    ------
    InputError
        If a file is damaged.
    MismatchError
        If the mask has another shape than the series.
    """
    blocks = [
        BlockSums(positions, sums_of(compressor, len(positions)))
        for positions in series.pieces(mask, _VOXELS)
    ]
    if not blocks:
        return
    every = np.concatenate([block.positions for block in blocks])
    is_whole = len(every) == series.n_voxels
    sample = LikelySample(every, series.shape, series.n_time, n_sampled)
    advance = _shares(len(every), series.n_time, progress)
    with ThreadPoolExecutor(threads) as pool, closing(prefetched(reader.frames())) as tiles:
        for first, frames in tiles:
            adding = [pool.submit(block.add, frames, first, is_whole=is_whole) for block in blocks]
            sample.add(frames)
            for each in adding:
                each.result()
            advance(len(frames))
    sample.keep_in(reader.kept)
    blocks.reverse()
    while blocks:
        yield blocks.pop()


def _shares(n_voxels: int, n_time: int, progress: Progress | None) -> Callable[[int], None]:
    """What tells, of frames that are done, the share of all voxels."""
    done = [0]

    def advance(n_frames: int) -> None:
        before = n_voxels * done[0] // n_time
        done[0] += n_frames
        if progress is not None:
            progress(n_voxels * done[0] // n_time - before)

    return advance
