"""MRD files that grow while readouts and images come in, and their records read again in order."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array, Float32Array
from mrftool.environment.extras import install_hint
from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.mrd.image import MrdImage, image_head_type
from mrftool.formats.regular_file import require_plausible_size

_BLOCK = 64  # readouts that are written at a time
_MOST_WAITING = 32 << 20  # bytes of readouts that wait to be written
_GROUP = "dataset"
_COMPONENTS = ("real", "imag")


class GrowingFile:
    """An MRD file that is open for more readouts and images."""

    def __init__(self, group: Any) -> None:
        from ismrmrd.hdf5 import acquisition_dtype

        self._group = group
        self._record = acquisition_dtype
        self._waiting: list[tuple[Array, Float32Array, Float32Array]] = []
        self._waiting_bytes = 0
        self.n_readouts = 0
        self.n_images = 0

    def add_readout(self, head: Array, trajectory: Float32Array, samples: Float32Array) -> None:
        """Add a readout: its head of one record, and its trajectory and samples as they come."""
        self._waiting.append((head, trajectory, samples))
        self._waiting_bytes += trajectory.nbytes + samples.nbytes
        self.n_readouts += 1
        if len(self._waiting) >= _BLOCK or self._waiting_bytes >= _MOST_WAITING:
            self.flush()

    def add_records(self, records: Array) -> None:
        """Add readouts that are records of an MRD file already."""
        self.flush()
        self._write(records)
        self.n_readouts += len(records)

    def flush(self) -> None:
        """Write the readouts that wait."""
        if not self._waiting:
            return
        records = np.zeros(len(self._waiting), self._record)
        for row, (head, trajectory, samples) in enumerate(self._waiting):
            records["head"][row] = head[0]
            records["traj"][row] = trajectory
            records["data"][row] = samples
        self._write(records)
        self._waiting, self._waiting_bytes = [], 0

    def _write(self, records: Array) -> None:
        if "data" not in self._group:
            self._group.create_dataset("data", (0,), maxshape=(None,), dtype=self._record)
        _extend(self._group["data"], records)

    def add_image(self, image: MrdImage) -> None:
        """Add an image to its series.

        Raises
        ------
        InputError
            If it has another size or type than the series has.

        """
        name = f"image_{image.series}"
        values = _as_stored(image.values)
        if name not in self._group:
            self._create_series(name, values)
        series = self._group[name]
        if series["data"].shape[1:] != values.shape or series["data"].dtype != values.dtype:
            raise InputError(
                f"image {len(series['data'])} of series {image.series} has size {values.shape}, "
                f"expected {series['data'].shape[1:]} of the same type as the others"
            )
        _extend(series["header"], image.head)
        _extend(series["attributes"], np.array([image.attributes], object))
        _extend(series["data"], values[None])
        self.n_images += 1

    def _create_series(self, name: str, values: Array) -> None:
        import h5py

        series = self._group.create_group(name)
        growing: dict[str, Any] = {"maxshape": (None,)}
        series.create_dataset("header", (0,), dtype=image_head_type(), **growing)
        series.create_dataset("attributes", (0,), dtype=h5py.string_dtype(), **growing)
        series.create_dataset(
            "data",
            (0, *values.shape),
            maxshape=(None, *values.shape),
            chunks=(1, *values.shape),
            dtype=values.dtype,
        )


@contextmanager
def growing_file(path: Path, xml: str) -> Iterator[GrowingFile]:
    """A new MRD file with this header; it is complete when the block ends.

    Raises
    ------
    MissingExtraError
        Without ismrmrd or h5py.

    """
    try:
        import h5py
        import ismrmrd.hdf5  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "MRD data need ismrmrd and h5py", hint=install_hint("recon")
        ) from error
    with h5py.File(path, "w") as file:
        group = file.create_group(_GROUP)
        group.create_dataset("xml", data=[xml], dtype=h5py.string_dtype())
        growing = GrowingFile(group)
        yield growing
        growing.flush()


def stored_readouts(path: Path) -> Iterator[tuple[Array, Float32Array, Float32Array]]:
    """Head of one record, trajectory and samples of each readout of an MRD file, in order."""
    with _opened(path) as group:
        if "data" not in group:
            return
        data = group["data"]
        for start in range(0, len(data), _BLOCK):
            records = data[start : start + _BLOCK]
            for row in range(len(records)):
                one = records[row]
                yield records["head"][row : row + 1], one["traj"], one["data"]


def stored_images(path: Path) -> Iterator[MrdImage]:
    """The images of an MRD file, series by series."""
    with _opened(path) as group:
        for name in sorted(name for name in group if name.startswith("image_")):
            series = group[name]
            for row in range(len(series["header"])):
                text = series["attributes"].asstr()[row]
                values = as_complex(series["data"][row])
                yield MrdImage(series["header"][row : row + 1], text, values)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The group of an MRD file that holds all else; faults of HDF5 become InputError."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            groups = [group for group in file.values() if "xml" in getattr(group, "keys", dict)()]
            if len(groups) != 1:
                raise InputError(f"{path}: {len(groups)} groups with a header, expected one")
            require_plausible_datasets(file, path)
            yield groups[0]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: cannot be read as HDF5: {reason}, expected an MRD file"
        ) from error


def require_plausible_datasets(file: Any, path: Path) -> None:
    """Raise InputError if the datasets of an open HDF5 file claim far more than the file has."""
    n_bytes = 0

    def add(_: str, item: Any) -> None:
        nonlocal n_bytes
        if hasattr(item, "dtype"):
            n_bytes += math.prod(item.shape or ()) * item.dtype.itemsize

    file.visititems(add)
    require_plausible_size(path, n_bytes, "an MRD file")


def _extend(dataset: Any, values: Array) -> None:
    start = len(dataset)
    dataset.resize(start + len(values), axis=0)
    dataset[start:] = values


def _as_stored(values: Array) -> Array:
    """Complex numbers as the pairs that MRD files keep; others as they are."""
    if not np.iscomplexobj(values):
        return values
    part = values.real.dtype
    return values.view(np.dtype([(name, part) for name in _COMPONENTS]))


def as_complex(values: Array) -> Array:
    """The reverse: pairs as complex numbers; others as they are."""
    if values.dtype.names != _COMPONENTS:
        return values
    part = values.dtype[0]
    return np.ascontiguousarray(values).view(np.result_type(part, np.complex64))
