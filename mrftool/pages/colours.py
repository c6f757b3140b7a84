"""Colour maps as tables of 256 RGB rows, and images in these colours.

T1 is shown in "lipari" and T2 in "navia", both with a logarithm-processed scale, as recommended by
M. Fuderer et al., Magn Reson Med 93:490 (2025), doi 10.1002/mrm.30290. The two maps are by F.
Crameri (Scientific colour maps, MIT licence, doi 10.5281/zenodo.1243862); they are restated by 33
of their 256 colours, and linear interpolation between these differs from the originals by less than
one part in 255. So are "coolwarm" by K. Moreland (Proc. ISVC 2009, 92, doi
10.1007/978-3-642-10520-3_9), to one part, and "cividis" by J. R. Nuñez et al., PLoS ONE 13:e0199239
(2018), by 86 colours to three parts.
"""

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import BoolArray, FloatArray
from mrftool.quantities import FLAGS, ColourMap, Flag

GREY = FLAGS[Flag.NON_FINITE].colour  # of voxels that are not a number
_LIPARI = (
    "031326 061d35 092844 0e3353 183e61 25486d 365176 45587a 525b7a 5c5d79 655e77 "
    "6e5f75 785f72 826070 8d616d 98616a a56267 b06364 be6561 cb685f d86e5e e27760 "
    "e88265 ea8e6c e99973 e7a37a e5ad82 e5b88c e7c398 ebcfa7 f0dbb7 f6e8c9 fdf5da"
)
_NAVIA = (
    "031327 051c36 052546 062f56 073966 0a4374 0e4d81 14578a 1b608f 206891 266f90 "
    "2a748e 2f798b 337d89 378186 3c8683 418a80 468f7d 4c947a 529a76 59a072 62a86e "
    "6bb06a 78b968 87c269 9acc70 aed57d c1dc8d d1e39f dfe8b0 eaedbf f4f1cd fcf4d9"
)
_CIVIDIS = (
    "00224e 002553 002758 00295d 002b62 002d68 002f6d 003170 053371 0f3570 163770 "
    "1c396f 213b6e 263d6e 2a3f6d 2e416d 32436d 35456c 39486c 3c4a6c 3f4c6c 424e6c "
    "45506c 48526c 4b546c 4e566c 51586d 545a6d 565c6d 595e6e 5c616e 5e636f 61656f "
    "646770 666970 696b71 6c6d72 6e6f73 717274 737475 767676 787877 7b7a78 7e7c78 "
    "807f78 838179 868379 898578 8c8878 8f8a78 928c78 948e77 979177 9a9376 9d9576 "
    "a09875 a39a74 a69c74 a99f73 aca172 afa471 b3a670 b6a96f b9ab6d bcae6c bfb06b "
    "c2b369 c5b568 c8b866 ccba64 cfbd62 d2c060 d5c25e d9c55c dcc859 dfca57 e2cd54 "
    "e6d051 e9d34e edd54a f0d846 f3db42 f7de3e fbe138 fee434 fee838"
)
_COOLWARM = (
    "3b4cc0 445acc 4e68d8 5875e1 6282ea 6c8ff1 779af7 82a6fb 8db0fe 98b9ff a3c2fe "
    "aec9fc b9d0f9 c3d5f4 ccd9ed d5dbe5 dddcdc e4d9d2 ebd3c6 f1cdba f4c5ad f7bca1 "
    "f7b194 f7a688 f49a7b f18d6f ec7f63 e57058 de614d d55042 cb3e38 c0282f b40426"
)
_ANCHORS: dict[ColourMap, str] = {
    "lipari": _LIPARI,
    "navia": _NAVIA,
    "cividis": _CIVIDIS,
    "coolwarm": _COOLWARM,
    "grey": "000000 ffffff",
}
_LOG_PROCESSED = ("lipari", "navia")


def colour_table(name: ColourMap) -> FloatArray:
    """The table `(256, 3)` of a colour map; "lipari" and "navia" are logarithm-processed."""
    table = _from_anchors(_ANCHORS[name])
    if name in _LOG_PROCESSED:
        return log_processed(table)
    return table


def lipari() -> FloatArray:
    """For T1."""
    return _from_anchors(_LIPARI)


def navia() -> FloatArray:
    """For T2."""
    return _from_anchors(_NAVIA)


def log_processed(table: FloatArray) -> FloatArray:
    """The table for a window that starts at 0, on a scale that is linear up to 1/e of the window,
    logarithmic above,
    and smooth where they meet: f(g) = e g / 2, then (2 + ln g) / 2. Fuderer et al. 2025.

    The first colour is black: it stands for what is no value.
    """
    share = np.linspace(0, 1, len(table))
    curve = np.where(
        share < 1 / np.e, np.e * share / 2, 1 + np.log(np.maximum(share, 1 / np.e)) / 2
    )
    processed = _interpolated(table, curve)
    processed[0] = 0
    return processed


def coloured(
    image: NDArray[np.floating],
    table: FloatArray,
    window: tuple[float, float],
    masked: BoolArray,
) -> FloatArray:
    """The image in colours: values outside the window take its ends, NaN is grey, masked voxels are
    black.
    """
    low, high = window
    share = (np.clip(np.nan_to_num(image), low, high) - low) / (high - low)
    index = np.minimum(share * len(table), len(table) - 1).astype(int)
    picture = np.array(table[index], np.float64)
    picture[np.isnan(image)] = GREY
    picture[masked] = 0
    return picture


def _from_anchors(text: str) -> FloatArray:
    anchors = np.array(
        [[int(word[i : i + 2], 16) / 255 for i in (0, 2, 4)] for word in text.split()]
    )
    positions = np.rint(np.linspace(0, 255, len(anchors))) / 255
    share = np.arange(256) / 255
    return np.stack([np.interp(share, positions, channel) for channel in anchors.T], axis=1)


def _interpolated(table: FloatArray, share: FloatArray) -> FloatArray:
    positions = np.linspace(0, 1, len(table))
    return np.stack([np.interp(share, positions, channel) for channel in table.T], axis=1)
