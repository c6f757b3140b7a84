"""Other ways to match voxels against a dictionary: (entries, voxels) to a call that gives the index
of each voxel.

Entries are rows of norm 1, voxels are rows; both are real float32.
"""

import sys
from unittest.mock import MagicMock

import numpy as np


def blas(entries, voxels, tile=(256, 4096)):
    """Correct matching with matrix products: tiles of voxels against tiles of entries."""
    tables = [
        np.ascontiguousarray(entries[k : k + tile[1]].T) for k in range(0, len(entries), tile[1])
    ]

    def run():
        found = np.empty(len(voxels), int)
        for start in range(0, len(voxels), tile[0]):
            part = voxels[start : start + tile[0]]
            best, index = np.full(len(part), -1, np.float32), np.zeros(len(part), int)
            for k, table in enumerate(tables):
                sizes = part @ table
                np.abs(sizes, out=sizes)
                place = sizes.argmax(axis=1)
                top = sizes[np.arange(len(part)), place]
                better = top > best
                best[better], index[better] = top[better], k * tile[1] + place[better]
            found[start : start + len(part)] = index
        return found

    return run


def torchsim(entries, voxels, groups=None):
    """torchsim's matcher. groups: how many to form; it prunes whole groups, and may miss the best
    entry.
    """
    import torch
    from torchsim.estimators import DictionaryMatcher

    torch.set_num_threads(1)
    matcher = DictionaryMatcher(dictionary=torch.tensor(entries), groups=groups)
    signal = torch.tensor(voxels)

    def run():
        return matcher.match(signal).indices[:, 0].numpy()

    return run


def mrpro(entries, voxels):
    """mrpro's matching operator."""
    for name in (
        "",
        ".transforms",
        ".transforms.functional",
    ):  # does not load beside torch for the CPU
        sys.modules.setdefault("torchvision" + name, MagicMock())
    import torch
    from mrpro.operators import DictionaryMatchOp

    torch.set_num_threads(1)
    rows = torch.tensor(entries)
    operator = DictionaryMatchOp(lambda index: (rows[index].T,), batch_size=256)
    operator.append(torch.arange(len(rows)))
    signal = torch.tensor(np.ascontiguousarray(voxels.T))

    def run():
        return operator(signal)[0].numpy()

    return run
