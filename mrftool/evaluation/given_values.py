"""Whether the residual of a scan looks like an error of a value that the fit takes for granted.

A wrong B1, inversion efficiency or TI moves T1 and T2 of all voxels, and most of it hides there.
What T1, T2 and M0 cannot follow remains in the residual, far below the noise of one voxel; over all
voxels it shows. With d what remains of the derivative of the signal by the value p, and r the
residual, least squares give the error of p as sum Re d^H r / sum |d|^2, with the sums over voxels
and time, weighted by the variance of each voxel's noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.manifold.first_order import directions_of, first_order
from mrftool.manifold.influences import Influence, influence_named, influences_on
from mrftool.physics.cramer_rao import Form
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_TOLERANCE = 1e-5  # of the engine
_MOST_VOXELS = 1000
_BLOCK = 250  # voxels at a time
_SIGNIFICANT = 6.0  # standard deviations
_IMPOSSIBLE = 1.5  # error of a ratio that has another cause, such as another sequence [1]
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
    form: Form = "complex"
    if not np.iscomplexobj(residual):
        form = "magnitude"
    for start in range(0, len(chosen), _BLOCK):
        voxels = chosen[start : start + _BLOCK]
        rows, share = _remainders(influences, sequence, tissue[voxels], form)
        scale = m0[voxels] / noise_sd[voxels]
        seen = residual[voxels] / noise_sd[voxels, None]
        if not np.iscomplexobj(residual):
            scale = np.abs(scale)
        rows *= np.where(share > _LEAST_SHARE, 1.0, 0.0)[:, :, None] * scale[:, None]
        products += (rows.conj() * seen).real.sum(axis=(1, 2))
        energies += np.square(np.abs(rows)).sum(axis=(1, 2))
    return _largest(influences, products, energies, stated or {})


def _uncertainty(influence: Influence, stated: Mapping[str, float]) -> float:
    """The stated one; what is called exact is not suspected below what is typical."""
    uncertainty = stated.get(influence.name) or influence.uncertainty
    if uncertainty == 0:
        return influence_named(influence.name).uncertainty
    return uncertainty


def _largest(
    influences: tuple[Influence, ...],
    products: FloatArray,
    energies: FloatArray,
    stated: Mapping[str, float],
) -> SuspectedError | None:
    """The error that explains most, of those beyond their uncertainty; None where it is none that
    a scan can have.
    """
    found = _beyond_uncertainty(influences, products, energies, stated)
    if not found:
        return None
    most = max(found)
    if found[most].influence.unit == "1" and abs(found[most].size) > _IMPOSSIBLE:
        return None
    near = [key for key in found if _ALIKE * most <= key < most]
    others = tuple(found[key].influence for key in sorted(near, reverse=True))
    return replace(found[most], others=others)


def _beyond_uncertainty(
    influences: tuple[Influence, ...],
    products: FloatArray,
    energies: FloatArray,
    stated: Mapping[str, float],
) -> dict[float, SuspectedError]:
    """The errors beyond their uncertainty, by how much of the residual each explains."""
    found: dict[float, SuspectedError] = {}
    for influence, product, energy in zip(influences, products, energies, strict=True):
        if energy == 0:
            continue
        explained = float(product**2 / energy)
        error = SuspectedError(
            influence, float(product / energy), float(energy**-0.5), _uncertainty(influence, stated)
        )
        if abs(error.size) > _BEYOND * error.uncertainty and explained > _SIGNIFICANT**2:
            found[explained] = error
    return found


def _remainders(
    influences: tuple[Influence, ...], sequence: PulseSequence, tissue: Tissue, form: Form
) -> tuple[Array, FloatArray]:
    """What T1, T2 and M0 leave of each derivative `(influence, voxel, time)`, of m0 = 1, and its
    share of the derivative `(influence, voxel)` [1]; 0 where T1 and T2 are not determined.
    """
    directions = directions_of(sequence, tissue, influences, form=form, tolerance=_TOLERANCE)
    remainders = np.nan_to_num(first_order(directions).left)
    whole = np.linalg.norm(directions.given, axis=2).T
    share = np.linalg.norm(remainders, axis=2) / np.maximum(whole, 1e-300)
    return remainders, share
