"""Readouts of an MRD file, copied in bulk to a plain file by a process of its own.

An MRD file of HDF5 keeps one record for each readout: a head of fixed size, the trajectory and the
samples as float32 of variable length. Damaged files can keep the library of HDF5 busy for ever, so
a child reads all records and prints them: first the numbers of each readout, trajectory before
samples, then how many there are, the heads, and the sizes of these parts.
Source: the schema of ISMRMRD 1.13, https://ismrmrd.readthedocs.io.
"""

import importlib.util
import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from mrftool.arrays import Array, ComplexArray, Float32Array, IndexArray
from mrftool.environment.extras import install_hint
from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.apart import SECONDS, answer_in_pieces, write_apart

# Bits of `flags`, counted from 1 in the schema.
_NOISE = 19
_NOT_IMAGING = (19, 20, 23, 24, 26, 27, 28, 29)  # noise, calibration, navigators, feedback, dummies
_FIELDS = {
    "flags",
    "number_of_samples",
    "active_channels",
    "trajectory_dimensions",
    "center_sample",
    "discard_pre",
    "discard_post",
    "sample_time_us",
    "position",
    "read_dir",
    "phase_dir",
    "slice_dir",
    "idx",
}
_READER = "mrftool.formats.mrd.readouts"
_BLOCK = 64  # readouts that the child holds at a time
_SLOWEST = 10e6  # of a child that reads [bytes/s]
_MOST_TIMES = 2  # as many bytes as the file has, that its readouts may hold
_FIELD_NAMES = ("traj", "data")
_N_ENDS = 3  # numbers at the end of what the child prints


@dataclass(frozen=True, eq=False)
class Readouts:
    """Heads of all readouts of a file, in order, and a copy of the rest.

    heads: structured array `(readout,)` as the schema has it. lengths: numbers in the trajectory
    and the samples of each readout `(readout, 2)`. values: these numbers, one readout after the
    other, in a mapped file.
    """

    path: Path
    heads: Array
    lengths: IndexArray = field(repr=False)
    values: Float32Array = field(repr=False)

    @property
    def is_noise(self) -> Array:
        """Which are noise scans `(readout,)`."""
        return self._has(_NOISE)

    @property
    def is_imaging(self) -> Array:
        """Which belong to the image `(readout,)`."""
        return np.asarray(~np.any([self._has(bit) for bit in _NOT_IMAGING], axis=0))

    def counter(self, name: str) -> IndexArray:
        """An encoding counter of each readout `(readout,)`."""
        return np.asarray(self.heads["idx"][name], np.int64)

    def samples(self, rows: IndexArray) -> ComplexArray:
        """Samples of some readouts `(readout, coil, sample)`; all of one size."""
        n_samples, n_coils = self.size(rows)
        flat = self._read("data", rows, 2 * n_samples * n_coils)
        return flat.view(np.complex64).reshape(len(rows), n_coils, n_samples)

    def trajectories(self, rows: IndexArray) -> Float32Array:
        """Trajectories of some readouts `(readout, sample, dimension)`, in the file's unit."""
        n_samples, _ = self.size(rows)
        dimensions = np.unique(self.heads["trajectory_dimensions"][rows])
        if not dimensions.any():
            raise InputError(
                f"{self.path}: holds no trajectory, expected it besides", arguments=("trajectory",)
            )
        if len(dimensions) != 1 or dimensions[0] not in (2, 3):
            raise InputError(
                f"{self.path}: trajectories of {_listed(dimensions)} dimensions, expected 2 or 3 "
                "for all readouts"
            )
        flat = self._read("traj", rows, n_samples * int(dimensions[0]))
        return flat.reshape(len(rows), n_samples, int(dimensions[0]))

    def size(self, rows: IndexArray) -> tuple[int, int]:
        """Samples and coils of some readouts.

        Raises
        ------
        InputError
            If they differ among the readouts.
        """
        names = {"number_of_samples": "samples", "active_channels": "coils"}
        sizes = []
        for name, text in names.items():
            found = np.unique(self.heads[name][rows])
            if len(found) != 1 or found[0] < 1:
                raise InputError(
                    f"{self.path}: readouts of {_listed(found)} {text}, expected as many in all"
                )
            sizes.append(int(found[0]))
        return sizes[0], sizes[1]

    def kept(self, rows: IndexArray, n_samples: int) -> slice:
        """Samples of some readouts that are not to be discarded.

        Raises
        ------
        InputError
            If they differ among the readouts, or none are kept.
        """
        ends = np.stack([self.heads[name][rows] for name in ("discard_pre", "discard_post")])
        before, after = (int(count) for count in ends[:, 0])
        if (ends != ends[:, :1]).any() or before + after >= n_samples:
            raise InputError(
                f"{self.path}: readouts discard {_listed(np.unique(ends))} of {n_samples} samples, "
                "expected the same, and fewer, in all"
            )
        return slice(before, n_samples - after)

    def _has(self, bit: int) -> Array:
        return np.asarray(self.heads["flags"] >> np.uint64(bit - 1) & np.uint64(1), bool)

    def _read(self, name: str, rows: IndexArray, size: int) -> Float32Array:
        """One field of some readouts `(readout, size)`."""
        place = _FIELD_NAMES.index(name)
        found = np.unique(self.lengths[rows, place])
        if found.tolist() != [size]:
            raise InputError(
                f"{self.path}: {name} of {_listed(found)} numbers, expected {size} as its readouts "
                "say"
            )
        ends = self.lengths.sum(axis=1).cumsum()
        starts = ends - self.lengths[:, place:].sum(axis=1)
        return np.stack([self.values[start : start + size] for start in starts[rows]])


