"""NIfTI out: maps, and fingerprint series larger than memory. Whole or not there."""

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import ArgumentError, InputError, MismatchError
from mrftool.formats.atomic import all_or_none
from mrftool.formats.bids import part_path, sidecar_path, to_json
from mrftool.formats.nifti.data import TILE_TIMES, TILE_VOXELS, as_slice
from mrftool.formats.nifti.files import deflating, is_gzip, require_space, temporary
from mrftool.formats.nifti.header import header_bytes
from mrftool.grid import Placement
from mrftool.scan.series import Form, Signal, Voxels, file_order

Map = tuple[Path, Array, str, Mapping[str, Any] | None]

_COPY_BYTES = 4 << 20


def write_map(
    path: str | Path,
    image: Array,
    placement: Placement,
    *,
    description: str = "",
    sidecar: Mapping[str, Any] | None = None,
) -> None:
    """Write an image `(x, y, z)` to a `.nii` or `.nii.gz`, and its sidecar to the `.json` beside
    it.

    It is stored as float32 (the modulus of a complex image), or as it is if its dtype is uint8.

    Raises InputError if a file cannot be written.
    """
    write_maps([(Path(path), image, description, sidecar)], placement)


def write_maps(
    maps: Iterable[Map],
    placement: Placement,
    *,
    others: Mapping[Path, str | bytes] | None = None,
) -> None:
    """Write several (path, image, description, sidecar) as `write_map` does: all of them or none.

    others: further files that belong with them, and what is in them. Folders that are missing are
    made.
    """
    contents = _contents(maps, placement)
    contents += [(path, _encoded(content)) for path, content in (others or {}).items()]
    with all_or_none([path for path, _ in contents], make_folders=True) as parts:
        _fill(parts, contents)


def _encoded(content: str | bytes) -> bytes:
    if isinstance(content, str):
        return content.encode()
    return content


def write_series(
    path: str | Path,
    shape: tuple[int, int, int],
    placement: Placement,
    n_time: int,
    blocks: Iterable[tuple[Voxels, Signal]],
    *,
    form: Form = "complex",
    split: bool = False,
    description: str = "",
    sidecar: Mapping[str, Any] | None = None,
    maps: Iterable[Map] = (),
) -> tuple[Path, ...]:
    """Write a fingerprint series `(x, y, z, time)` from blocks, with memory for one of them.

    Parameters
    ----------
    path : path
        Of the file; its name says whether it is compressed.
    shape : tuple of int
        Number of voxels along x, y and z.
    placement : Placement
        Where the image lies.
    n_time : int
        Samples of each fingerprint.
    blocks : iterable of (voxels, signal)
        In any order, as `Series.blocks` gives them: indices into the flat image in C order, and
        `(voxel, time)`. Voxels in no block are 0.
    form : {"complex", "magnitude"}
        complex64, or the modulus in float32.
    split : bool
        Real and imaginary part in two float32 files.
    description : str
        For the header.
    sidecar : mapping, optional
        Written to the `.json` beside each file.
    maps : iterable
        Images that belong with the series, as `write_maps` takes them; they appear together with
        it.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    InputError
        If a file cannot be written.
    MismatchError
        If a block does not have `n_time` samples.
    """
    path = Path(path)
    if split and form == "magnitude":
        raise ArgumentError("magnitudes have no imaginary part, expected form 'complex' to split")
    paths, dtype = _channel_files(path, form, split=split)
    header = header_bytes((*shape, n_time), dtype, placement, description)
    contents = _contents(maps, placement)
    if sidecar is not None:
        contents += [(sidecar_path(name), to_json(sidecar).encode()) for name in paths]
    with all_or_none([*paths, *(name for name, _ in contents)]) as parts, ExitStack() as stack:
        mapped = (_raw_file(part, header, dtype, shape, n_time) for part in parts[: len(paths)])
        files = [stack.enter_context(file) for file in mapped]
        for voxels, signal in blocks:
            _require_block(path, voxels, signal, n_time)
            channels = _channels(signal, form, split=split)
            _write_block(files, file_order(voxels, shape), channels)
        _fill(parts[len(paths) :], contents)
    return paths


