"""Coefficient images as users name them: a folder of ours, NIfTI, BART's .cfl, or .npy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray
from mrftool.errors import InputError, MismatchError
from mrftool.formats.arrays import array_file
from mrftool.formats.arrays.array_file import SUFFIXES, is_array_file
from mrftool.formats.arrays.bart import COEFFICIENTS, TIME, read_all_dimensions
from mrftool.formats.bids import read_sidecar
from mrftool.formats.coefficients.mrd import read_stored
from mrftool.formats.mrd.header import read_raw_header
from mrftool.formats.mrd.scan import recognises as is_mrd
from mrftool.formats.nifti.header import read_header
from mrftool.formats.nifti.stored.frames import map_frames
from mrftool.formats.regular_file import require_plausible_size
from mrftool.formats.space import sizes
from mrftool.grid import Placement
from mrftool.scan.coefficients import CoefficientImages

SCHEMA = 1  # of the sidecar
IMAGES, BASIS, COVARIANCE, MASK = (
    "coefficients.nii",
    "basis.npy",
    "covariance.nii",
    "mask.nii.gz",
)
_NO_COVARIANCE = (
    "The noise of the coefficients is not known: there are no standard deviations, and no voxel is "
    "flagged as a misfit."
)


def is_coefficient_folder(path: Path) -> bool:
    """Whether `path` is what `mrftool reconstruct` left."""
    return (path / IMAGES).is_file()


def open_coefficients(
    path: Path, basis: Path | None = None, covariance: Path | None = None
) -> CoefficientImages:
    """Coefficient images with their basis and, where it is known, covariance.

    Parameters
    ----------
    path
        A folder of ours, or a file of `(x, y, z, K)` complex numbers: .nii, .nii.gz, .cfl, .npy, or
        MRD images, see `mrftool.formats.coefficients.mrd`.
    basis
        `(time, K)` in .npy or .cfl; a folder of ours has its own.
    covariance
        `(K, K)` or `(x, y, z, K, K)` in .npy or NIfTI.

    Raises
    ------
    InputError
        If a file is missing or malformed.
    MismatchError
        If they do not belong together.
    """
    if is_mrd(path):
        return _of_mrd(path, basis, covariance)
    folder = None
    if is_coefficient_folder(path):
        folder = path
        path, basis = folder / IMAGES, basis or folder / BASIS
        if covariance is None and (folder / COVARIANCE).is_file():
            covariance = folder / COVARIANCE
    images, placement, said = _images(path)
    if basis is None:
        raise InputError(f"{path}: coefficient images without their basis, expected its file")
    rank = images.shape[3]
    vectors = read_basis(basis, rank)
    matrices = None
    if covariance is None:
        said = (*said, _NO_COVARIANCE)
    else:
        matrices = _covariance(covariance)
    sidecar = _facts(path)
    return CoefficientImages(
        np.ascontiguousarray(images, np.complex64),
        vectors,
        placement,
        matrices,
        _mask(folder, images.shape[:3]),
        sidecar.get("sequence_id"),
        str(path),
        said,
    )


def _of_mrd(path: Path, basis: Path | None, covariance: Path | None) -> CoefficientImages:
    """Coefficient images of an MRD file; what lies in other files goes before what it has."""
    stored = read_stored(path)
    rank, said = stored.images.shape[3], stored.assumptions
    vectors, matrices = stored.basis, stored.covariance
    if basis is not None:
        vectors = read_basis(basis, rank)
    if vectors is None:
        raise InputError(f"{path}: coefficient images without their basis, expected its file")
    if covariance is not None:
        matrices = _covariance(covariance)
    if matrices is None:
        said = (*said, _NO_COVARIANCE)
    return CoefficientImages(
        stored.images,
        _as_numbers(_with_rank(vectors, rank, path)),
        stored.placement,
        matrices,
        stored.mask,
        read_raw_header(path).sequence_id,
        str(path),
        said,
    )


def read_basis(path: Path, rank: int) -> Array:
    """A basis `(time, rank)`, real where all its numbers are.

    Raises
    ------
    InputError
        If the file holds no matrix of numbers.
    MismatchError
        If it has another number of vectors.
    """
    values = read_array(path)
    if path.suffix == ".cfl":
        values = _on_axes(values, (TIME, COEFFICIENTS), path)
    return _as_numbers(_with_rank(values, rank, path))


def _with_rank(values: Array, rank: int, path: Path) -> Array:
    """A matrix as `(time, rank)`, transposed where only that fits."""
    if values.ndim != 2:
        raise InputError(f"{path}: has {values.ndim} dimensions, expected 2 (time, coefficient)")
    if values.shape[1] != rank and values.shape[0] == rank:
        values = values.T
    if values.shape[1] != rank:
        raise MismatchError(
            f"{path}: {values.shape[1]} temporal vectors, expected {rank} as the coefficients"
        )
    return values


def _as_numbers(values: Array) -> Array:
    """In double precision; real where no number has an imaginary part."""
    if np.iscomplexobj(values) and not values.imag.any():
        values = values.real
    if np.iscomplexobj(values):
        return np.ascontiguousarray(values, np.complex128)
    return np.ascontiguousarray(values, np.float64)


def read_array(path: Path) -> Array:
    """The numbers of an array file.

    Raises
    ------
    InputError
        If there is no such file, or it holds no numbers.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected .npy or .cfl")
    if path.suffix == ".cfl":
        return read_all_dimensions(path)
    if not is_array_file(path):
        raise InputError(f"{path}: no array file, expected one of {', '.join(SUFFIXES)}")
    values = array_file.read_array(path)
    require_plausible_size(path, values.nbytes, "an array file")
    return values


