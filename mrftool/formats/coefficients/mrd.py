"""Coefficient images in MRD: files, and what a stream of them is made of.

Series 1 holds the coefficients: complex images, one for each slice (counter `slice`) and
coefficient (counter `repetition`). The user parameter `mrftool_basis` of the header is the temporal
basis `(time, K)`, a .npy file in base64. Where the noise is known, series 2 holds its covariance:
images of K * K channels, one for each slice. Where voxels outside the object are told, series 3
holds a mask.
"""

import base64
import binascii
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import InputError, MismatchError
from mrftool.formats.mrd.append import stored_images
from mrftool.formats.mrd.geometry import slice_head
from mrftool.formats.mrd.header import RawHeader, header_xml, read_raw_header
from mrftool.formats.mrd.image import COMPLEX, DATA_TYPES, MAGNITUDE, MrdImage
from mrftool.formats.mrd.image_series import open_scan as open_images
from mrftool.formats.mrd.image_series import recognises as holds_images
from mrftool.formats.scan_request import ScanRequest
from mrftool.grid import Placement
from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.series import file_order

BASIS = "basis"  # name of the user parameter, without prefix
_COEFFICIENTS, _COVARIANCE, _MASK = 1, 2, 3  # numbers of the series
_MOST_BASIS = 16 << 20  # bytes of the basis in base64


@dataclass(frozen=True, eq=False)
class Stored:
    """What an MRD file says of coefficient images.

    images: `(x, y, z, K)`. basis: `(time, K)`, None where the file has none. covariance:
    `(x, y, z, K, K)`, mask: `(x, y, z)`; None where it has none.
    """

    images: Array
    basis: Array | None
    placement: Placement
    covariance: Array | None
    mask: Array | None
    assumptions: tuple[str, ...]


def holds_coefficients(path: Path) -> bool:
    """Whether `path` is an MRD file of images with their temporal basis."""
    return holds_images(path) and BASIS in read_raw_header(path).others


def read_stored(path: Path) -> Stored:
    """The coefficient images of an MRD file.

    Raises
    ------
    InputError
        If images lack, or the basis is malformed.
    MismatchError
        If covariance or mask are not of the size of the images.

    """
    series = open_images(path, ScanRequest(series=str(_COEFFICIENTS)), None)
    if series.form != "complex":
        raise InputError(f"{path}: coefficients in {series.form} images, expected complex ones")
    positions = np.arange(int(np.prod(series.shape)))
    images = np.empty((len(positions), series.n_time), np.complex64)
    images[:] = series.read(positions)
    images = images[file_order(positions, series.shape)]
    text = read_raw_header(path).others.get(BASIS)
    basis = None
    if text is not None:
        basis = _basis(text, path)
    rank = series.n_time
    covariance = _volumes(path, _COVARIANCE, rank * rank, series.shape)
    if covariance is not None:
        covariance = covariance.reshape(*series.shape, rank, rank)
    mask = _volumes(path, _MASK, 1, series.shape)
    if mask is not None:
        mask = mask[..., 0] != 0
    return Stored(
        images.reshape(*series.shape, rank),
        basis,
        series.placement,
        covariance,
        mask,
        series.assumptions,
    )


def _volumes(path: Path, number: int, n_channels: int, shape: tuple[int, int, int]) -> Array | None:
    """A series of images with channels as `(x, y, z, channel)`; None if the file has none."""
    images = [image for image in stored_images(path) if image.series == number]
    if not images:
        return None
    images.sort(key=lambda image: int(image.head["slice"][0]))
    expected = (n_channels, 1, shape[1], shape[0])
    if len(images) != shape[2] or any(image.values.shape != expected for image in images):
        raise MismatchError(
            f"{path}: series {number} does not fit the coefficients, expected {shape[2]} images of "
            f"size {expected}"
        )
    return np.stack([image.values[:, 0].transpose(2, 1, 0) for image in images], axis=2)


def _basis(text: str, path: Path) -> Array:
    if len(text) > _MOST_BASIS:
        raise InputError(f"{path}: a basis of {len(text)} letters, expected at most {_MOST_BASIS}")
    try:
        values = np.load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False)
    except (binascii.Error, ValueError, EOFError, OSError, SyntaxError, MemoryError) as error:
        raise InputError(f"{path}: its basis is no .npy in base64: {error}") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fc":
        raise InputError(f"{path}: its basis is no matrix of real or complex numbers")
    return values


def coefficient_stream(
    images: CoefficientImages, sequence: Mapping[str, Any] | None
) -> tuple[str, Iterator[MrdImage]]:
    """Header and images with which a scanner, or an MRD file, has coefficient images.

    Parameters
    ----------
    images
        Coefficients, basis and what else is known.
    sequence
        What made the data, as `sequence_to_dict` gives it; None where a configuration names it.

    """
    file = io.BytesIO()
    np.save(file, images.basis)
    n_x, n_y, n_z = images.shape
    size = np.linalg.norm(images.placement.affine[:3, :3], axis=0)
    header = RawHeader(
        (n_x, n_y, 1),
        (float(n_x * size[0]), float(n_y * size[1]), float(size[2])),
        n_z,
        sequence,
        images.sequence_id,
        others={BASIS: base64.b64encode(file.getvalue()).decode()},
    )
    return header_xml(header), _stream(images)


def _stream(images: CoefficientImages) -> Iterator[MrdImage]:
    for index in range(images.shape[2]):
        for number in range(images.rank):
            plane = images.images[:, :, index, number, None]
            yield _image(plane, images.placement, index, _COEFFICIENTS, number)
    covariance, mask = images.covariance, images.mask
    for index in range(images.shape[2]):
        if covariance is not None:
            each = np.broadcast_to(covariance, (*images.shape, images.rank, images.rank))
            plane = each[:, :, index].reshape(*images.shape[:2], -1).astype(np.float32)
            yield _image(plane, images.placement, index, _COVARIANCE)
        if mask is not None:
            plane = mask[:, :, index, None].astype(np.uint16)
            yield _image(plane, images.placement, index, _MASK)


def _image(
    plane: Array, placement: Placement, index: int, series: int, repetition: int = 0
) -> MrdImage:
    """One image of `(x, y, channel)`."""
    head = slice_head(plane.shape[:2], placement, index)
    head["channels"] = plane.shape[2]
    head["data_type"] = DATA_TYPES.index(plane.dtype) + 1
    head["image_type"] = COMPLEX if plane.dtype.kind == "c" else MAGNITUDE
    head["image_series_index"] = series
    head["repetition"] = repetition
    return MrdImage(head, "", np.ascontiguousarray(plane.transpose(2, 1, 0))[:, None])
