"""A folder of coefficient images: NIfTI, a basis, a sidecar; or the same in BART's form."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array
from mrftool.formats.arrays.bart import COEFFICIENTS, basis_array, cfl_contents
from mrftool.formats.bids import to_json
from mrftool.formats.nifti.header import header_bytes
from mrftool.grid import Placement

_FORMATS = {"c": "<c8", "f": "<f4", "b": "u1", "u": "u1"}


def image_file(image: Array, placement: Placement, description: str) -> bytes:
    """A NIfTI file of an image `(x, y, z, ...)`: complex64, float32 or uint8 by its kind."""
    dtype = np.dtype(_FORMATS[image.dtype.kind])
    header = header_bytes(image.shape, dtype, placement, description)
    return header + image.astype(dtype).tobytes(order="F")


def array_file(array: Array) -> bytes:
    """A .npy file."""
    import io

    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def folder_files(
    folder: Path,
    images: Mapping[str, tuple[Array, str]],
    basis: Array,
    placement: Placement,
    sidecar: Mapping[str, Any],
) -> dict[Path, bytes]:
    """Files of a folder of coefficient images, by path.

    Parameters
    ----------
    images
        Image and description by file name.
    basis
        `(time, K)`.
    sidecar
        Of the coefficients.
    """
    files = {
        folder / name: image_file(image, placement, text) for name, (image, text) in images.items()
    }
    files[folder / "basis.npy"] = array_file(basis)
    files[folder / "coefficients.json"] = to_json(sidecar).encode()
    return files


def bart_files(folder: Path, images: Array, basis: Array) -> dict[Path, bytes]:
    """Coefficients `(x, y, z, K)` and basis `(time, K)` as BART reads them, by path."""
    shaped = images.reshape(*images.shape[:3], *[1] * (COEFFICIENTS - 3), images.shape[3])
    return {
        **cfl_contents(folder / "coefficients.cfl", shaped),
        **cfl_contents(folder / "basis.cfl", basis_array(basis)),
    }
