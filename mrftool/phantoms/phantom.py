"""A phantom: how much of each tissue class every voxel holds, and what the classes are made of."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Float32Array, FloatArray
from mrftool.errors import InputError
from mrftool.grid import Grid
from mrftool.tissue import Tissue

Labels = NDArray[np.int16]
Mixing = Literal["log", "linear"]


@dataclass(frozen=True)
class Phantom:
    """Fuzzy tissue fractions on a grid. Valid once built.

    fractions: share of each class in each voxel `(x, y, z, class)` float32, 0 to 1; the classes of
    a voxel sum to at most 1, the rest is empty [1]. classes: their names. tissue: T1, T2 [s] and
    proton density (`m0`, relative to water) [1] of each class, `(class,)` columns; a class of m0 =
    0 gives no signal.
    affine: voxel index to millimetres in RAS+, `(4, 4)` [mm].

    Raises InputError if shapes disagree, a fraction is outside 0 to 1, or the affine is no place.
    """

    fractions: Float32Array
    classes: tuple[str, ...]
    tissue: Tissue
    affine: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "fractions", np.asarray(self.fractions, np.float32))
        if self.fractions.ndim != 4 or self.fractions.shape[3] != len(self.classes):
            raise InputError(
                f"the fractions have shape {self.fractions.shape}, expected (x, y, z, "
                f"{len(self.classes)} classes)"
            )
        if len(self.tissue) != len(self.classes):
            raise InputError(
                f"{len(self.tissue)} tissue values, expected one for each of {len(self.classes)} "
                f"classes"
            )
        if not (self.fractions.min(initial=0) >= 0 and self.fractions.max(initial=0) <= 1 + 1e-3):
            raise InputError("a tissue fraction is outside 0 to 1")
        self.grid  # noqa: B018  a bad affine shows here

    @property
    def grid(self) -> Grid:
        """Place of the voxels; the mask holds those with any signal."""
        has_signal = self.tissue.m0.real > 0
        return Grid(np.any(self.fractions[..., has_signal] > 0, axis=-1), self.affine)

    @property
    def m0(self) -> FloatArray:
        """Proton density `(x, y, z)` relative to water [1]."""
        return np.asarray(self.fractions @ self.tissue.m0.real, np.float64)


def to_tissue(
    phantom: Phantom,
    *,
    mixing: Mixing = "log",
    min_m0: float = 0.1,
    b1_spread: float = 0.0,
    m0_phase: float = 0.0,
    seed: int = 0,
) -> tuple[Tissue, Grid, Labels]:
    """One T1, T2 and M0 for each voxel, and the class that gives most of its signal.

    A voxel of several classes has no single T1; a phantom for single-component estimates needs one
    all the same. "log" takes the geometric mean, weighted by the protons of each class: what
    relaxes ten times slower and ten times faster pull alike, and bone, which has no protons, does
    not pull at all. It is also the scale on which encoders are trained. "linear" is the weighted
    mean of the times themselves, again by protons.

    min_m0: voxels with less proton density are left out of the returned grid [1].
    b1_spread: largest deviation of a smooth B1 field from 1 [1]. m0_phase: largest phase of M0 of a
    smooth phase field [rad]. seed: of these two fields.

    Returns the tissue `(voxel,)`, its grid, and labels `(voxel,)` that index `phantom.classes`.
    Raises InputError if no voxel has enough signal.
    """
    m0 = phantom.m0
    grid = Grid(m0 >= min_m0, phantom.affine)
    if not grid.n_voxels:
        raise InputError(f"no voxel of the phantom has a proton density of {min_m0:g} or more")
    protons = grid.to_columns(phantom.fractions) * phantom.tissue.m0.real
    weight = protons / protons.sum(axis=1, keepdims=True)
    b1, phase = _b1_and_phase(grid, seed)
    tissue = Tissue(
        t1=_mixed(weight, phantom.tissue.t1, mixing),
        t2=_mixed(weight, phantom.tissue.t2, mixing),
        b1=1 + b1_spread * b1,
        m0=protons.sum(axis=1) * np.exp(1j * m0_phase * phase),
    )
    return tissue, grid, protons.argmax(axis=1).astype(np.int16)


def _mixed(weight: FloatArray, times: FloatArray, mixing: Mixing) -> FloatArray:
    if mixing == "log":
        return np.asarray(np.exp(weight @ np.log(times)), np.float64)
    if mixing == "linear":
        return np.asarray(weight @ times, np.float64)
    raise InputError(f"mixing {mixing!r}, expected 'log' or 'linear'")


def _b1_and_phase(grid: Grid, seed: int) -> tuple[FloatArray, FloatArray]:
    """Two smooth fields on the voxels of `grid`, each with a largest magnitude of 1.

    B1 is high in the middle and low at the rim, as a head at 3 T shows it, with a random tilt. The
    phase is a random polynomial of second order.
    """
    rng = np.random.default_rng((seed, 1))
    index = np.argwhere(grid.mask) * grid.voxel_size
    place = index - (index.max(axis=0) + index.min(axis=0)) / 2
    place = place / max(float(np.abs(place).max()), 1e-9)
    radius2 = (place**2).sum(axis=1)
    b1 = 1 - 2 * radius2 + place @ rng.normal(0, 0.25, 3)
    second = np.stack([place[:, i] * place[:, j] for i in range(3) for j in range(i, 3)], axis=1)
    phase = place @ rng.normal(0, 1, 3) + second @ rng.normal(0, 0.7, 6)
    return b1 / max(float(np.abs(b1).max()), 1e-9), phase / max(float(np.abs(phase).max()), 1e-9)
