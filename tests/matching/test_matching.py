import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.matching import clusters
from mrftool.matching import nearest as matching
from mrftool.matching.clusters import build_matcher
from mrftool.matching.dictionary import _sample
from mrftool.matching.nearest import match
from mrftool.tissue import Tissue


def manifold(n: int, seed: int, *, is_complex: bool, rank: int = 8) -> np.ndarray:
    """Points of a smooth surface in `rank` dimensions, like fingerprints of (T1, T2)."""
    u, v = np.random.default_rng(seed).random((2, n, 1))
    a, b, c = np.random.default_rng(99).uniform(-3, 3, (3, rank))
    size = 0.6 ** np.arange(rank)
    points = np.cos(a * u + b * v + c) * size
    return points + 0.5j * np.sin(b * u - a * v) * size if is_complex else points


def noisy(points: np.ndarray, level: float) -> np.ndarray:
    random = np.random.default_rng(5)
    phase = np.exp(2j * np.pi * random.random((len(points), 1)))
    noise = random.standard_normal((*points.shape, 2)).view(complex)[..., 0]
    return 7 * phase * (points + level * noise)


@pytest.mark.parametrize(
    ("is_complex", "is_magnitude"), [(False, False), (True, False), (False, True)]
)
@pytest.mark.parametrize("level", [0.0, 0.01, 1.0])
def test_the_index_is_that_of_a_float64_search_over_all_entries(
    is_complex: bool, is_magnitude: bool, level: float
) -> None:
    entries = manifold(5000, 1, is_complex=is_complex)
    voxels = noisy(manifold(700, 2, is_complex=is_complex), level)
    voxels = voxels.real if is_magnitude else voxels
    unit = entries / np.linalg.norm(entries, axis=1, keepdims=True)
    scores = abs(voxels @ unit.conj().T)
    index, product = match(build_matcher(entries), voxels)
    np.testing.assert_array_equal(index, scores.argmax(axis=1))
    np.testing.assert_allclose(abs(product), scores.max(axis=1), rtol=1e-12)
    np.testing.assert_allclose(
        product, np.einsum("vr,vr->v", unit[index].conj(), voxels), rtol=1e-12
    )


def test_entries_that_float32_cannot_tell_apart_are_settled_in_float64() -> None:
    random = np.random.default_rng(0)
    base = random.standard_normal(6)
    entries = base + 1e-5 * random.standard_normal((600, 6))
    voxels = (base + 1e-5 * random.standard_normal((50, 6))).astype(complex)
    unit = entries / np.linalg.norm(entries, axis=1, keepdims=True)
    scores = abs(voxels @ unit.T)
    index, _ = match(build_matcher(entries), voxels)
    assert np.ptp(scores, axis=1).max() < 1e-8  # a tenth of what float32 resolves
    np.testing.assert_array_equal(index, scores.argmax(axis=1))


def test_the_first_of_equal_entries_counts_in_whatever_cluster_it_lies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clusters, "CLUSTER_SIZE", 7)
    entries = np.tile(manifold(40, 1, is_complex=False), (30, 1))
    entries = entries * np.random.default_rng(0).choice([-1, 1], (len(entries), 1))
    index, _ = match(build_matcher(entries), noisy(entries[:40], 0.01))
    distinct = match(build_matcher(entries[:40]), noisy(entries[:40], 0.01))[0]
    np.testing.assert_array_equal(index, distinct)


def test_tiles_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    matcher, voxels = (
        build_matcher(manifold(900, 1, is_complex=True)),
        noisy(manifold(100, 2, is_complex=True), 0.05),
    )
    whole = match(matcher, voxels)[0]
    monkeypatch.setattr(matching, "TILE", 7)
    monkeypatch.setattr(matching, "_CACHED", 100)
    np.testing.assert_array_equal(match(matcher, voxels)[0], whole)


def test_an_answer_does_not_depend_on_threads_and_other_voxels() -> None:
    matcher, voxels = (
        build_matcher(manifold(900, 1, is_complex=True)),
        noisy(manifold(9000, 2, is_complex=True), 0.05),
    )
    whole = match(matcher, voxels)
    for index, product in (
        match(matcher, voxels, threads=3),
        tuple(x[8990:] for x in match(matcher, voxels)),
    ):
        count = len(index)
        np.testing.assert_array_equal(index, whole[0][-count:])
        np.testing.assert_allclose(product, whole[1][-count:], rtol=1e-12)
    alone = match(matcher, voxels[-1:])
    assert alone[0] == whole[0][-1]
    assert alone[1] == pytest.approx(whole[1][-1], rel=1e-12)


@pytest.mark.parametrize("rank", [1, 10, 60])
@pytest.mark.parametrize("is_complex", [False, True])
def test_float32_is_as_close_to_the_truth_as_the_search_takes_it_to_be(
    rank: int, is_complex: bool
) -> None:
    random = np.random.default_rng(rank)
    rows = random.uniform(0.5, 1, (2, 900, rank, 2)).view(complex)[
        ..., 0
    ]  # of one sign: roundings add up
    entries, voxels = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    entries = (
        entries
        if is_complex
        else entries.real / np.linalg.norm(entries.real, axis=1, keepdims=True)
    )
    search = matching._Search(build_matcher(entries))
    ordered = search.matcher.entries[search.matcher.order]
    for table, exact in ((search.table, ordered), (search.centres, search.matcher.centres)):
        sizes, truth = matching._squares(search._pair(voxels), table), abs(voxels @ exact.conj().T)
        assert abs(sizes - truth**2).max() < search.slack
        assert abs(np.sqrt(sizes) - truth).max() < search.slack
    angle = np.arccos(np.minimum(truth, 1))[:, 0]
    best = np.linspace(0, 1.5, len(angle))
    limit = search._limit(np.cos(best).astype(np.float32) ** 2)[:, 0]
    may_hold = angle <= best + search.matcher.radius[0]
    assert (np.cos(angle)[may_hold] + 2 * search.slack >= limit[may_hold]).all()


def test_voxels_without_signal_have_no_entry() -> None:
    voxels = noisy(manifold(4, 2, is_complex=False), 0)
    voxels[1], voxels[2, 3] = 0, np.nan
    index, product = match(build_matcher(manifold(300, 1, is_complex=False)), voxels)
    assert (index[[1, 2]] == -1).all() and (index[[0, 3]] >= 0).all()
    assert np.isnan(product[[1, 2]]).all()


def test_a_dictionary_with_an_empty_entry_is_refused() -> None:
    entries = manifold(10, 1, is_complex=False)
    entries[3] = 0
    with pytest.raises(InputError, match="zero or not finite"):
        build_matcher(entries)


def test_tissues_of_any_size_can_be_sampled() -> None:
    tissue = Tissue(t1=np.array([1e-300, 1.0, 2.0]), t2=np.array([1e-300, 0.1, 1e-200]))
    assert _sample(tissue).tolist() == [0, 1, 2]
