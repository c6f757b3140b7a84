"""Dictionary matching, exact: the entry with the largest inner product, found without looking at every entry.

Fingerprints and entries are compressed to a few coefficients (D. F. McGivney et al., IEEE Trans Med Imaging 33:2311,
2014). What is compared is the angle between complex lines, arccos |<entry, fingerprint>|, which is a metric: entries
are gathered in leaves of a known radius, and the triangle inequality rules out whole leaves. What remains is compared in
float32, and what float32 cannot tell apart, in float64: the index is that of a float64 search over all entries.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.errors import InputError

Array = NDArray[Any]
Index = NDArray[np.int64]

LEAF = 256  # entries in a leaf, at most
TILE = 8192  # voxels that are compared at a time
_ROUNDING = 2e-6  # float32 inner products of unit vectors are this close to the truth [1]


@dataclass(frozen=True, eq=False)
class Matcher:
    """A dictionary, compressed and sorted into leaves.

    entries: unit-norm coefficients `(entry, rank)` complex128 or float64, in the order of the dictionary.
    order: entries leaf by leaf `(entry,)`. starts: where each leaf starts in `order` `(leaf + 1,)`.
    centres: unit-norm middle of each leaf `(leaf, rank)`. radius: largest angle of its entries to it `(leaf,)` [rad].
    """

    entries: Array
    order: Index
    starts: Index
    centres: Array
    radius: Array


def build_matcher(coefficients: Array) -> Matcher:
    """Sort compressed fingerprints `(entry, rank)` into leaves. Raises InputError if one is zero or not finite."""
    norms = np.linalg.norm(coefficients, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()) or not len(norms):
        raise InputError("a dictionary entry is zero or not finite, expected a signal in each")
    entries = np.asarray(coefficients / norms, np.complex128 if np.iscomplexobj(coefficients) else np.float64)
    leaves = list(_split(entries, np.arange(len(entries))))
    centres = np.stack([_centre(entries[leaf]) for leaf in leaves])
    radius = [_angle(abs(entries[leaf] @ c.conj()).min()) for leaf, c in zip(leaves, centres, strict=True)]
    starts = np.cumsum([0, *(len(leaf) for leaf in leaves)])
    return Matcher(entries, np.concatenate(leaves), starts, centres, np.array(radius))


def match(matcher: Matcher, coefficients: Array) -> tuple[Index, Array]:
    """Best entry of each compressed fingerprint `(voxel, rank)`: index `(voxel,)` and its inner product `(voxel,)`.

    The inner product is <entry, fingerprint> with the entry of unit norm. Of entries that are equal to the last digit,
    the first counts. A fingerprint that is zero or not finite has index -1.
    """
    index = np.full(len(coefficients), -1, np.int64)
    norms = np.linalg.norm(coefficients, axis=1)
    good = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    search = _Search(matcher)
    for start in range(0, len(good), TILE):
        part = good[start : start + TILE]
        index[part] = search.best(coefficients[part] / norms[part, None])
    product = np.einsum("vr,vr->v", matcher.entries[index].conj(), coefficients)
    return index, np.where(index >= 0, product, np.nan)


class _Search:
    """The matcher's numbers as float32 tables, made once for all tiles."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.table = _as_real(matcher.entries[matcher.order])
        self.centres = _as_real(matcher.centres)
        self.cos, self.sin = np.cos(matcher.radius).astype(np.float32), np.sin(matcher.radius).astype(np.float32)

    def best(self, fingerprints: Array) -> Index:
        """Index of the best entry of each unit-norm fingerprint of a tile."""
        pair = _pair(fingerprints, real_table=self.table.shape[1] == fingerprints.shape[1])
        near = _sizes(pair, self.centres)
        score, slot = np.full(len(near), -1, np.float32), np.zeros(len(near), np.int64)
        doubt = []
        for leaf, voxels in _grouped(near.argmax(axis=1)):
            self._look(leaf, voxels, pair, score, slot)
        keep = near >= score[:, None] * self.cos - np.sqrt(1 - np.minimum(score, 1) ** 2)[:, None] * self.sin - 1e-4
        voxel_of, leaf_of = np.nonzero(keep)
        for leaf, rows in _grouped(leaf_of):
            doubt.append(self._look(leaf, voxel_of[rows], pair, score, slot))
        self._settle(fingerprints, doubt, score, slot)
        return self.matcher.order[slot]

    def _look(self, leaf: int, voxels: Index, pair: Array, score: Array, slot: Array) -> tuple[Index, Index, Array]:
        """Compare voxels with the entries of one leaf; note the best, and return all that come close."""
        start, stop = self.matcher.starts[leaf], self.matcher.starts[leaf + 1]
        sizes = _sizes(pair[:, voxels], self.table[start:stop])
        best = sizes.argmax(axis=1)
        top = sizes[np.arange(len(voxels)), best]
        better = top > score[voxels]
        score[voxels[better]], slot[voxels[better]] = top[better], start + best[better]
        row, entry = np.nonzero(sizes >= (score[voxels] - _ROUNDING)[:, None])
        return voxels[row], start + entry, sizes[row, entry]

    def _settle(self, fingerprints: Array, doubt: list[tuple[Index, Index, Array]], score: Array, slot: Array) -> None:
        """Compare in float64 what float32 cannot tell apart."""
        voxels, slots, sizes = (np.concatenate(parts) for parts in zip(*doubt, strict=True))
        close = sizes >= score[voxels] - _ROUNDING
        voxels, slots = voxels[close], slots[close]
        entries = self.matcher.order[slots]
        exact = abs(np.einsum("cr,cr->c", self.matcher.entries[entries].conj(), fingerprints[voxels]))
        ranking = np.lexsort((entries, -exact, voxels))
        first = np.concatenate([[True], np.diff(voxels[ranking]) > 0])
        chosen = ranking[first]
        slot[voxels[chosen]] = slots[chosen]


def _split(entries: Array, members: Index) -> Iterator[Index]:
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
    return np.asarray(entries * np.where(abs(inner) > 0, inner.conj() / np.maximum(abs(inner), 1e-300), 1)[:, None])


def _angle(size: float) -> float:
    return float(np.arccos(min(size, 1.0)))


def _as_real(vectors: Array) -> Array:
    """Complex `(n, rank)` as float32 `(n, 2 rank)`; real ones as float32."""
    parts = [vectors.real, vectors.imag] if np.iscomplexobj(vectors) else [vectors]
    return np.ascontiguousarray(np.concatenate(parts, axis=1), np.float32)


def _pair(fingerprints: Array, *, real_table: bool) -> Array:
    """Two float32 rows per fingerprint, whose products with a table row are the parts of the inner product."""
    re, im = fingerprints.real, fingerprints.imag
    rows = [re, im] if real_table else [np.concatenate([re, im], axis=1), np.concatenate([im, -re], axis=1)]
    return np.ascontiguousarray(np.stack(rows), np.float32)


def _sizes(pair: Array, table: Array) -> Array:
    """|<entry, fingerprint>| `(voxel, entry)`."""
    first, second = pair[0] @ table.T, pair[1] @ table.T
    return np.asarray(np.sqrt(first * first + second * second))


def _grouped(labels: Index) -> Iterator[tuple[int, Index]]:
    """Each label with the positions that have it."""
    ranking = np.argsort(labels, kind="stable")
    ordered = labels[ranking]
    edges = np.flatnonzero(np.diff(ordered)) + 1
    for rows in np.split(ranking, edges):
        if len(rows):
            yield int(labels[rows[0]]), rows
