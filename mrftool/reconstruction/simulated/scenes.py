"""Scenes of digital phantoms: objects on a fine grid, and what they are on the image's grid."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.phantoms.phantom import Phantom, to_tissue
from mrftool.physics.simulate import simulate
from mrftool.reconstruction.simulated.raw_data import Scene, ring_coils
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_KEPT = 3e-6  # relative error that the scene's own basis may leave
_B1_LEVELS = 21  # between which fingerprints are interpolated
_LEAST_DENSITY = 0.1  # of pixels that count, relative to water


@dataclass(frozen=True, eq=False)
class Reference:
    """What the object is on the image's grid.

    tissue: proton-weighted geometric means of T1 and T2 [s], mean proton density, mean B1, of the
    pixels in `mask` `(x, y)`, in C order.
    class_share: share of the protons of each class `(pixel, class)`.
    """

    tissue: Tissue
    mask: BoolArray
    class_share: FloatArray


def phantom_scene(
    sequence: PulseSequence,
    phantom: Phantom,
    factor: int,
    *,
    n_coils: int = 8,
    b1_spread: float = 0.0,
    m0_phase: float = 0.0,
    field: FloatArray | None = None,
    seed: int = 0,
) -> tuple[Scene, Reference]:
    """A scene of one slice, in which every class keeps its own T1 and T2.

    Parameters
    ----------
    phantom
        One slice on the fine grid: `factor` points along each edge of a pixel.
    b1_spread
        Largest deviation of a smooth B1 field from 1 [1].
    m0_phase
        Largest phase of a smooth phase field [rad].
    field
        Off-resonance on the fine grid `(x, y)` [Hz].
    """
    b1, phase = _fields(phantom, b1_spread, m0_phase, seed)
    present = np.flatnonzero(phantom.tissue.m0.real > 0)
    levels = np.unique(np.linspace(b1.min(), b1.max(), _B1_LEVELS))
    signals = _class_signals(sequence, phantom, present, levels)
    basis, coefficients = _scene_basis(signals)
    coefficients = coefficients.reshape(len(present), len(levels), -1)
    fractions = phantom.fractions[:, :, 0]
    images = np.zeros((*b1.shape, basis.shape[1]), np.complex128)
    for row, kind in zip(coefficients, present, strict=True):
        density = fractions[..., kind, None] * phantom.tissue.m0[kind].real
        images += density * _at_levels(row, levels, b1)
    images *= phase[..., None] / factor**2
    scene = Scene(
        np.moveaxis(images, -1, 0).astype(np.complex64),
        basis,
        ring_coils(n_coils, b1.shape),
        factor,
        field,
    )
    return scene, _reference(phantom, fractions, b1, factor)


def tissue_scene(
    sequence: PulseSequence, tissue: Tissue, mask: BoolArray, *, n_coils: int = 8
) -> Scene:
    """A scene of one tissue for each pixel of `mask` `(x, y)`: no partial volume, no truncation.

    The object is known at the centres of the image's own pixels: the well-posed case.
    """
    signals = simulate(sequence, tissue).signal
    basis, coefficients = _scene_basis(signals)
    images = np.zeros((basis.shape[1], *mask.shape), np.complex64)
    images[:, mask] = coefficients.T
    return Scene(images, basis, ring_coils(n_coils, mask.shape), 1)


def _fields(
    phantom: Phantom, b1_spread: float, m0_phase: float, seed: int
) -> tuple[FloatArray, Array]:
    """B1 [1] and the phase factor of M0 `(x, y)`."""
    tissue, grid, _ = to_tissue(phantom, b1_spread=b1_spread, m0_phase=m0_phase, seed=seed)
    inside = grid.mask[:, :, 0]
    b1, phase = np.ones(inside.shape), np.ones(inside.shape, np.complex128)
    b1[inside] = tissue.b1
    phase[inside] = np.exp(1j * np.angle(tissue.m0))
    return b1, phase


def _class_signals(
    sequence: PulseSequence, phantom: Phantom, present: Array, levels: FloatArray
) -> Array:
    """Fingerprints of m0 = 1 of each class at each B1 `(class x level, time)`."""
    t1 = np.repeat(phantom.tissue.t1[present], len(levels))
    t2 = np.repeat(phantom.tissue.t2[present], len(levels))
    return simulate(sequence, Tissue(t1, t2, b1=np.tile(levels, len(present)))).signal


def _scene_basis(signals: Array) -> tuple[Array, Array]:
    """Orthonormal vectors `(time, R)`, and the coefficients of `signals` `(voxel, R)`."""
    step = max(1, len(signals) // 3000)
    values, rows = np.linalg.svd(signals[::step].astype(np.complex128), full_matrices=False)[1:]
    left = 1 - np.cumsum(values**2) / (values**2).sum()
    rank = int((np.sqrt(np.maximum(left, 0)) > _KEPT).sum()) + 1
    basis = rows[:rank].T
    return basis, signals @ basis.conj()


def _at_levels(row: Array, levels: FloatArray, b1: FloatArray) -> Array:
    """Coefficients `(level, R)` at a field `(x, y)`, linearly between the levels."""
    if len(levels) == 1:
        return np.broadcast_to(row[0], (*b1.shape, row.shape[1]))
    place = np.clip((b1 - levels[0]) / (levels[1] - levels[0]), 0, len(levels) - 1)
    below = np.minimum(place.astype(int), len(levels) - 2)
    share = (place - below)[..., None]
    return np.asarray(row[below] * (1 - share) + row[below + 1] * share)


def _reference(phantom: Phantom, fractions: Array, b1: FloatArray, factor: int) -> Reference:
    protons = _pixel_means(fractions * phantom.tissue.m0.real, factor)
    total = protons.sum(axis=-1)
    mask = total >= _LEAST_DENSITY
    share = protons[mask] / total[mask][:, None]
    tissue = Tissue(
        t1=np.exp(share @ np.log(phantom.tissue.t1)),
        t2=np.exp(share @ np.log(phantom.tissue.t2)),
        b1=_pixel_means(b1[..., None], factor)[mask][:, 0],
        m0=total[mask].astype(np.complex128),
    )
    return Reference(tissue, mask, share)


def _pixel_means(values: Array, factor: int) -> FloatArray:
    """Means `(x, y, ...)` over the points of each pixel."""
    x, y, *rest = values.shape
    blocks = values.reshape(x // factor, factor, y // factor, factor, *rest)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float64)
