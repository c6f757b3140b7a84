"""The Cramer-Rao bound of every voxel of an image, from its reference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import FloatArray, Progress
from mrftool.physics.cramer_rao import Form, cramer_rao
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

MOST_TISSUES = (
    20_000  # different ones whose bound is computed; of more, a random choice stands for all
)


@dataclass(frozen=True, eq=False)
class Scan:
    """How an image was made: sequence, standard deviation of the noise per channel [unit of m0],
    form of signals.
    """

    sequence: PulseSequence
    noise_sd: float
    form: Form


@dataclass(frozen=True, eq=False)
class Kinds:
    """The different tissues of an image (of m0 = 1 for complex signals), and which one each voxel
    is `(voxel,)`.

    chosen: those whose bound is wanted. scale: what to multiply the bound of its kind with, for
    each voxel `(voxel,)`.
    """

    tissue: Tissue
    kind: NDArray[np.intp]
    chosen: NDArray[np.intp]
    scale: FloatArray


def kinds_of(tissue: Tissue, form: Form, *, most: int = MOST_TISSUES) -> Kinds:
    """Voxels of the same T1, T2, B1, diffusion and off-resonance are one kind; m0 only scales the
    bound of complex
    signals, and tells magnitudes apart. At most `most` kinds are chosen, at random.
    """
    size = np.abs(tissue.m0)
    keys = ["t1", "t2", "b1", "adc", "off_resonance"]
    table = np.stack(
        [*(getattr(tissue, key) for key in keys), *([size] if form == "magnitude" else [])], axis=1
    )
    rows, kind = np.unique(table, axis=0, return_inverse=True)
    columns = dict(zip([*keys, "m0"], rows.T, strict=False))
    chosen = np.arange(len(rows))
    if len(rows) > most:
        chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:most])
    with np.errstate(divide="ignore"):
        scale = 1 / size if form == "complex" else np.ones(len(tissue))
    return Kinds(Tissue(**columns), kind.reshape(-1), chosen, scale)


def bounds_of(
    scan: Scan, kinds: Kinds, *, progress: Progress | None = None
) -> dict[str, FloatArray]:
    """Bound of "t1" and "t2" `(voxel,)` [s] for every voxel of `kinds`: NaN where its kind was not
    chosen.

    progress: called with the number of kinds done since the last call.
    """
    found = cramer_rao(
        scan.sequence,
        kinds.tissue[kinds.chosen],
        noise_sd=scan.noise_sd,
        form=scan.form,
        progress=progress,
    )
    result = {}
    for key, values in (("t1", found.sd_t1), ("t2", found.sd_t2)):
        of_kind = np.full(len(kinds.tissue), np.nan)
        of_kind[kinds.chosen] = values
        result[key] = of_kind[kinds.kind] * kinds.scale
    return result
