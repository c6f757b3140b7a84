"""A series of MRD images as a scan: one image for each slice and time point."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array, IndexArray
from mrftool.errors import InputError, MismatchError
from mrftool.formats.mrd.append import as_complex, require_plausible_datasets
from mrftool.formats.mrd.geometry import LPS_TO_RAS
from mrftool.formats.mrd.header import protocol_of
from mrftool.formats.mrd.image import COMPLEX, MAGNITUDE
from mrftool.formats.mrd.scan import recognises as is_mrd
from mrftool.formats.scan_request import ScanRequest, ShowProgress
from mrftool.formats.sequence.mrd.header import parse_header, read_header_text
from mrftool.grid import Placement
from mrftool.scan.series import Series, Signal, Voxels

# Counters that may number the time points, in the order of trust.
_COUNTERS = ("repetition", "contrast", "set", "phase")
_SERIES = "image_"  # begins the name of the group of a series
_SQUARE = 1e-2  # largest deviation of the directions from orthonormal [1]


@dataclass(frozen=True, eq=False)
class _Frames:
    """Where each image lies: `row` `(time, slice)` in the dataset `data` of a group."""

    path: Path
    group: str
    row: IndexArray = field(repr=False)
    shape: tuple[int, int, int]  # (x, y, z) of the whole scan
    is_volume: bool  # each image holds all slices

    def read(self, positions: Voxels) -> Signal:
        """Signals `(voxel, time)` of voxels in file order."""
        n_x, n_y, _ = self.shape
        plane = n_x * n_y
        parts = []
        with _group(self.path, self.group) as group:
            for index in np.unique(positions // plane):
                inside = positions[positions // plane == index] - index * plane
                frames = [self._plane(group["data"], time, index) for time in range(len(self.row))]
                parts.append(np.stack([frame[inside] for frame in frames], axis=1))
        signal = np.concatenate(parts)
        if np.iscomplexobj(signal):
            return signal.astype(np.complex64)
        return signal.astype(np.float32)

    def _plane(self, data: Any, time: int, index: int) -> Array:
        """One slice of one time point, x fastest."""
        if self.is_volume:
            values = data[self.row[time, 0], 0, index]
        else:
            values = data[self.row[time, index], 0, 0]
        return as_complex(values).ravel()


def recognises(path: Path) -> bool:
    """Whether `path` is an MRD file of images without readouts."""
    if not is_mrd(path):
        return False
    try:
        with _file(path) as file:
            members = [set(getattr(group, "keys", dict)()) for group in file.values()]
    except (InputError, ModuleNotFoundError):
        return False
    return any("data" not in names and _series_in(names) for names in members)


def open_scan(path: Path, request: ScanRequest, progress: ShowProgress | None) -> Series:
    """The series of images in an MRD file.

    Raises
    ------
    InputError
        If there are several series, or images lack, or they are no complex or magnitude images.

    """
    group, heads = _heads(path, request.series)
    form = _form(path, heads)
    time, index = _time_and_slice(path, heads)
    sizes = np.unique(heads["matrix_size"], axis=0)
    if len(sizes) != 1 or not sizes.all():
        raise InputError(f"{path}: images of different sizes, expected one size")
    n_x, n_y, n_z = (int(size) for size in sizes[0])
    n_time, n_slices = int(time.max()) + 1, int(index.max()) + 1
    row = np.full((n_time, n_slices), -1)
    row[time, index] = np.arange(len(heads))
    if len(heads) != row.size or (row < 0).any():
        raise InputError(
            f"{path}: {len(heads)} images of {n_slices} slices and {n_time} time points, expected "
            "one image of each slice at each time point"
        )
    if n_z > 1 and n_slices > 1:
        raise InputError(f"{path}: several volumes at a time point, expected one")
    shape = (n_x, n_y, max(n_z, n_slices))
    placement, assumed = _placement(heads[row[0]], shape)
    frames = _Frames(path, group, row, shape, n_z > 1)
    return Series(
        shape,
        placement,
        n_time,
        form,  # type: ignore[arg-type]
        frames.read,
        assumptions=assumed,
        sidecar=_sidecar(path),
        granule=n_x * n_y,
        name=str(path),
    )


def _heads(path: Path, series: str | None) -> tuple[str, Array]:
    """Name of the group of a series of images in a file, and their heads; None: of the only one."""
    with _file(path) as file:
        found: list[tuple[str, Array]] = []
        for name, group in file.items():
            inner = _series_in(set(getattr(group, "keys", dict)()))
            found += [
                (f"{name}/{each}", group[each]["header"][:])
                for each in inner
                if series in (None, each.removeprefix(_SERIES))
            ]
    if len(found) != 1:
        raise InputError(f"{path}: {len(found)} series of images, expected one")
    group_name, heads = found[0]
    if not len(heads):
        raise InputError(f"{path}: has no images, expected one for each slice and time point")
    if set(heads["channels"]) != {1}:
        raise InputError(f"{path}: images of several channels, expected one")
    return group_name, heads


def _series_in(names: set[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(_SERIES))


def _form(path: Path, heads: Array) -> str:
    kinds = set(heads["image_type"].tolist())
    if kinds == {COMPLEX}:
        return "complex"
    if kinds == {MAGNITUDE}:
        return "magnitude"
    raise InputError(
        f"{path}: images of types {sorted(kinds)}, expected {MAGNITUDE} (magnitude) or "
        f"{COMPLEX} (complex) for all"
    )


def _time_and_slice(path: Path, heads: Array) -> tuple[IndexArray, IndexArray]:
    """Time point and slice of each image, from 0."""
    _, index = np.unique(heads["slice"], return_inverse=True)
    for name in _COUNTERS:
        values, time = np.unique(heads[name], return_inverse=True)
        if len(values) > 1:
            return time.astype(np.int64), index.astype(np.int64)
    if len(np.unique(heads["image_index"])) != len(heads):
        raise InputError(f"{path}: no counter of its images numbers the time points")
    time = np.zeros(len(heads), np.int64)
    order = np.argsort(heads["image_index"], kind="stable")
    for group in np.unique(index):
        chosen = order[index[order] == group]
        time[chosen] = np.arange(len(chosen))
    return time, index.astype(np.int64)


def _placement(heads: Array, shape: tuple[int, int, int]) -> tuple[Placement, tuple[str, ...]]:
    """Where the images lie, from the heads of the first time point, by slice."""
    head = heads[0]
    n_x, n_y, n_z = shape
    field_of_view = head["field_of_view"].astype(np.float64)
    size = field_of_view / np.maximum(head["matrix_size"], 1)
    axes = np.stack([head[key] for key in ("read_dir", "phase_dir", "slice_dir")], axis=1)
    axes = axes.astype(np.float64)
    is_known = (abs(axes.T @ axes - np.eye(3)) < _SQUARE).all() and (size > 0).all()
    if not is_known:
        said = "The images do not say where they lie: voxels of 1 mm, axes right, forward and up."
        return Placement(np.eye(4), (0, 0)), (said,)
    columns = LPS_TO_RAS @ axes * size
    position = LPS_TO_RAS @ heads["position"].astype(np.float64).T
    if len(heads) > 1:
        columns[:, 2] = (position[:, -1] - position[:, 0]) / (len(heads) - 1)
    middle = np.array([n_x // 2, n_y // 2, 0 if len(heads) > 1 else n_z // 2])
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = position[:, 0] - columns @ middle
    try:
        return Placement(affine), ()
    except InputError as error:
        raise MismatchError(f"its slices do not lie side by side: {error}") from error


def _sidecar(path: Path) -> dict[str, Any]:
    """What the header says of the sequence that made the images."""
    header = parse_header(read_header_text(path), path)
    facts: dict[str, Any] = dict(protocol_of(header))
    for item in header.findall("userParameters/userParameterString"):
        if item.findtext("name") == "mrftool_sequence_id":
            facts["sequence_id"] = item.findtext("value", "")
    return facts


@contextmanager
def _group(path: Path, name: str) -> Iterator[Any]:
    with _file(path) as file:
        yield file[name]


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    """An open MRD file; faults of HDF5 become InputError."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            require_plausible_datasets(file, path)
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: cannot be read as HDF5: {reason}, expected MRD") from error
