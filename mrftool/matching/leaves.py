"""A compressed dictionary sorted into leaves: entries close to each other, around a centre, within
a known angle.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, IndexArray
from mrftool.errors import InputError

LEAF = 256  # entries in a leaf, at most


@dataclass(frozen=True, eq=False)
class Matcher:
    """A dictionary, compressed and sorted into leaves.

    entries: unit-norm coefficients `(entry, rank)` complex128 or float64, in the order of the
    dictionary.
    order: entries leaf by leaf `(entry,)`. starts: where each leaf starts in `order` `(leaf + 1,)`.
    centres: unit-norm middle of each leaf `(leaf, rank)`. radius: largest angle of its entries to
    it `(leaf,)` [rad].
    """

    entries: Array
    order: IndexArray
    starts: IndexArray
    centres: Array
    radius: Array

    @property
    def is_real(self) -> bool:
        """Whether the entries are real numbers."""
        return not np.iscomplexobj(self.entries)


def build_matcher(coefficients: Array) -> Matcher:
    """Sort compressed fingerprints `(entry, rank)` into leaves. Raises InputError if one is zero or
    not finite.
    """
    norms = np.linalg.norm(coefficients, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()) or not len(norms):
        raise InputError("a dictionary entry is zero or not finite, expected a signal in each")
    entries = np.asarray(
        coefficients / norms, np.complex128 if np.iscomplexobj(coefficients) else np.float64
    )
    leaves = list(_split(entries, np.arange(len(entries))))
    centres = np.stack([_centre(entries[leaf]) for leaf in leaves])
    radius = [
        _widest_angle(entries[leaf], centre) for leaf, centre in zip(leaves, centres, strict=True)
    ]
    starts = np.cumsum([0, *(len(leaf) for leaf in leaves)])
    return Matcher(entries, np.concatenate(leaves), starts, centres, np.array(radius))


def _split(entries: Array, members: IndexArray) -> Iterator[IndexArray]:
    """Halve along the direction of largest spread until a leaf is small."""
    if len(members) <= LEAF:
        yield members
        return
    aligned = _aligned(entries[members])
    spread = aligned - aligned.mean(axis=0)
    direction = np.linalg.eigh((spread.conj().T @ spread) / len(spread))[1][:, -1]
    ranking = np.argsort((spread @ direction.conj()).real, kind="stable")
    half = len(members) // 2
    yield from _split(entries, members[ranking[:half]])
    yield from _split(entries, members[ranking[half:]])


def _centre(leaf: Array) -> Array:
    middle = _aligned(leaf).mean(axis=0)
    return np.asarray(middle / np.linalg.norm(middle))


def _aligned(entries: Array) -> Array:
    """Turned by the phase (or sign) that brings each closest to the first."""
    inner = entries @ entries[0].conj()
    return np.asarray(
        entries
        * np.where(abs(inner) > 0, inner.conj() / np.maximum(abs(inner), 1e-300), 1)[:, None]
    )


def _widest_angle(leaf: Array, centre: Array) -> float:
    """Largest angle of an entry to the centre [rad]; not too small, since cosines near 1 hide 1e-8
    of an angle.
    """
    return float(np.arccos(min(abs(leaf @ centre.conj()).min(), 1.0))) + 1e-7