def _write_block(files: list[Array], positions: Voxels, channels: tuple[Array, ...]) -> None:
    for stored, channel in zip(files, channels, strict=True):
        _scatter(stored, positions, channel)


def _require_block(path: Path, voxels: Voxels, signal: Signal, n_time: int) -> None:
    if signal.shape != (len(voxels), n_time):
        raise MismatchError(
            f"{path}: a block has shape {signal.shape}, expected ({len(voxels)}, {n_time})"
        )


def _channel_files(
    path: Path, form: Form, *, split: bool
) -> tuple[tuple[Path, ...], np.dtype[Any]]:
    """The files of a series, and the type of their numbers."""
    if split:
        return (part_path(path, "real"), part_path(path, "imag")), np.dtype("<f4")
    if form == "magnitude":
        return (path,), np.dtype("<f4")
    return (path,), np.dtype("<c8")


def _channels(signal: Signal, form: Form, *, split: bool) -> tuple[Array, ...]:
    """What of a signal goes into each file of a series."""
    if split:
        return signal.real, signal.imag
    return (_in_form(signal, form),)


def _contents(maps: Iterable[Map], placement: Placement) -> list[tuple[Path, bytes]]:
    """Each file of some maps, and its bytes, not compressed yet."""
    maps = list(maps)
    images = [
        (path, _image_bytes(path, image, placement, description))
        for path, image, description, _ in maps
    ]
    return images + [
        (sidecar_path(path), to_json(sidecar).encode())
        for path, _, _, sidecar in maps
        if sidecar is not None
    ]


def _fill(parts: list[Path], contents: list[tuple[Path, bytes]]) -> None:
    for part, (path, content) in zip(parts, contents, strict=True):
        with deflating(part) if is_gzip(path) else part.open("wb") as file:
            file.write(content)


def _in_form(signal: Signal, form: Form) -> Signal:
    if form == "magnitude":
        return np.abs(signal)
    return signal


def _image_bytes(path: Path, image: Array, placement: Placement, description: str) -> bytes:
    _require_name(path)
    if image.dtype.kind == "c":
        image = np.abs(image)
    dtype: np.dtype[Any] = np.dtype("<f4")
    if image.dtype == np.uint8:
        dtype = np.dtype("u1")
    header = header_bytes(image.shape, dtype, placement, description)
    return header + image.astype(dtype).tobytes(order="F")


def _require_name(path: Path) -> None:
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(f"{path}: is not named like a NIfTI file, expected .nii or .nii.gz")


@contextmanager
def _raw_file(
    part: Path, header: bytes, dtype: np.dtype[Any], shape: tuple[int, int, int], n_time: int
) -> Any:
    """The numbers `(time, voxel)` of a file to be, mapped for writing; compressed at the end if its
    name says so.
    """
    _require_name(part)
    n_voxels = int(np.prod(shape, dtype=np.int64))
    size = len(header) + n_time * n_voxels * dtype.itemsize
    compressed = is_gzip(part)
    with (
        temporary(size, "to write a series", part.parent) if compressed else part.open("r+b") as raw
    ):
        _reserve(raw, size, part)
        raw.write(header)
        raw.flush()
        stored = np.memmap(raw, dtype, "r+", len(header), (n_time, n_voxels))
        yield stored
        stored.flush()
        if compressed:
            _deflate(raw, part)


def _reserve(file: IO[bytes], size: int, part: Path) -> None:
    """Claim the space on disk now: a full disk must show here, since under a memory map it kills
    the process.
    """
    require_space(part.parent, size, "to write a series")
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def _deflate(raw: IO[bytes], part: Path) -> None:
    raw.seek(0)
    with deflating(part) as file:
        shutil.copyfileobj(raw, file, _COPY_BYTES)


def _scatter(stored: Array, positions: Voxels, signal: Array) -> None:
    """`stored` `(time, voxel)` at `positions` becomes `signal` `(voxel, time)`, tile by tile."""
    order = np.argsort(positions)
    for first in range(0, len(positions), TILE_VOXELS):
        chosen = order[first : first + TILE_VOXELS]
        where, rows = as_slice(positions[chosen]), signal[as_slice(chosen)]
        for start in range(0, signal.shape[1], TILE_TIMES):
            times = slice(start, start + TILE_TIMES)
            stored[times, where] = rows[:, times].T