def read_heads(path: Path) -> Readouts:
    """The heads of all readouts of the MRD file `path`, and a copy of its samples.

    Raises
    ------
    InputError
        If the file has no readouts, or is truncated.
    MissingExtraError
        Without h5py.
    """
    if importlib.util.find_spec("h5py") is None:
        raise MissingExtraError("MRD raw data need h5py", hint=install_hint("recon"))
    seconds = SECONDS + path.stat().st_size / _SLOWEST
    with tempfile.TemporaryFile() as copy:
        write_apart(_READER, path, "MRD raw data", copy, seconds=seconds)
        return _printed(path, copy)


def _printed(path: Path, copy: IO[bytes]) -> Readouts:
    """Readouts of what the child printed."""
    end = os.fstat(copy.fileno()).st_size - 8 * _N_ENDS
    n_values, n_readouts, head_size = _numbers(copy, end, _N_ENDS).tolist()
    copy.seek(end - head_size)
    heads = np.load(copy, allow_pickle=False)
    lengths = _numbers(copy, 4 * n_values, n_readouts * len(_FIELD_NAMES))
    values: Float32Array = np.zeros(0, np.float32)
    if n_values:
        values = np.memmap(copy, np.float32, "r", shape=(n_values,))
    return Readouts(path, heads, lengths.reshape(n_readouts, -1), values)


def _numbers(file: IO[bytes], start: int, count: int) -> IndexArray:
    """Numbers at a place in a file."""
    file.seek(start)
    return np.frombuffer(file.read(8 * count), np.int64)


def printed_readouts(path: Path) -> Iterator[bytes]:
    """What the child prints. Raises whatever h5py raises."""
    import h5py

    most = _MOST_TIMES * path.stat().st_size
    with h5py.File(path, "r") as file:
        data = _dataset(file)
        heads = data.fields("head")[:]
        if not len(heads):
            raise ValueError("has no readouts")
        lengths: list[tuple[int, ...]] = []
        n_values = 0
        for start in range(0, len(heads), _BLOCK):
            stored = data.fields(list(_FIELD_NAMES))[start : start + _BLOCK]
            lengths += [tuple(len(value) for value in record) for record in stored]
            flat = [np.asarray(value, np.float32) for record in stored for value in record]
            n_values += sum(len(value) for value in flat)
            if 4 * n_values > most:
                raise ValueError("its readouts hold more numbers than the file can")
            yield b"".join(value.tobytes() for value in flat)
    yield np.array(lengths, np.int64).tobytes()
    content = io.BytesIO()
    np.save(content, heads, allow_pickle=False)
    yield content.getvalue()
    yield np.array([n_values, len(heads), len(content.getvalue())], np.int64).tobytes()


def _dataset(file: Any) -> Any:
    """The one dataset of readouts in an open file."""
    found = [group["data"] for group in file.values() if "data" in getattr(group, "keys", dict)()]
    raw = [data for data in found if "head" in _fields_of(data)]
    if len(raw) != 1:
        raise ValueError(f"{len(raw)} groups of readouts in place of one")
    if not _is_ismrmrd(_fields_of(raw[0])):
        raise ValueError("its readouts are not those of the ISMRMRD schema")
    return raw[0]


def _is_ismrmrd(fields: Any) -> bool:
    """Whether the fields of a record are those of a readout."""
    heads = fields["head"][0].fields or {}
    return {"traj", "data"} <= set(fields) and set(heads) >= _FIELDS


def _fields_of(data: Any) -> Any:
    """The fields of a dataset of records; none for other things."""
    return getattr(data.dtype, "fields", None) or {}


def _listed(values: Any) -> str:
    shown = [str(value) for value in values[:4]]
    if len(shown) < 3:
        return " and ".join(shown)
    return ", ".join(shown)


if __name__ == "__main__":
    answer_in_pieces(printed_readouts)
