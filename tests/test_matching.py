import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.inference import matching
from mrftool.inference.matching import build_matcher, match


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


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("level", [0.0, 0.01, 1.0])
def test_the_index_is_that_of_a_float64_search_over_all_entries(is_complex: bool, level: float) -> None:
    entries = manifold(5000, 1, is_complex=is_complex)
    voxels = noisy(manifold(700, 2, is_complex=is_complex), level)
    unit = entries / np.linalg.norm(entries, axis=1, keepdims=True)
    scores = abs(voxels @ unit.conj().T)
    index, product = match(build_matcher(entries), voxels)
    np.testing.assert_array_equal(index, scores.argmax(axis=1))
    np.testing.assert_allclose(abs(product), scores.max(axis=1), rtol=1e-12)
    np.testing.assert_allclose(product, np.einsum("vr,vr->v", unit[index].conj(), voxels), rtol=1e-12)


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


def test_the_first_of_equal_entries_counts() -> None:
    entries = np.tile(manifold(40, 1, is_complex=False), (30, 1))
    index, _ = match(build_matcher(entries), entries[:40].astype(complex))
    np.testing.assert_array_equal(index, np.arange(40))


def test_tiles_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    matcher, voxels = build_matcher(manifold(900, 1, is_complex=True)), noisy(manifold(100, 2, is_complex=True), 0.05)
    whole = match(matcher, voxels)[0]
    monkeypatch.setattr(matching, "TILE", 7)
    np.testing.assert_array_equal(match(matcher, voxels)[0], whole)


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
