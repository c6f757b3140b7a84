"""Whether the residual of a scan looks like an error of a value that the fit takes for granted.

A wrong B1, inversion efficiency or TI moves T1 and T2 of all voxels, and most of it hides there.
What T1, T2 and M0 cannot follow remains in the residual, far below the noise of one voxel; over all
voxels it shows. With d what remains of the derivative of the signal by the value p, and r the
residual, least squares give the error of p as sum Re d^H r / sum |d|^2, with the sums over voxels
and time, weighted by the variance of each voxel's noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.manifold.first_order import Directions, first_order
from mrftool.manifold.influences import Influence, influence_named

_BLOCK = 64  # voxels at a time
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
        Values of which an error would leave nearly the same, within their uncertainty or beyond.
    """

    influence: Influence
    size: float
    sd: float
    uncertainty: float
    others: tuple[Influence, ...] = ()

    @property
    def is_beyond(self) -> bool:
        """Whether it is larger than the value's uncertainty makes likely."""
        return abs(self.size) > _BEYOND * self.uncertainty


def suspected_error(
    residual: Array,
    m0: Array,
    noise_sd: FloatArray,
    directions: Directions,
    influences: Sequence[Influence],
    *,
    stated: Mapping[str, float] | None = None,
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
    directions
        What small changes of the fitted and the given values do to the signals of these voxels.
    influences
        Given values, in the order of the directions.
    stated
        Standard uncertainty of given values by name [SI unit]; typical ones of the others.
    """
    products, energies = np.zeros(len(influences)), np.zeros(len(influences))
    scale = m0 / noise_sd
    if not np.iscomplexobj(residual):
        scale = np.abs(scale)
    for start in range(0, len(residual), _BLOCK):
        voxels = slice(start, start + _BLOCK)
        rows = scale[voxels, None] * _remainders(directions[voxels])
        seen = residual[voxels] / noise_sd[voxels, None]
        products += (rows.conj() * seen).real.sum(axis=(1, 2))
        energies += _energy(rows).sum(axis=1)
    return _largest(influences, products, energies, stated or {})


def _uncertainty(influence: Influence, stated: Mapping[str, float]) -> float:
    """The stated one; what is called exact is not suspected below what is typical."""
    uncertainty = stated.get(influence.name) or influence.uncertainty
    if uncertainty == 0:
        return influence_named(influence.name).uncertainty
    return uncertainty


def _largest(
    influences: Sequence[Influence],
    products: FloatArray,
    energies: FloatArray,
    stated: Mapping[str, float],
) -> SuspectedError | None:
    """The error that explains most, of those beyond their uncertainty; None where it is none that
    a scan can have.
    """
    found = _errors(influences, products, energies, stated)
    beyond = [key for key, error in found.items() if error.is_beyond]
    if not beyond:
        return None
    most = max(beyond)
    if found[most].influence.unit == "1" and abs(found[most].size) > _IMPOSSIBLE:
        return None
    near = [key for key in found if _ALIKE * most <= key and key != most]
    others = tuple(found[key].influence for key in sorted(near, reverse=True))
    return replace(found[most], others=others)


def _errors(
    influences: Sequence[Influence],
    products: FloatArray,
    energies: FloatArray,
    stated: Mapping[str, float],
) -> dict[float, SuspectedError]:
    """An error of each value that explains a part of the residual, by the size of that part."""
    found: dict[float, SuspectedError] = {}
    for influence, product, energy in zip(influences, products, energies, strict=True):
        if energy == 0:
            continue
        explained = float(product**2 / energy)
        error = SuspectedError(
            influence, float(product / energy), float(energy**-0.5), _uncertainty(influence, stated)
        )
        if explained > _SIGNIFICANT**2:
            found[explained] = error
    return found


def _remainders(directions: Directions) -> Array:
    """What T1, T2 and M0 leave of the derivative by each given value `(influence, voxel, time)`, of
    m0 = 1; 0 where T1 and T2 are not determined, and where nothing is left but rounding.
    """
    remainders = np.nan_to_num(first_order(directions).left)
    whole = _energy(directions.given).T
    is_rounding = _energy(remainders) <= _LEAST_SHARE**2 * whole
    remainders[is_rounding] = 0
    return np.asarray(remainders)


def _energy(rows: Array) -> FloatArray:
    """Sum over time of the squared moduli of rows `(..., time)`."""
    return np.asarray(np.square(rows.real).sum(axis=-1) + np.square(rows.imag).sum(axis=-1))
