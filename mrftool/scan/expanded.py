"""The frames that coefficient images stand for."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.series import Series, Signal, Voxels, c_order


def frames_of(
    images: CoefficientImages, sidecar: Mapping[str, Any], sequence_id: str | None = None
) -> Series:
    """The series that coefficient images expand to, computed where it is read.

    Parameters
    ----------
    images
        The coefficients, with their basis.
    sidecar
        What a file beside them says.
    sequence_id
        Of the sequence that made the data, where it is known.
    """

    def read(positions: Voxels) -> Signal:
        rows = images.images.reshape(-1, images.rank)[c_order(positions, images.shape)]
        return np.asarray(rows @ images.basis.T, np.complex64)

    facts = dict(sidecar)
    if sequence_id is not None:
        facts["sequence_id"] = sequence_id
    return Series(
        images.shape,
        images.placement,
        images.n_time,
        "complex",
        read,
        assumptions=images.assumptions,
        sidecar=facts,
        name=images.name,
    )
