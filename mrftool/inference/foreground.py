"""Which voxels hold a fingerprint, and which nothing but noise: the air around a head.

A voxel is empty when the fit explains no more of it than it would explain of noise, and when it
holds no more energy than the noise of voxels that fit. A fingerprint of another sequence fits as
badly as noise, but is as strong as its neighbours: it is no air. The tests are made for white
noise; slow noise and artefacts exceed them, and those voxels stay.
"""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.manifold.parameters import FITTED
from mrftool.maps import Maps
from mrftool.physics.noise import largest_noise_ratio
from mrftool.quantities import FLAGS, Flag

FALSE_ALARM = 1e-3  # of each test
_SEARCHED = 1e4  # independent fingerprints that a search can choose among, generously
_PARTS_OF_M0 = 2
_LEAST_NEIGHBOURS = 5  # of a voxel that its neighbours decide on
_EXPLAINED = 0.5  # of its energy, from which a voxel tells the energy of noise and of signal
_MOST_NOISE = 2.0  # energy of air over that of noise elsewhere: images can amplify noise in places
_LEAST_SIGNAL = 0.1  # energy of a dim voxel over that of a typical one


def detection_limit() -> float:
    """Least energy that a fit explains of a complex signal that is no noise, over the noise's
    variance in each channel [1].
    """
    return float(2 * np.log(_SEARCHED / FALSE_ALARM))


def noise_ratio_limit(n_time: int, coils: int = 1) -> float:
    """Largest ratio of mean and standard deviation that `n_time` magnitudes of pure noise have, but
    for false alarms.
    """
    return largest_noise_ratio(n_time, FALSE_ALARM, coils)


def energy_of(signal: Array) -> FloatArray:
    """Sum of squares of each row of `signal` `(voxel, time)`, complex64 or float32, without a copy
    [scanner's unit, squared].
    """
    rows = signal.view(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        return (rows[:, None] @ rows[:, :, None])[:, 0, 0].astype(np.float64)


def without_air(maps: Maps, energy: FloatArray, n_time: int, coils: int = 1) -> Maps:
    """The maps with voxels that hold nothing but noise masked, and the number of those that the fit
    explains as little of, though they hold signal.

    Parameters
    ----------
    maps
        With the map `residual`; those of a model flag what is no fingerprint.
    energy
        Sum of squares of the signal of each voxel `(x, y, z)` [scanner's unit, squared].
    n_time
        Number of frames.
    coils
        Whose root sum of squares the magnitudes are.
    """
    empty = maps.flags & int(Flag.MASKED) > 0
    finite = maps.flags & int(Flag.NON_FINITE) == 0
    unexplained = _is_noise(maps, n_time, coils) & ~empty & finite
    noise = unexplained & (energy <= _largest_noise(maps, energy, ~unexplained & ~empty, coils))
    air = noise
    if f"sd_{FITTED[0].name}" in maps.extra:  # made by a model, which has tests of its own
        air = noise & (maps.flags & int(Flag.MISFIT) > 0)
        air |= noise & _is_surrounded(air | empty)
    maps = replace(maps, n_unexplained=int((unexplained & ~noise).sum()))
    count = int(air.sum())
    if not count:
        return maps
    images: dict[str, Any] = {name: _emptied(image, air) for name, image in maps.images()}
    flags = np.where(air, np.uint8(Flag.MASKED), images.pop("flags"))
    first = {name: images.pop(name) for name in ("t1", "t2", "m0")}
    sentence = (
        f"{count} voxels hold nothing but noise: taken as air and left empty "
        f"({FLAGS[Flag.MASKED].text})"
    )
    return replace(
        maps, **first, flags=flags, extra=images, assumptions=(*maps.assumptions, sentence)
    )


def _largest_noise(maps: Maps, energy: FloatArray, usable: BoolArray, coils: int) -> float:
    """Largest energy of a voxel of air, told from voxels that fit [scanner's unit, squared]; less
    than any where none does.
    """
    left = np.square(maps.extra["residual"].astype(np.float64))
    fits = usable & (left < 1 - _EXPLAINED) & (maps.flags & int(Flag.MISFIT) == 0)
    if not fits.any():
        return -1.0
    noise = float(np.median(energy[fits] * left[fits]))
    if not np.iscomplexobj(maps.m0):
        noise *= 2 * coils  # in air; only the channel along the signal is left elsewhere
    return max(_MOST_NOISE * noise, _LEAST_SIGNAL * float(np.median(energy[fits])))


def _is_noise(maps: Maps, n_time: int, coils: int) -> BoolArray:
    """Voxels of which the fit explains no more than of noise `(x, y, z)`."""
    residual = np.square(maps.extra["residual"].astype(np.float64))
    if not np.iscomplexobj(maps.m0):
        left = residual * n_time / (n_time - len(FITTED) - 1)
        return np.asarray(left * (1 + noise_ratio_limit(n_time, coils) ** 2) > 1)
    degrees = 2 * n_time - len(FITTED) - _PARTS_OF_M0
    return np.asarray((1 - residual) * degrees < detection_limit() * residual)


def _is_surrounded(air: BoolArray) -> BoolArray:
    """Voxels `(x, y, z)` with enough neighbours in their slice, all of them air."""
    size_x, size_y, _ = air.shape
    inside = np.pad(np.ones(air.shape, np.int8), ((1, 1), (1, 1), (0, 0)))
    others = np.pad((~air).astype(np.int8), ((1, 1), (1, 1), (0, 0)))
    n_neighbours, n_others = np.zeros(air.shape, int), np.zeros(air.shape, int)
    for x, y in product(range(3), range(3)):
        if (x, y) != (1, 1):
            n_neighbours += inside[x : x + size_x, y : y + size_y]
            n_others += others[x : x + size_x, y : y + size_y]
    return np.asarray((n_neighbours >= _LEAST_NEIGHBOURS) & (n_others == 0))


def _emptied(image: Array, air: BoolArray) -> Array:
    return np.where(air, image.dtype.type(0), image)
