"""NIfTI out: maps, and fingerprint series larger than memory. Whole or not there."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import ArgumentError, MismatchError
from mrftool.formats.atomic import all_or_none
from mrftool.formats.bids import part_path, sidecar_path, to_json
from mrftool.formats.nifti.files import deflating, is_gzip
from mrftool.formats.nifti.header import header_bytes
from mrftool.formats.nifti.mapped_file import mapped_file, require_name, scatter
from mrftool.grid import Placement
from mrftool.scan.series import Form, Signal, Voxels, file_order

Map = tuple[Path, Array, str, Mapping[str, Any] | None]


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
        opened = partial(mapped_file, header=header, dtype=dtype, shape=shape, n_time=n_time)
        files = list(map(stack.enter_context, map(opened, parts[: len(paths)])))
        for voxels, signal in blocks:
            _require_block(path, voxels, signal, n_time)
            channels = _channels(signal, form, split=split)
            _write_block(files, file_order(voxels, shape), channels)
        _fill(parts[len(paths) :], contents)
    return paths


def _write_block(files: list[Array], positions: Voxels, channels: tuple[Array, ...]) -> None:
    for stored, channel in zip(files, channels, strict=True):
        scatter(stored, positions, channel)


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
    require_name(path)
    if image.dtype.kind == "c":
        image = np.abs(image)
    dtype: np.dtype[Any] = np.dtype("<f4")
    if image.dtype == np.uint8:
        dtype = np.dtype("u1")
    header = header_bytes(image.shape, dtype, placement, description)
    return header + image.astype(dtype).tobytes(order="F")
