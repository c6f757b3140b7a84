"""A compressed dictionary sorted into clusters: entries close to each other, around a centre,
within
a known angle.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, IndexArray
from mrftool.errors import InputError

CLUSTER_SIZE = 256  # entries in a cluster, at most


@dataclass(frozen=True, eq=False)
class Matcher:
    """A dictionary, compressed and sorted into clusters.

    entries: unit-norm coefficients `(entry, rank)` complex128 or float64, in the order of the
    dictionary.
    order: entries cluster by cluster `(entry,)`. starts: where each cluster starts in `order`
    `(cluster + 1,)`.
    centres: unit-norm middle of each cluster `(cluster, rank)`. radius: largest angle of its
    entries to it `(cluster,)` [rad].
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
    """Sort compressed fingerprints `(entry, rank)` into clusters. Raises InputError if one is zero
    or
    not finite.
    """
    norms = np.linalg.norm(coefficients, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()) or not len(norms):
        raise InputError("a dictionary entry is zero or not finite, expected a signal in each")
    entries = np.asarray(
        coefficients / norms, np.complex128 if np.iscomplexobj(coefficients) else np.float64
    )
    clusters = list(_split(entries, np.arange(len(entries))))
    centres = np.stack([_centre(entries[cluster]) for cluster in clusters])
    radius = [
        _widest_angle(entries[cluster], centre)
        for cluster, centre in zip(clusters, centres, strict=True)
    ]
    starts = np.cumsum([0, *(len(cluster) for cluster in clusters)])
    return Matcher(entries, np.concatenate(clusters), starts, centres, np.array(radius))


def _split(entries: Array, members: IndexArray) -> Iterator[IndexArray]:
    """Halve along the direction of largest spread until a cluster is small."""
    if len(members) <= CLUSTER_SIZE:
        yield members
        return
    aligned = _aligned(entries[members])
    spread = aligned - aligned.mean(axis=0)
    direction = np.linalg.eigh((spread.conj().T @ spread) / len(spread))[1][:, -1]
    ranking = np.argsort((spread @ direction.conj()).real, kind="stable")
    half = len(members) // 2
    yield from _split(entries, members[ranking[:half]])
    yield from _split(entries, members[ranking[half:]])


def _centre(cluster: Array) -> Array:
    middle = _aligned(cluster).mean(axis=0)
    return np.asarray(middle / np.linalg.norm(middle))


def _aligned(entries: Array) -> Array:
    """Turned by the phase (or sign) that brings each closest to the first."""
    inner = entries @ entries[0].conj()
    return np.asarray(
        entries
        * np.where(abs(inner) > 0, inner.conj() / np.maximum(abs(inner), 1e-300), 1)[:, None]
    )


def _widest_angle(cluster: Array, centre: Array) -> float:
    """Largest angle of an entry to the centre [rad]; not too small, since cosines near 1 hide 1e-8
    of an angle.
    """
    return float(np.arccos(min(abs(cluster @ centre.conj()).min(), 1.0))) + 1e-7
