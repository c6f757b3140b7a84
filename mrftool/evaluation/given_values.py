"""Whether the residual of a scan looks like an error of a value that the fit takes for granted.

A wrong B1, inversion efficiency or TI moves T1 and T2 of all voxels, and most of it hides there.
What T1, T2 and M0 cannot follow remains in the residual, far below the noise of one voxel; over all
voxels it shows. With d what remains of the derivative of the signal by the value p, and r the
residual, least squares give the error of p as sum Re d^H r / sum |d|^2, with the sums over voxels
and time, weighted by the variance of each voxel's noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.manifold.influences import Influence, influences_on, signal_derivative
from mrftool.physics.simulate import signal_and_derivatives
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_TOLERANCE = 1e-5  # of the engine
_MOST_VOXELS = 1000
_BLOCK = 250  # voxels at a time
_SIGNIFICANT = 6.0  # standard deviations
_BEYOND = 2.0  # standard uncertainties that an error exceeds: once in 20 if they are right
_ALIKE = 0.6  # of what the best error explains, from which another one cannot be told from it
_LEAST_SHARE = 1e-6  # of the derivative that T1, T2 and M0 leave; below is rounding


@dataclass(frozen=True)
class SuspectedError:
    """An error of a given value that would leave what the fit leaves.

    Parameters
    ----------
    influence
        The value.
    size, sd
        Of the error, to first order, and the standard deviation by noise [unit of the value].
    uncertainty
        Standard uncertainty that is stated for it, or a typical one [unit of the value].
    others
        Values of which an error would leave nearly the same.
    """

    influence: Influence
    size: float
    sd: float
    uncertainty: float
    others: tuple[Influence, ...] = ()


def suspected_error(
    residual: Array,
    m0: Array,
    noise_sd: FloatArray,
    tissue: Tissue,
    sequence: PulseSequence,
    *,
    stated: Mapping[str, float] | None = None,
    fitted: tuple[str, ...] = (),
) -> SuspectedError | None:
    """The error of one given value that explains most of a residual, if it is larger than twice its
    uncertainty.

    Parameters
    ----------
    residual
        Of the fit, complex or, of magnitudes, real `(voxel, time)` [scanner's unit].
    m0
        Of the fit `(voxel,)` [scanner's unit].
    noise_sd
        Per channel `(voxel,)` [scanner's unit].
    tissue
        What was fitted, with the values that were given, of m0 = 1.
    sequence
        That it was fitted with.
    stated
        Standard uncertainty of given values by name [SI unit]; typical ones of the others.
    fitted
        Names of values that were fitted, not given.
    """
    influences = tuple(each for each in influences_on(sequence) if each.name not in fitted)
    n_voxels = len(residual)
    chosen = np.unique(np.linspace(0, n_voxels - 1, min(n_voxels, _MOST_VOXELS)).astype(int))
    products, energies = np.zeros(len(influences)), np.zeros(len(influences))
    for start in range(0, len(chosen), _BLOCK):
        voxels = chosen[start : start + _BLOCK]
        rows, share = _remainders(influences, sequence, tissue[voxels], residual.dtype)
        scale = m0[voxels] / noise_sd[voxels]
        seen = residual[voxels] / noise_sd[voxels, None]
        if not np.iscomplexobj(residual):
            scale = np.abs(scale)
        rows *= np.where(share > _LEAST_SHARE, 1.0, 0.0)[:, :, None] * scale[:, None]
        products += (rows.conj() * seen).real.sum(axis=(1, 2))
        energies += np.square(np.abs(rows)).sum(axis=(1, 2))
    return _largest(influences, products, energies, stated or {})


def _largest(
    influences: tuple[Influence, ...],
    products: FloatArray,
    energies: FloatArray,
    stated: Mapping[str, float],
) -> SuspectedError | None:
    """The error that explains most, of those beyond their uncertainty."""
    found: dict[float, SuspectedError] = {}
    for influence, product, energy in zip(influences, products, energies, strict=True):
        if energy == 0:
            continue
        size, explained = product / energy, product**2 / energy
        uncertainty = stated.get(influence.name) or influence.uncertainty
        if abs(size) > _BEYOND * uncertainty and explained > _SIGNIFICANT**2:
            error = SuspectedError(influence, float(size), float(energy**-0.5), uncertainty)
            found[float(explained)] = error
    if not found:
        return None
    most = max(found)
    near = [key for key in found if _ALIKE * most <= key < most]
    others = tuple(found[key].influence for key in sorted(near, reverse=True))
    return replace(found[most], others=others)


def _remainders(
    influences: tuple[Influence, ...], sequence: PulseSequence, tissue: Tissue, kind: np.dtype[Any]
) -> tuple[Array, FloatArray]:
    """What T1, T2 and M0 leave of each derivative `(influence, voxel, time)`, of m0 = 1, and its
    share of the derivative `(influence, voxel)` [1].
    """
    signal, slopes = signal_and_derivatives(
        sequence, tissue, with_respect_to=("t1", "t2"), tolerance=_TOLERANCE
    )
    changes = [signal_derivative(influence, sequence, tissue) for influence in influences]
    rows = np.stack([signal, *slopes, *changes]).astype(np.complex128)
    if kind.kind != "c":
        rows = (np.conj(rows[0]) * rows).real / np.maximum(np.abs(rows[0]), 1e-300)
    whole = np.linalg.norm(rows[3:], axis=2)
    left = _without_m0(rows)
    first = _unit(left[0])
    left = left - first * _real_products(first, left)[:, :, None]
    second = _unit(left[1])
    left = left - second * _real_products(second, left)[:, :, None]
    remainders = left[2:]
    share = np.linalg.norm(remainders, axis=2) / np.maximum(whole, 1e-300)
    return remainders, share


def _without_m0(rows: Array) -> Array:
    """Rows `(row, voxel, time)` after the first, less their part along it in any phase."""
    signal = _unit(rows[0])
    return np.asarray(rows[1:] - signal * (signal.conj() * rows[1:]).sum(axis=2, keepdims=True))


def _unit(rows: Array) -> Array:
    norm = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(norm, 1e-300))


def _real_products(unit: Array, rows: Array) -> FloatArray:
    return np.asarray((unit.conj() * rows).real.sum(axis=2))
