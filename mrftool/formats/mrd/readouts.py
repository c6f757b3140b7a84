"""Readouts of an MRD file, in bulk: a read of all costs less than forty of single readouts.

An MRD file of HDF5 keeps one record for each readout: a head of fixed size, the trajectory and the
samples as float32 of variable length. Source: the schema of ISMRMRD 1.13,
https://ismrmrd.readthedocs.io.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array, ComplexArray, Float32Array, IndexArray
from mrftool.environment.extras import install_hint
from mrftool.errors import InputError, MissingExtraError

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


@dataclass(frozen=True, eq=False)
class Readouts:
    """Heads of all readouts of a file, in order; `path` holds the rest.

    heads: structured array `(readout,)` as the schema has it.
    """

    path: Path
    heads: Array

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

    def _has(self, bit: int) -> Array:
        return np.asarray(self.heads["flags"] >> np.uint64(bit - 1) & np.uint64(1), bool)

    def _read(self, name: str, rows: IndexArray, size: int) -> Float32Array:
        """One field of some readouts `(readout, size)`."""
        values = np.empty((len(rows), size), np.float32)
        with _opened(self.path) as data:
            for start, stop, at in _runs(rows):
                stored = data.fields(name)[start:stop]
                lengths = {len(value) for value in stored}
                if lengths != {size}:
                    raise InputError(
                        f"{self.path}: {name} of {_listed(sorted(lengths))} numbers, expected "
                        f"{size} as its readouts say"
                    )
                values[at : at + stop - start] = np.stack(list(stored))
        return values


def read_heads(path: Path) -> Readouts:
    """The heads of all readouts of the MRD file `path`.

    Raises
    ------
    InputError
        If the file has no readouts, or is truncated.
    """
    with _opened(path) as data:
        heads = data.fields("head")[:]
    if not len(heads):
        raise InputError(f"{path}: has no readouts, expected raw data")
    return Readouts(path, heads)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The dataset of readouts; faults of HDF5 become InputError."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtraError("MRD raw data need h5py", hint=install_hint("recon")) from error
    try:
        with h5py.File(path, "r") as file:
            yield _dataset(file, path)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: cannot be read as HDF5: {reason}, expected MRD raw data"
        ) from error


def _dataset(file: Any, path: Path) -> Any:
    """The one dataset of readouts in an open file."""
    found = [group["data"] for group in file.values() if "data" in getattr(group, "keys", dict)()]
    raw = [data for data in found if "head" in _fields_of(data)]
    if len(raw) != 1:
        raise InputError(f"{path}: {len(raw)} groups of readouts, expected one")
    if not _is_ismrmrd(_fields_of(raw[0])):
        raise InputError(f"{path}: its readouts are not those of the ISMRMRD schema")
    return raw[0]


def _is_ismrmrd(fields: Any) -> bool:
    """Whether the fields of a record are those of a readout."""
    heads = fields["head"][0].fields or {}
    return {"traj", "data"} <= set(fields) and set(heads) >= _FIELDS


def _fields_of(data: Any) -> Any:
    """The fields of a dataset of records; none for other things."""
    return getattr(data.dtype, "fields", None) or {}


def _runs(rows: IndexArray) -> Iterator[tuple[int, int, int]]:
    """Contiguous pieces of ascending rows: (first, stop, place in the result)."""
    edges = np.flatnonzero(np.diff(rows) != 1) + 1
    place = 0
    for piece in np.split(rows, edges):
        if len(piece):
            yield int(piece[0]), int(piece[-1]) + 1, place
            place += len(piece)


def _listed(values: Any) -> str:
    shown = [str(value) for value in values[:4]]
    if len(shown) < 3:
        return " and ".join(shown)
    return ", ".join(shown)
