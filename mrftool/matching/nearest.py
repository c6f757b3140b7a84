"""Dictionary matching, exact: the entry with the largest inner product, found without looking at
every entry.

Fingerprints and entries are compressed to a few coefficients (D. F. McGivney et al., IEEE Trans Med
Imaging 33:2311, 2014). What is compared is the angle between complex lines, arccos |<entry,
fingerprint>|, which is a metric: entries are gathered in clusters of a known radius, and the
triangle inequality rules out whole clusters. What remains is compared in float32, and what float32
cannot tell
apart, in float64: the index is that of a float64 search over all entries.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from mrftool.arrays import Array, IndexArray
from mrftool.environment.threads import one_blas_thread
from mrftool.matching.clusters import Matcher

TILE = 4096  # voxels that are compared at a time
_CACHED = 1 << 16  # inner products that are compared at a time: they stay in the cache of one core
_UNIT = 2.0**-24  # relative rounding of float32


def match(matcher: Matcher, coefficients: Array, *, threads: int = 1) -> tuple[IndexArray, Array]:
    """Best entry of each compressed fingerprint `(voxel, rank)`: index `(voxel,)` and its inner
    product `(voxel,)`.

    The inner product is <entry, fingerprint> with the entry of unit norm. Of entries that are equal
    to the last digit, the first counts. A fingerprint that is zero or not finite has index -1.
    Faster for many voxels at a time.
    """
    coefficients = np.asarray(coefficients, np.result_type(coefficients, np.float64))
    norms = np.linalg.norm(coefficients, axis=1)
    good = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    units = coefficients[good] / norms[good, None]
    search, found = _Search(matcher), np.empty(len(good), np.int64)

    def settle(part: IndexArray) -> None:
        found[part] = search.best(units[part])

    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        near = np.concatenate(
            [np.zeros(0, np.int64), *pool.map(search.nearest_cluster, _tiles(units))]
        )
        # voxels of one cluster together: few clusters for each tile, and many voxels for each
        # cluster
        list(pool.map(settle, _tiles(np.argsort(near, kind="stable"))))
    index = np.full(len(coefficients), -1, np.int64)
    index[good] = found
    product = np.einsum("vr,vr->v", matcher.entries[index].conj(), coefficients)
    return index, np.where(index >= 0, product, np.nan)


class _Search:
    """The matcher's numbers as float32 tables, made once for all tiles.

    Rounding: let u = 2^-24, and let rows have k numbers. The float32 inner product of two rows of
    norm 1, themselves rounded to float32, is off by at most (k + 2) u to first order, in whatever
    order it is summed (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 2002,
    section 3.1). A size |<entry, fingerprint>| has two
    such parts: it is off by at most sqrt(2) (k + 2) u, its square by twice that, and by 3 u more
    from squaring and adding. `slack` = 3 (k + 4) u is more than either.
    """

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.table = _as_columns(matcher.entries[matcher.order])
        self.centres = _as_columns(matcher.centres)
        self.slack = 3 * (len(self.table) + 4) * _UNIT
        self.turns = np.stack([np.cos(matcher.radius), -np.sin(matcher.radius)]).astype(np.float32)

    def nearest_cluster(self, fingerprints: Array) -> IndexArray:
        """The cluster whose centre is nearest to each unit-norm fingerprint of a tile, up to
        rounding.
        """
        pair, step = self._pair(fingerprints), max(_CACHED // len(self.matcher.radius), 8)
        parts = (pair[:, start : start + step] for start in range(0, pair.shape[1], step))
        return np.concatenate([_squares(part, self.centres).argmax(axis=1) for part in parts])

    def best(self, fingerprints: Array) -> IndexArray:
        """Index of the best entry of each unit-norm fingerprint of a tile."""
        pair, found = self._pair(fingerprints), _Found.none(len(fingerprints))
        near = _squares(pair, self.centres)
        nearest = near.argmax(axis=1)
        for cluster in np.unique(nearest):
            self._look(int(cluster), np.flatnonzero(nearest == cluster), pair, found)
        keep = np.sqrt(near) + 2 * self.slack >= self._limit(found.score)
        keep[np.arange(len(keep)), nearest] = False
        for cluster in np.flatnonzero(keep.any(axis=0)):
            self._look(int(cluster), np.flatnonzero(keep[:, cluster]), pair, found)
        self._settle(fingerprints, found)
        return self.matcher.order[found.slot]

    def _limit(self, score: Array) -> Array:
        """Smallest cosine `(voxel, cluster)` of the angle to a cluster's centre at which the
        cluster may
        hold the best entry.

        The best entry is at an angle of at most a, that of the best so far, and so at most at a +
        radius from its cluster's centre. `slack` makes a larger than it can be; one more covers the
        rounding of this cosine, and another that of the cosine it is compared with.
        """
        least = np.maximum(score - self.slack, 0)
        return np.asarray(np.stack([np.sqrt(least), np.sqrt(1 - least)], axis=1) @ self.turns)

    def _look(self, cluster: int, voxels: IndexArray, pair: Array, found: "_Found") -> None:
        """Compare voxels with the entries of one cluster."""
        start, stop = self.matcher.starts[cluster], self.matcher.starts[cluster + 1]
        step = max(_CACHED // int(stop - start), 8)
        for first in range(0, len(voxels), step):
            part = voxels[first : first + step]
            found.update(
                part, start, _squares(pair[:, part], self.table[:, start:stop]), 2 * self.slack
            )

    def _settle(self, fingerprints: Array, found: "_Found") -> None:
        """Compare in float64 what float32 cannot tell apart."""
        voxels, slots = found.rivals(2 * self.slack)
        entries = self.matcher.order[slots]
        exact = abs(
            np.einsum("cr,cr->c", self.matcher.entries[entries].conj(), fingerprints[voxels])
        )
        ranking = np.lexsort((entries, -exact, voxels))
        chosen = ranking[np.diff(voxels[ranking], prepend=-1) > 0]
        found.slot[voxels[chosen]] = slots[chosen]

    def _pair(self, fingerprints: Array) -> Array:
        """Float32 rows `(part, voxel, k)`: their products with a column of a table are parts of the
        inner product.
        """
        re, im = fingerprints.real, fingerprints.imag
        if not self.matcher.is_real:
            return np.stack(
                [np.concatenate([re, im], axis=1), np.concatenate([im, -re], axis=1)]
            ).astype(np.float32)
        return np.stack([re, im] if np.iscomplexobj(fingerprints) else [re]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Found:
    """What is known of the voxels of a tile so far.

    score: largest squared size `(voxel,)`. slot: where in the matcher's order `(voxel,)`.
    close: (voxels, slots, squared sizes) that came close to the best at the time.
    """

    score: Array
    slot: IndexArray
    close: list[tuple[IndexArray, IndexArray, Array]] = field(default_factory=list)

    @staticmethod
    def none(count: int) -> "_Found":
        return _Found(np.full(count, -1, np.float32), np.zeros(count, np.int64))

    def update(self, voxels: IndexArray, start: int, sizes: Array, margin: float) -> None:
        """Take in the squared `sizes` `(voxel, entry)` of the entries from slot `start`."""
        best = sizes.argmax(axis=1)
        top, before = sizes[np.arange(len(voxels)), best], self.score[voxels]
        better = top > before
        self.score[voxels[better]], self.slot[voxels[better]] = top[better], start + best[better]
        rows = np.flatnonzero(top >= before - margin)
        contending = sizes[rows]
        row, entry = np.nonzero(contending >= np.maximum(top, before)[rows, None] - margin)
        self.close.append((voxels[rows[row]], start + entry, contending[row, entry]))

    def rivals(self, margin: float) -> tuple[IndexArray, IndexArray]:
        """(voxels, slots) within `margin` of the best, of those voxels that have more than one."""
        voxels, slots, sizes = (np.concatenate(parts) for parts in zip(*self.close, strict=True))
        near = sizes >= self.score[voxels] - margin
        near[near] = np.bincount(voxels[near])[voxels[near]] > 1
        return voxels[near], slots[near]


def _tiles(rows: Array) -> Iterator[Array]:
    return (rows[start : start + TILE] for start in range(0, len(rows), TILE))


def _as_columns(vectors: Array) -> Array:
    """Complex `(n, rank)` as float32 `(2 rank, n)`; real ones as `(rank, n)`."""
    parts = [vectors.real, vectors.imag] if np.iscomplexobj(vectors) else [vectors]
    return np.ascontiguousarray(np.concatenate(parts, axis=1).T, np.float32)


def _squares(pair: Array, table: Array) -> Array:
    """|<entry, fingerprint>|^2 `(voxel, entry)`."""
    parts = pair @ table
    parts *= parts
    if len(parts) == 2:
        parts[0] += parts[1]
    return np.asarray(parts[0])
