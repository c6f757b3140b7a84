"""How least squares estimates follow noise and given values, to first order.

With J the derivatives of the signal m by the logarithms of the fitted parameters, from which m0 is
projected out, and H = Re J^H J, least squares estimates have the covariance s^2 H^-1 for white
noise of variance s^2 in each channel. An error of a given value p moves them by -H^-1 Re J^H dm/dp
(the implicit function theorem, at a small residual); what of dm/dp is orthogonal to m and J remains
in the residual.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.manifold.influences import B1, TOLERANCE, Influence, signal_derivatives
from mrftool.manifold.parameters import FITTED
from mrftool.physics.cramer_rao import Form
from mrftool.physics.simulate import signal_and_derivatives
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

# Change of fitted given values, by name, per error of another one, by name.
Following = Mapping[str, Mapping[str, float]]

_LEAST_DETERMINANT = 1e-10  # of H, relative to the product of its diagonal
_LEAST_SHARE = 1e-12  # of the energy of directions that count as independent


@dataclass(frozen=True, eq=False)
class Directions:
    """What small changes do to signals; complex, or real for magnitudes.

    Parameters
    ----------
    signal
        Of m0 = 1 `(voxel, time)`.
    fitted
        Derivatives by the logarithms of the fitted parameters `(voxel, fitted, time)`.
    given
        Derivatives by given values `(voxel, influence, time)` [1 / unit].
    """

    signal: Array
    fitted: Array
    given: Array

    def __getitem__(self, voxels: slice | BoolArray) -> "Directions":
        return Directions(self.signal[voxels], self.fitted[voxels], self.given[voxels])

    def of(self, given: slice | list[int]) -> "Directions":
        """The same for some of the given values."""
        return replace(self, given=self.given[:, given])

    def in_single_precision(self) -> "Directions":
        """The same in half the memory."""
        dtype: DTypeLike = np.float32
        if np.iscomplexobj(self.signal):
            dtype = np.complex64
        return Directions(*(rows.astype(dtype) for rows in (self.signal, self.fitted, self.given)))

    @property
    def norm(self) -> FloatArray:
        """Of each signal over time `(voxel,)`."""
        return np.asarray(np.linalg.norm(self.signal, axis=1))

    def without_m0(self) -> "Directions":
        """The part of all derivatives that another m0 does not explain."""
        unit = (self.signal / np.maximum(self.norm, 1e-300)[:, None])[:, None]
        fitted, given = (
            rows - (rows @ unit.conj().swapaxes(1, 2)) * unit for rows in (self.fitted, self.given)
        )
        return Directions(self.signal, fitted, given)

    def following(self, moves: FloatArray) -> "Directions":
        """The same where an error of one given value moves others, as those that are fitted.

        Parameters
        ----------
        moves
            Change of each value (second) per error of each (first) `(influence, influence)`.
        """
        return replace(self, given=np.einsum("kj,vjt->vkt", moves, self.given))

    def span(self) -> "Span":
        """All of these changes, with that of m0."""
        rows = [self.signal[:, None], self.fitted, self.given]
        if np.iscomplexobj(self.signal):
            rows.insert(1, 1j * self.signal[:, None])
        values = as_real(np.concatenate(rows, axis=1))
        values /= np.maximum(np.sqrt(np.square(values).sum(axis=2, keepdims=True)), 1e-300)
        energy, mixing = np.linalg.eigh(values @ values.swapaxes(1, 2))
        independent = energy > _LEAST_SHARE
        factors = np.where(independent, 1 / np.where(independent, energy, 1.0), 0.0)
        inverse = (mixing * factors[:, None]) @ mixing.swapaxes(1, 2)
        return Span(values, np.asarray(inverse), np.count_nonzero(independent, axis=1))


@dataclass(frozen=True, eq=False)
class Span:
    """What linear combinations of some directions can be, of each voxel.

    Parameters
    ----------
    rows
        The directions, of norm 1; real numbers as those of `as_real` `(voxel, direction, value)`.
    inverse
        Pseudo-inverse of their inner products `(voxel, direction, direction)`.
    dimensions
        Number of independent directions `(voxel,)`.
    """

    rows: FloatArray
    inverse: FloatArray
    dimensions: FloatArray

    def without(self, values: FloatArray) -> FloatArray:
        """The part of values `(voxel, value)` that is orthogonal to all directions."""
        shares = self.inverse @ (self.rows @ values[:, :, None])
        return np.asarray(values - (shares.swapaxes(1, 2) @ self.rows)[:, 0])


def joined(blocks: Sequence[Directions]) -> Directions | None:
    """The voxels of all blocks; None of no blocks."""
    if not blocks:
        return None
    columns = [(each.signal, each.fitted, each.given) for each in blocks]
    return Directions(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def as_real(rows: Array) -> FloatArray:
    """Real and imaginary part of each value in turn, over the last axis; real rows as they are."""
    if not np.iscomplexobj(rows):
        return np.asarray(rows, np.float64)
    return np.ascontiguousarray(rows, np.complex128).view(np.float64)


@dataclass(frozen=True, eq=False)
class FirstOrder:
    """Of each voxel; NaN where the signal does not determine the fitted parameters.

    Parameters
    ----------
    jacobian
        J `(voxel, fitted, time)`.
    inverse
        H^-1 `(voxel, fitted, fitted)`.
    slopes
        Change of the logarithms of the fitted parameters per change of each given value
        `(influence, voxel, fitted)` [1 / unit].
    left
        What remains in the residual per change of each given value, of m0 = 1
        `(influence, voxel, time)` [1 / unit].
    remainder
        Its norm, relative to that of the signal `(influence, voxel)` [1 / unit].
    """

    jacobian: Array
    inverse: FloatArray
    slopes: FloatArray
    left: Array
    remainder: FloatArray


def directions_of(
    sequence: PulseSequence,
    tissue: Tissue,
    influences: Sequence[Influence],
    *,
    form: Form = "complex",
    tolerance: float = TOLERANCE,
) -> Directions:
    """What small changes of tissue and of given values do to the signals of a sequence.

    Parameters
    ----------
    sequence
        What is played.
    tissue
        The voxels, with the given values.
    influences
        Given values.
    form
        Of the signals.
    tolerance
        Of the engine, in the signal and its derivatives by tissue; with influences `TOLERANCE` at
        most [1].
    """
    names = [parameter.name for parameter in FITTED]
    asked = list(names)
    if B1 in influences:
        asked.append(B1.name)
    if influences:
        tolerance = min(tolerance, TOLERANCE)
    signal, slopes = signal_and_derivatives(
        sequence,
        tissue,
        with_respect_to=asked,  # type: ignore[arg-type]
        tolerance=tolerance,
    )
    known = dict(zip(asked, slopes, strict=True))
    slopes = slopes[: len(names)]
    scale = np.stack([getattr(tissue, name) for name in names])[:, :, None]
    changes = signal_derivatives(influences, sequence, tissue, signal, known)
    rows: Array = np.stack([signal, *(slopes * scale), *changes], axis=1, dtype=np.complex128)
    if form == "magnitude":
        first = rows[:, :1]
        rows = (np.conj(first) * rows).real / np.maximum(np.abs(first), 1e-300)
    n = 1 + len(names)
    return Directions(rows[:, 0], rows[:, 1:n], rows[:, n:])


def moves_of(influences: Sequence[Influence], following: Following) -> FloatArray:
    """`following` as a matrix: change of each value (second) per error of each (first)."""
    names = [influence.name for influence in influences]
    moves = np.eye(len(names))
    for name, changes in following.items():
        for fitted, change in changes.items():
            if {name, fitted} <= set(names):
                moves[names.index(name), names.index(fitted)] += change
    return moves


def first_order(directions: Directions) -> FirstOrder:
    """How least squares estimates follow noise and given values."""
    free = directions.without_m0()
    inverse = _inverse(products(free.fitted, free.fitted))
    moves = -inverse @ products(free.fitted, free.given)
    left = free.given + moves.swapaxes(1, 2) @ free.fitted
    remainder = np.linalg.norm(left, axis=2) / np.maximum(directions.norm, 1e-300)[:, None]
    slopes = moves.transpose(2, 0, 1)
    return FirstOrder(free.fitted, inverse, slopes, left.swapaxes(0, 1), remainder.T)


def products(a: Array, b: Array) -> FloatArray:
    """Real parts of the inner products `(voxel, m, n)` of rows `(voxel, m, time)`, `(voxel, n,
    time)`.
    """
    return np.asarray((a.conj() @ b.swapaxes(1, 2)).real)


def _inverse(matrices: FloatArray) -> FloatArray:
    """Inverses `(voxel, n, n)`; NaN where a matrix is singular."""
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    scale = np.sqrt(np.maximum(diagonal[:, :, None] * diagonal[:, None, :], 1e-300))
    scaled = matrices / scale
    singular = np.linalg.det(scaled) <= _LEAST_DETERMINANT
    scaled[singular] = np.eye(matrices.shape[1])
    inverse = np.linalg.inv(scaled) / scale
    inverse[singular] = np.nan
    return np.asarray(inverse)
