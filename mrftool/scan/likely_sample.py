"""Signals that are kept from a pass over all frames, since a later step is likely to ask for them.

The assessment of a fit takes a sample of voxels with signal, most of them from the slice that has
most. Which these are is known after the pass. So many candidates are kept at first, and fewer and
fewer as their signals grow longer: those with signal, of the slices with most of it.
"""

import numpy as np

from mrftool.arrays import Array, IndexArray
from mrftool.scan.draw import drawn
from mrftool.scan.series import Voxels, c_order, file_order
from mrftool.scan.stream import KeptSignals

_MOST_BYTES = 96 << 20
_DIM, _FAINT = 1e-2, 1e-3  # energies over that of bright voxels, below which there is little signal
_BRIGHT = 98.0  # percentile of the energies
_SPARE = 3  # times as many as a slice is asked for
_NEARLY_FULLEST = 0.7  # of the voxels with signal in the fullest slice


class LikelySample:
    """Candidates for the sample, and their signals.

    Parameters
    ----------
    positions
        Of all voxels that count, in file order, ascending `(voxel,)`.
    shape
        Of the image.
    n_time
        Frames of the series.
    enough
        How many voxels are drawn from one slice, at most.
    """

    def __init__(
        self, positions: Voxels, shape: tuple[int, int, int], n_time: int, enough: int
    ) -> None:
        self._positions, self._shape = positions, shape
        self._n_time, self._enough = n_time, enough
        self._energy = np.zeros(len(positions))
        self._parts: list[Array] = []
        self._n_frames = 0

    def add(self, frames: Array) -> None:
        """Add the next frames of the image `(frame, voxel)`."""
        if not self._parts:
            self._begin(len(frames))
        part = np.take(frames, self._positions, axis=1)
        self._parts.append(part)
        with np.errstate(over="ignore", invalid="ignore"):
            power = np.square(part.view(np.float32)).sum(axis=0)
            self._energy += power[0::2] + power[1::2]
        self._n_frames += len(frames)
        if self._n_frames >= self._until:
            self._choose()

    def keep_in(self, kept: KeptSignals) -> None:
        """Hand over the candidates that are left."""
        kept.keep(self._positions, self._parts)

    def _begin(self, n_frames: int) -> None:
        """Choose before any signal is known: by their ranks."""
        self._until = min(2 * n_frames, self._n_time)
        if self._most() < len(self._positions):
            chosen = drawn(c_order(self._positions, self._shape), self._most())
            self._positions = np.sort(file_order(chosen, self._shape))
            self._energy = np.zeros(len(chosen))

    def _most(self) -> int:
        """Candidates whose signals fit into memory until the next choice."""
        return max(_MOST_BYTES // (8 * self._until), 1)

    def _choose(self) -> None:
        """Leave out as many candidates as the next frames need."""
        self._until = min(2 * self._n_frames, self._n_time)
        if len(self._positions) <= self._most():
            return
        chosen = self._likely()
        self._positions, self._energy = self._positions[chosen], self._energy[chosen]
        for number, part in enumerate(self._parts):
            self._parts[number] = np.take(part, chosen, axis=1)

    def _likely(self) -> IndexArray:
        """Which of the candidates are likely to be drawn."""
        voxels, most = c_order(self._positions, self._shape), self._most()
        energy = np.nan_to_num(self._energy, posinf=0.0)
        relative = energy / max(float(np.percentile(energy, _BRIGHT)), 1e-300)
        usable = voxels[relative >= _FAINT]
        chosen = drawn(usable, min(self._enough, most))
        for own in self._slices(voxels[relative >= _DIM], usable):
            if len(chosen) + len(own) <= most:
                chosen = np.union1d(chosen, own)
        return np.flatnonzero(np.isin(voxels, chosen))

    def _slices(self, bright: IndexArray, usable: IndexArray) -> list[IndexArray]:
        """Voxels of each slice that may be the fullest, the likeliest first."""
        n_slices = self._shape[2]
        counts = np.bincount(bright % n_slices, minlength=n_slices)
        likely = np.flatnonzero(counts >= _NEARLY_FULLEST * counts.max())
        likely = likely[np.argsort(-counts[likely], kind="stable")]
        each = usable % n_slices
        return [drawn(usable[each == index], _SPARE * self._enough) for index in likely]
