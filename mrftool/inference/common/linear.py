"""A sample of voxels near its fit, to first order: what common values change, and what each voxel's
own T1, T2 and M0 cannot follow of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.inference.assessment.sample import SampledResiduals, residual_of
from mrftool.manifold.effects import NoiseShape
from mrftool.manifold.first_order import directions_of, first_order
from mrftool.manifold.influences import Influence
from mrftool.physics.cramer_rao import Form
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_TOLERANCE = 1e-5  # of the engine
_BLOCK = 256  # voxels at a time


@dataclass(frozen=True, eq=False)
class Linearised:
    """Of each voxel, with d what T1, T2 and M0 leave of the derivatives by given values, and r the
    residual. Rows where the signal does not determine T1 and T2 are 0.

    Parameters
    ----------
    m0
        That fits best `(voxel,)` [scanner's unit].
    noise_sd
        Of the residual, per channel `(voxel,)` [scanner's unit].
    gram, cross
        Re d^H d `(voxel, value, value)` and Re d^H r `(voxel, value)`, with both in units of the
        noise.
    coloured
        Variance of Re d^H r by noise of the shape that was asked for, beside white noise
        `(voxel, value)` [1].
    steps
        Gauss-Newton step of log T1 and log T2 at unchanged common values `(voxel, 2)`.
    slopes
        Change of log T1 and log T2 per change of each value `(voxel, value, 2)`.
    """

    m0: Array
    noise_sd: FloatArray
    gram: FloatArray
    cross: FloatArray
    coloured: FloatArray
    steps: FloatArray
    slopes: FloatArray


def linearised(
    sample: SampledResiduals,
    m0: Array,
    noise_sd: FloatArray,
    scene: tuple[PulseSequence, Tissue],
    influences: Sequence[Influence],
    shape: NoiseShape | None = None,
) -> Linearised:
    """The sample near a fit.

    Parameters
    ----------
    sample
        Voxels of the scan.
    m0, noise_sd
        Found so far `(voxel,)` [scanner's unit].
    scene
        Sequence, and tissue of each voxel.
    influences
        Given values by which derivatives are taken.
    shape
        Of the noise; by default white.
    """
    sequence, tissue = scene
    parts = []
    for start in range(0, len(tissue), _BLOCK):
        block = slice(start, start + _BLOCK)
        own = (sample.signal[block], m0[block], noise_sd[block])
        parts.append(_of_block(*own, sequence, tissue[block], influences, shape))
    names = [each.name for each in fields(Linearised)]
    return Linearised(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )


def _of_block(
    signal: Array,
    m0: Array,
    noise_sd: FloatArray,
    sequence: PulseSequence,
    tissue: Tissue,
    influences: Sequence[Influence],
    shape: NoiseShape | None,
) -> Linearised:
    form: Form = "magnitude"
    if np.iscomplexobj(signal):
        form = "complex"
    directions = directions_of(sequence, tissue, influences, form=form, tolerance=_TOLERANCE)
    clean = directions.signal
    found = first_order(directions)
    usable = np.isfinite(found.inverse).all(axis=(1, 2))
    energy = np.maximum(np.square(directions.norm), 1e-300)
    residual = noise_sd[:, None] * residual_of(signal, m0[:, None] * clean, noise_sd)
    share = (clean.conj() * residual).sum(axis=1) / energy
    residual = residual - share[:, None] * clean
    m0 = m0 + share
    size = np.maximum(np.abs(m0), 1e-300)
    relative = residual * (m0.conj() / np.square(size))[:, None]
    gain = found.jacobian.conj() * relative[:, None]
    steps = (found.inverse @ gain.real.sum(axis=2)[:, :, None])[:, :, 0]
    channels = 1 + np.iscomplexobj(signal)
    spread = np.sqrt(np.square(np.abs(residual)).mean(axis=1) / channels)
    spread = np.maximum(spread, 1e-6 * size * np.sqrt(energy / signal.shape[1]))
    left = found.left.swapaxes(0, 1) * (size / spread)[:, None, None]
    seen = relative * (size / spread)[:, None]
    gram = (left.conj() @ left.swapaxes(1, 2)).real
    coloured = np.ones(gram.shape[:2])
    if shape is not None:
        variance = (left.conj() * shape.filtered(left)).real.sum(axis=2)
        coloured = variance / np.maximum(np.diagonal(gram, axis1=1, axis2=2), 1e-300)
    cross = (left.conj() * seen[:, None]).real.sum(axis=2)
    slopes = found.slopes.swapaxes(0, 1)
    gram, cross, coloured, steps, slopes = (
        np.where(usable.reshape(-1, *[1] * (rows.ndim - 1)), rows, 0.0)
        for rows in (gram, cross, coloured, steps, slopes)
    )
    return Linearised(m0, spread, gram, cross, coloured, steps, slopes)
