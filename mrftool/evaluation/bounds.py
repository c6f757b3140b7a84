"""The Cramer-Rao bound of every voxel of an image, from its reference tissue."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import FloatArray, Progress
from mrftool.physics.cramer_rao import Form, cramer_rao
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

# Of more different tissues than these, a random choice stands for all.
MAX_TISSUES = 20_000


@dataclass(frozen=True, eq=False)
class Scan:
    """How an image was made.

    Parameters
    ----------
    sequence
        The pulse sequence.
    noise_sd
        Standard deviation of the noise in each channel [unit of M0].
    form
        Whether the signals are complex or magnitudes.

    """

    sequence: PulseSequence
    noise_sd: float
    form: Form


@dataclass(frozen=True, eq=False)
class DistinctTissues:
    """The different tissues of an image, so that each bound is computed once.

    Parameters
    ----------
    tissue
        Every tissue that occurs; its M0 is 1 for complex signals.
    index
        Which tissue each voxel is `(voxel,)`.
    chosen
        Those tissues whose bound is computed.
    scale
        Factor from the bound of the tissue to that of the voxel `(voxel,)` [1].

    """

    tissue: Tissue
    index: NDArray[np.intp]
    chosen: NDArray[np.intp]
    scale: FloatArray


def distinct_tissues(tissue: Tissue, form: Form, *, limit: int = MAX_TISSUES) -> DistinctTissues:
    """The different tissues among voxels.

    M0 only scales the bound of complex signals; for magnitudes it makes another tissue.

    Parameters
    ----------
    tissue
        Of the image `(voxel,)`.
    form
        Whether the signals are complex or magnitudes.
    limit
        At most so many tissues are chosen, at random.

    """
    m0 = np.abs(tissue.m0)
    columns = {key: getattr(tissue, key) for key in Tissue.columns() if key != "m0"}
    scale = np.ones(len(tissue))
    if form == "magnitude":
        columns["m0"] = m0
    else:
        with np.errstate(divide="ignore"):
            scale = 1 / m0
    rows, index = np.unique(np.stack(list(columns.values()), axis=1), axis=0, return_inverse=True)
    distinct = Tissue.of_estimates(**dict(zip(columns, rows.T, strict=True)))
    chosen = np.arange(len(rows))
    if len(rows) > limit:
        chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:limit])
    return DistinctTissues(distinct, index.reshape(-1), chosen, scale)


def voxel_bounds(
    scan: Scan, tissues: DistinctTissues, *, progress: Progress | None = None
) -> dict[str, FloatArray]:
    """Cramer-Rao bound of "t1" and "t2" for every voxel `(voxel,)` [s].

    NaN where the tissue of the voxel was not chosen. progress is called with the number of tissues
    done since the last call.
    """
    bound = cramer_rao(
        scan.sequence,
        tissues.tissue[tissues.chosen],
        noise_sd=scan.noise_sd,
        form=scan.form,
        progress=progress,
    )
    result = {}
    for key, values in (("t1", bound.sd_t1), ("t2", bound.sd_t2)):
        by_tissue = np.full(len(tissues.tissue), np.nan)
        by_tissue[tissues.chosen] = values
        result[key] = by_tissue[tissues.index] * tissues.scale
    return result
