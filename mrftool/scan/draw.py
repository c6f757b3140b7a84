"""Voxels drawn at random: each has a rank of its own, whatever the others are.

So a draw from some of the voxels begins with the same ones as a draw from more of them: it is known
before it is known which voxels hold an object.
"""

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import IndexArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIXING = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST = np.uint64(31)


def ranks(voxels: IndexArray, seed: int = 0) -> NDArray[np.uint64]:
    """A random number of each flat index `(voxel,)`; no two are the same.

    The bijection of SplitMix64: G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014, doi
    10.1145/2660193.2660195.
    """
    mixed = (voxels.astype(np.uint64) + np.uint64(seed + 1)) * _STEP
    for shift, factor in _MIXING:
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> _LAST
    return mixed


def drawn(voxels: IndexArray, count: int, seed: int = 0) -> IndexArray:
    """The `count` voxels of lowest rank, or all where they are fewer, in the order of their
    ranks.
    """
    keys = ranks(voxels, seed)
    if count < len(voxels):
        lowest = np.argpartition(keys, count)[:count]
        voxels, keys = voxels[lowest], keys[lowest]
    return voxels[np.argsort(keys)]
