from dataclasses import replace

import numpy as np
import pytest
from kspace_factory import random_basis, short_sequence

from mrftool.errors import MismatchError
from mrftool.grid import Placement
from mrftool.inference.assessment.given_values import with_given_values
from mrftool.inference.coefficients import quantify_coefficients
from mrftool.manifold.tabulate import build_table
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.reconstruction.temporal_basis import temporal_basis
from mrftool.scan.coefficients import CoefficientImages
from mrftool.sequence import Invert
from mrftool.tissue import Tissue

RANK = 6
RANGES = {"t1_range": (0.3, 3.0), "t2_range": (0.03, 0.5)}


@pytest.fixture(scope="module")
def sequence():
    return short_sequence(80)


@pytest.fixture(scope="module")
def table(sequence):
    return build_table(sequence, t1_range=(0.2, 4.0), t2_range=(0.02, 0.8))


@pytest.fixture(scope="module")
def basis(sequence):
    return temporal_basis(sequence, RANK).vectors


def _series(sequence, basis, size=40, covariance=None, noise=0.0, seed=0):
    random = np.random.default_rng(seed)
    t1 = np.exp(random.uniform(np.log(0.5), np.log(2.0), (size, size, 1)))
    t2 = t1 * np.exp(random.uniform(np.log(0.06), np.log(0.2), t1.shape))
    m0 = np.exp(2j * np.pi * random.uniform(size=t1.size))
    signal = simulate(sequence, Tissue(t1.ravel(), t2.ravel(), m0=m0)).signal
    images = signal @ basis.conj()
    if noise:
        drawn = random.normal(size=(*images.shape, 2)) @ [1, 1j]
        images = images + drawn @ np.linalg.cholesky(covariance).T
    shaped = images.reshape(size, size, 1, -1).astype(np.complex64)
    return t1, t2, CoefficientImages(shaped, basis, Placement(np.eye(4)), covariance)


def test_exact_coefficients_give_their_tissue(sequence, table):
    full = table.basis.vectors
    t1, t2, series = _series(sequence, full, size=12)
    maps = quantify_coefficients(series, table, **RANGES)
    np.testing.assert_allclose(maps.t1, t1, rtol=2e-3)
    np.testing.assert_allclose(maps.t2, t2, rtol=2e-3)
    np.testing.assert_allclose(abs(maps.m0), 1, rtol=2e-3)


def test_images_in_another_basis_give_the_same_maps(sequence, table, basis):
    random = np.random.default_rng(1)
    turn = np.linalg.qr(random.normal(size=(RANK, RANK)) + 1j * random.normal(size=(RANK, RANK)))[0]
    first = quantify_coefficients(_series(sequence, basis, 8)[2], table, **RANGES)
    second = quantify_coefficients(_series(sequence, basis @ turn, 8)[2], table, **RANGES)
    np.testing.assert_allclose(second.t1, first.t1, rtol=1e-4)
    np.testing.assert_allclose(second.t2, first.t2, rtol=1e-4)


def test_standard_deviations_hold_for_correlated_noise(sequence, table, basis):
    random = np.random.default_rng(2)
    mixing = random.normal(size=(RANK, RANK)) * np.geomspace(1, 0.3, RANK)
    covariance = 2e-6 * (mixing @ mixing.T + 0.2 * np.eye(RANK))
    t1, t2, series = _series(sequence, basis, 40, covariance, noise=1.0)
    maps = quantify_coefficients(series, table, **RANGES)
    for name, true in (("t1", t1), ("t2", t2)):
        z = (getattr(maps, name) - true) / maps.extra[f"sd_{name}"]
        assert 0.9 < z.std() < 1.05
    assert np.mean((maps.flags & Flag.MISFIT) > 0) < 0.01


def test_whitening_by_the_covariance_lowers_the_error(sequence, table, basis):
    covariance = 1e-6 * np.diag(np.geomspace(30, 0.1, RANK))
    t1, _, series = _series(sequence, basis, 30, covariance, noise=1.0)
    weighted = quantify_coefficients(series, table, **RANGES)
    plain = CoefficientImages(series.images, basis, series.placement)
    equal = quantify_coefficients(plain, table, **RANGES)
    error = [np.sqrt(np.mean((m.t1 / t1 - 1) ** 2)) for m in (weighted, equal)]
    assert error[0] < 0.9 * error[1]


def test_without_covariance_there_are_no_error_bars(sequence, table, basis):
    maps = quantify_coefficients(_series(sequence, basis, 6)[2], table, **RANGES)
    assert "sd_t1" not in maps.extra
    assert not (maps.flags & Flag.MISFIT).any()


def test_a_misfit_is_flagged(sequence, table, basis):
    covariance = 1e-7 * np.eye(RANK)
    _, _, series = _series(sequence, basis, 20, covariance, noise=1.0)
    series.images[3, 4, 0] = series.images[3, 4, 0, ::-1]
    maps = quantify_coefficients(series, table, **RANGES)
    assert maps.flags[3, 4, 0] & Flag.MISFIT
    assert np.mean((maps.flags & Flag.MISFIT) > 0) < 0.02


def test_masked_and_non_finite_voxels(sequence, table, basis):
    _, _, series = _series(sequence, basis, 5)
    series.images[1, 1, 0, 2] = np.nan
    mask = np.ones(series.shape, bool)
    mask[0] = False
    maps = quantify_coefficients(series, table, mask=mask, **RANGES)
    assert (maps.flags[0] == Flag.MASKED).all()
    assert not maps.t1[0].any()
    assert maps.flags[1, 1, 0] == Flag.NON_FINITE
    assert np.isnan(maps.t1[1, 1, 0])


