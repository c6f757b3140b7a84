"""Stacks of spirals: a Fourier transform along the partitions leaves slices to reconstruct.

Partition p encodes kz = p - n // 2 cycles per field of view along z; slice z lies at z - n // 2.
"""

import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np

from mrftool.arrays import Array, ComplexArray, IndexArray
from mrftool.errors import InputError
from mrftool.formats.mrd.read import RawScan
from mrftool.scan.kspace import KSpace

_BLOCK = 32  # readouts of each partition that are transformed at a time


def slices_of(scan: RawScan) -> Iterator[KSpace]:
    """Raw data of each slice of a scan, in order; one of them is in memory at a time.

    Raises
    ------
    InputError
        If partitions differ in their readouts.
    """
    if scan.n_partitions == 1:
        for index in range(scan.n_slices):
            yield scan.read_slice(index)
        return
    for index in range(scan.header.n_slices):
        yield from _slab(scan, index)


def partitions(samples: Array) -> ComplexArray:
    """Samples of the partitions `(slice, ...)` of those of the slices: the forward transform."""
    count = len(samples)
    return np.asarray(np.tensordot(_waves(count), samples, axes=1), np.complex64)


def _slab(scan: RawScan, index: int) -> Iterator[KSpace]:
    rows = [scan.rows(index, partition) for partition in range(scan.n_partitions)]
    _require_same(scan, rows)
    trajectory, arm = scan.arms(rows[0])
    with tempfile.TemporaryFile() as file:
        stored = _transformed(scan, rows, file)
        for place in range(scan.n_partitions):
            samples = np.array(stored[place])
            yield scan.named(samples, trajectory, arm, scan.repetition[rows[0]])


def _require_same(scan: RawScan, rows: list[IndexArray]) -> None:
    """Every partition must have the same repetitions, in the same order."""
    first = scan.repetition[rows[0]]
    for partition, chosen in enumerate(rows):
        if not np.array_equal(scan.repetition[chosen], first):
            raise InputError(
                f"{scan.name}: partition {partition} has other readouts than partition 0, expected "
                "the same repetitions in each"
            )


def _transformed(scan: RawScan, rows: list[IndexArray], file: IO[bytes]) -> Array:
    """Samples `(slice, readout, coil, sample)`, in a temporary file."""
    example = scan.samples(rows[0][:1])
    shape = (len(rows), len(rows[0]), *example.shape[1:])
    stored: Array = np.memmap(file, np.complex64, "w+", shape=shape)
    inverse = _waves(len(rows)).conj().T / len(rows)
    for start in range(0, len(rows[0]), _BLOCK):
        block = np.stack([scan.samples(chosen[start : start + _BLOCK]) for chosen in rows])
        stored[:, start : start + _BLOCK] = np.tensordot(inverse, block, axes=1)
    return stored


def _waves(count: int) -> Array:
    """exp(-2 pi i kz z / n) `(partition, slice)`, both counted from the middle."""
    place = np.arange(count) - count // 2
    return np.asarray(np.exp(-2j * np.pi * np.outer(place, place) / count))
