import numpy as np

from mrftool.scan.draw import drawn, ranks


def test_a_draw_from_some_voxels_begins_as_that_from_all() -> None:
    every = np.arange(5000)
    some = every[np.random.default_rng(1).random(5000) < 0.3]
    order = drawn(every, 5000)
    assert np.array_equal(np.sort(order), every)
    assert np.array_equal(drawn(some, 100), order[np.isin(order, some)][:100])
    assert np.array_equal(drawn(some, 5000), order[np.isin(order, some)])


def test_ranks_are_spread_evenly_and_differ_with_the_seed() -> None:
    every = np.arange(100_000)
    counts = np.histogram(drawn(every, 1000), bins=10, range=(0, 100_000))[0]
    assert counts.min() > 60
    assert counts.max() < 140
    assert len(np.unique(ranks(every))) == 100_000
    assert len(np.intersect1d(drawn(every, 100), drawn(every, 100, seed=7))) < 5
