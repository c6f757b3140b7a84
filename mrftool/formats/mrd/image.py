"""One image of MRD, in a file or in a stream.

Source: the schema of ISMRMRD 1.13, https://ismrmrd.readthedocs.io.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array
from mrftool.environment.extras import install_hint
from mrftool.errors import InputError, MissingExtraError

DATA_TYPES = (  # by the number `data_type` of the head, from 1
    np.dtype("<u2"),
    np.dtype("<i2"),
    np.dtype("<u4"),
    np.dtype("<i4"),
    np.dtype("<f4"),
    np.dtype("<f8"),
    np.dtype("<c8"),
    np.dtype("<c16"),
)
MAGNITUDE, COMPLEX = 1, 5  # numbers `image_type` of the head


@dataclass(frozen=True, eq=False)
class MrdImage:
    """An image with its head.

    Parameters
    ----------
    head
        Array of one record, as `image_head_type` has it.
    attributes
        XML text of further facts.
    values
        `(channel, z, y, x)`.

    """

    head: Array
    attributes: str
    values: Array

    @property
    def series(self) -> int:
        """Number of the series of images that it belongs to."""
        return int(self.head["image_series_index"][0])


def image_head_type() -> "np.dtype[np.void]":
    """The record of an image's head. Raises MissingExtraError without ismrmrd."""
    try:
        from ismrmrd.hdf5 import image_header_dtype
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "MRD images need ismrmrd and h5py", hint=install_hint("recon")
        ) from error
    head: np.dtype[np.void] = np.dtype(image_header_dtype)
    return head


def shape_of(head: Array) -> tuple[int, int, int, int]:
    """Size `(channel, z, y, x)` of the image with this head."""
    x, y, z = (int(size) for size in head["matrix_size"][0])
    return int(head["channels"][0]), z, y, x


def data_type_of(head: Array) -> "np.dtype[np.generic]":
    """Type of the numbers of the image with this head. Raises InputError if there is none such."""
    number = int(head["data_type"][0])
    if not 1 <= number <= len(DATA_TYPES):
        raise InputError(f"an image of data type {number}, expected 1 to {len(DATA_TYPES)}")
    return DATA_TYPES[number - 1]
