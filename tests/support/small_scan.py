"""A scan of few voxels in noise, and maps of it that are equal to rounding."""

import numpy as np

from mrftool.maps import Maps
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from tests.support.rounding import assert_equal_to_rounding

SHAPE = (13, 9, 5)


def random_complex(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.standard_normal(shape) + 1j * random.standard_normal(shape)


def noisy_signal(sequence: PulseSequence) -> np.ndarray:
    """Fingerprints in noise of every voxel of SHAPE, among them an empty one, and one of NaN."""
    random = np.random.default_rng(3)
    count = int(np.prod(SHAPE))
    tissue = Tissue(random.uniform(0.5, 2.0, count), random.uniform(0.03, 0.3, count))
    signal = 800 * np.exp(2j) * simulate(sequence, tissue, threads=1).signal
    signal = signal + 4 * random_complex(random, *signal.shape)
    signal[7], signal[11, 5] = 0, np.nan
    return signal.astype(np.complex64)


def assert_alike(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Equal to rounding in single precision; voxels without a fit hold the same."""
    np.testing.assert_array_equal(found["flags"], expected["flags"])
    fitted = expected["flags"] & int(Flag.MASKED | Flag.NON_FINITE) == 0
    assert fitted.any()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name][~fitted], values[~fitted])
    kept = [{key: image[fitted] for key, image in maps.items()} for maps in (found, expected)]
    assert_equal_to_rounding(*kept)


def assert_same_maps(found: Maps, expected: Maps) -> None:
    assert_alike(columns_of(found), columns_of(expected))


def columns_of(maps: Maps) -> dict[str, np.ndarray]:
    return {name: np.asarray(image) for name, image in maps.images()}