def test_voxels_too_large_to_compute_with_are_non_finite(sequence, table, basis):
    """Here by the covariance of one voxel; the others are as they are without it."""
    covariance = np.tile(1e-4 * np.eye(RANK), (5, 5, 1, 1, 1))
    _, _, series = _series(sequence, basis, 5)
    sound = quantify_coefficients(replace(series, covariance=covariance), table, **RANGES)
    covariance = covariance.copy()
    covariance[1, 1, 0] *= 1e-300
    maps = quantify_coefficients(replace(series, covariance=covariance), table, **RANGES)
    assert maps.flags[1, 1, 0] == Flag.NON_FINITE
    assert np.isnan(maps.t1[1, 1, 0])
    others = np.ones(series.shape, bool)
    others[1, 1, 0] = False
    np.testing.assert_allclose(maps.t1[others], sound.t1[others], rtol=1e-4)


def test_a_basis_of_another_sequence_is_refused(table):
    basis = random_basis(np.random.default_rng(3), 80, RANK)
    images = np.ones((2, 2, 1, RANK), np.complex64)
    series = CoefficientImages(images, basis, Placement(np.eye(4)))
    with pytest.raises(MismatchError, match="same sequence"):
        quantify_coefficients(series, table, **RANGES)


def test_another_sequence_id_is_refused(table, basis):
    images = np.ones((2, 2, 1, RANK), np.complex64)
    series = CoefficientImages(images, basis, Placement(np.eye(4)), sequence_id="other")
    with pytest.raises(MismatchError, match="made with sequence other"):
        quantify_coefficients(series, table, **RANGES)


def test_standard_deviations_are_those_of_noise_whatever_else_the_residual_holds(
    sequence, table, basis
):
    covariance = 1e-6 * np.eye(RANK)
    _, _, series = _series(sequence, basis, 30, covariance, noise=1.0)
    before = quantify_coefficients(series, table, **RANGES)
    random = np.random.default_rng(6)
    further = random.normal(size=(15, 30, 1, RANK, 2)) @ [1, 1j] * np.sqrt(3e-6)
    series.images[:15] += further
    after = quantify_coefficients(series, table, **RANGES)
    disturbed, quiet = np.s_[4:11], np.s_[19:]
    assert np.median(after.extra["local_misfit"][disturbed]) == pytest.approx(4, rel=0.2)
    assert np.median(after.extra["local_misfit"][quiet]) < 1.2
    for name in ("t1", "t2"):
        random_part, systematic, combined = (
            after.extra[f"{kind}_{name}"] for kind in ("sd", "systematic", "combined")
        )
        kept = random_part / before.extra[f"sd_{name}"]
        assert np.median(kept[disturbed]) == pytest.approx(1, abs=0.05)
        np.testing.assert_allclose(combined, np.hypot(random_part, systematic), rtol=1e-5)
        wider = combined / random_part
        np.testing.assert_allclose(wider**2, after.extra["local_misfit"], rtol=1e-4)


def test_neighbours_that_fit_as_badly_do_not_hide_a_misfit(sequence, table, basis):
    covariance = 1e-8 * np.eye(RANK)
    _, _, series = _series(sequence, basis, 20, covariance, noise=1.0)
    series.images[:] += 0.01 * series.images[..., ::-1]
    maps = quantify_coefficients(series, table, **RANGES)
    assert np.mean((maps.flags & Flag.MISFIT) > 0) > 0.9


@pytest.mark.parametrize("value", ["b1", "efficiency"])
def test_an_error_of_a_given_value_is_the_systematic_part_that_is_stated(
    value, sequence, table, basis
):
    size = 0.01
    t1, t2, series = _series(sequence, basis, 20, 1e-10 * np.eye(RANK))
    before = quantify_coefficients(series, table, **RANGES)
    ranges = {"t1": RANGES["t1_range"], "t2": RANGES["t2_range"]}
    stated = with_given_values(before, sequence, ranges, {value: size})
    assert with_given_values(before, sequence, ranges, {}) is before
    tissue, played = Tissue(t1.ravel(), t2.ravel()), sequence
    if value == "b1":
        tissue = replace(tissue, b1=np.full(t1.size, 1 + size))
    else:
        inversion = next(event for event in sequence.events if isinstance(event, Invert))
        weaker = replace(inversion, efficiency=inversion.efficiency - size)
        events = tuple(weaker if event is inversion else event for event in sequence.events)
        played = replace(sequence, events=events)
    images = (simulate(played, tissue).signal @ basis.conj()).reshape(series.images.shape)
    wrong = replace(series, images=images.astype(np.complex64))
    after = quantify_coefficients(wrong, table, **RANGES)
    for name in ("t1", "t2"):
        moved = abs(getattr(after, name) - getattr(before, name))
        ratio = moved / stated.extra[f"systematic_{name}"]
        assert np.median(ratio) == pytest.approx(1, abs=0.1)
        parts = (stated.extra[f"{part}_{name}"] for part in ("sd", "systematic", "combined"))
        random, systematic, combined = parts
        np.testing.assert_allclose(combined, np.hypot(random, systematic), rtol=1e-4)
