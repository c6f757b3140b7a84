"""Standard deviations of T1 and T2 where the residual is aliasing, and no noise.

Aliasing of a frame changes with its arm of k-space, and nearly cancels over all arms. The sandwich
covariance H^-1 (sum of Re u u^T) H^-1 of each voxel takes sums u of J^H r over windows of a few
cycles of the arms, with r the residual and J, H as in `mrftool.manifold.first_order`.

Source: W. K. Newey, K. D. West, Econometrica 55:703 (1987), doi 10.2307/1913610 (sums over windows
are their estimate with Bartlett's weights).
"""

from collections.abc import Mapping

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.inference.assessment.sample import tissue_of
from mrftool.manifold.first_order import directions_of, first_order
from mrftool.manifold.parameters import FITTED
from mrftool.maps import Maps, has_estimate
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence

_BLOCK = 256  # voxels at a time


def with_sandwich_deviations(
    series: Series,
    maps: Maps,
    sequence: PulseSequence,
    known: Mapping[str, Array | float],
    window: int,
) -> dict[str, Array]:
    """The extra maps, with standard deviations for a residual that is correlated over time.

    Parameters
    ----------
    series, maps
        A complex scan, and what was found in it.
    sequence
        That was fitted.
    known
        What the fit took as known: images `(x, y, z)`, or numbers, of b1 [1] and adc [m2/s].
    window
        Repetitions over which the residual is correlated.
    """
    extra = {name: image.copy() for name, image in maps.extra.items()}
    estimated = has_estimate(maps)
    for voxels, signal in series.blocks(estimated):
        tissue = tissue_of(maps, voxels, known)
        m0 = maps.m0.reshape(-1)[voxels]
        for start in range(0, len(voxels), _BLOCK):
            block = slice(start, start + _BLOCK)
            directions = directions_of(sequence, tissue[block], ())
            found = first_order(directions)
            residual = signal[block] / m0[block, None] - directions.signal
            scores = (found.jacobian.conj() * residual[:, None]).real
            covariance = found.inverse @ windowed_products(scores, window) @ found.inverse
            relative = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
            for k, parameter in enumerate(FITTED):
                value = getattr(maps, parameter.name).reshape(-1)[voxels[block]]
                extra[f"sd_{parameter.name}"].reshape(-1)[voxels[block]] = value * relative[:, k]
    return extra


def windowed_products(scores: FloatArray, window: int) -> FloatArray:
    """Sum of products of `scores` `(voxel, n, time)` at times less than `window` apart, with
    weights that fall linearly to 0 `(voxel, n, n)`.
    """
    padded = np.pad(np.cumsum(scores, axis=2), ((0, 0), (0, 0), (window, window)), mode="edge")
    padded[:, :, :window] = 0
    sums = padded[:, :, window:] - padded[:, :, :-window]
    return np.asarray(sums @ sums.swapaxes(1, 2) / window)