def _images(path: Path) -> tuple[Array, Placement, tuple[str, ...]]:
    """Images `(x, y, z, K)`, where they lie, and what was assumed."""
    if not is_array_file(path):
        header = read_header(path)
        return _of_nifti(path), header.placement, header.assumptions
    values = read_array(path)
    if path.suffix == ".cfl":
        values = _on_axes(values, (0, 1, 2, COEFFICIENTS), path)
    if values.ndim != 4:
        raise InputError(f"{path}: has {values.ndim} dimensions, expected 4 (x, y, z, coefficient)")
    said = f"{path.name} does not say where the image lies: voxels of 1 mm are assumed."
    return values, Placement(np.eye(4), (0, 0)), (said,)


def _on_axes(values: Array, axes: tuple[int, ...], path: Path) -> Array:
    """An array of BART without its other dimensions, of which each has the size 1."""
    others = set(range(values.ndim)) - set(axes)
    if any(values.shape[axis] > 1 for axis in others):
        expected = " and ".join(map(str, axes))
        raise InputError(f"{path}: has the sizes {values.shape}, expected 1 but on {expected}")
    return values.squeeze(tuple(others))


def _of_nifti(path: Path) -> Array:
    header = read_header(path)
    if len(header.dims) < 4:
        raise InputError(f"{path}: has {len(header.dims)} dimensions, expected 4 or more")
    require_plausible_size(header.data_path, header.n_bytes, "an image")
    values = map_frames(header).values(slice(None), slice(None))
    return np.asarray(values.ravel().reshape(header.dims, order="F"))


def _covariance(path: Path) -> Array:
    if is_array_file(path):
        return read_array(path)
    return _of_nifti(path)


def _mask(folder: Path | None, shape: tuple[int, ...]) -> BoolArray | None:
    """The mask of a folder of ours, where it has one."""
    if folder is None or not (folder / MASK).is_file():
        return None
    path = folder / MASK
    header = read_header(path)
    if header.dims != shape:
        raise MismatchError(f"{path}: has {sizes(header.dims)} voxels, expected {sizes(shape)}")
    values = map_frames(header).values(slice(None), slice(None))
    return np.asarray(values.reshape(header.shape, order="F") != 0)


def _facts(path: Path) -> dict[str, Any]:
    """What the sidecar says, if there is one.

    Raises
    ------
    InputError
        If its schema is one that this version does not know.
    """
    if is_array_file(path):
        return {}
    facts = read_sidecar(path) or {}
    found = facts.get("schema", SCHEMA)
    if path.name == IMAGES and found != SCHEMA:
        raise InputError(f"{path}: its sidecar has schema {found!r}, expected {SCHEMA}")
    return facts


def header_facts(path: Path) -> dict[str, Any]:
    """What the sidecar of coefficient images says, of a file or of a folder of ours; of MRD images,
    what their header states of the protocol.
    """
    if is_mrd(path):
        return dict(read_raw_header(path).protocol)
    if (path / IMAGES).is_file():
        path = path / IMAGES
    return _facts(path)


def allowed_before(header: dict[str, Any]) -> tuple[str, ...]:
    """Contradictions of the raw data's header that were allowed when the images were made."""
    found = header.get("allowed")
    if not isinstance(found, list):
        return ()
    return tuple(text for text in found if isinstance(text, str))


def sequence_facts(folder: Path) -> Mapping[str, Any] | None:
    """The sequence that a folder of ours, or MRD images, were made with, as `sequence_from_dict`
    takes it.
    """
    if is_mrd(folder):
        return read_raw_header(folder).sequence
    found = _facts(folder / IMAGES).get("sequence")
    if isinstance(found, dict):
        return found
    return None
