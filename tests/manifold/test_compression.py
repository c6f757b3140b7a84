"""Bases: what they keep, and the phase that they give to signals."""

import numpy as np
import pytest
from scipy.optimize import nnls

from mrftool.errors import CheckFailedError
from mrftool.manifold.compression import (
    align,
    compress,
    features,
    fit_basis,
    nonnegative_least_squares,
    real_fingerprints,
)
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue


def dictionary(sequence: PulseSequence) -> np.ndarray:
    t1, t2 = (x.ravel() for x in np.meshgrid(np.geomspace(0.1, 4.5, 14), np.geomspace(0.01, 2, 14)))
    return simulate(sequence, Tissue(t1[t2 <= t1], t2[t2 <= t1])).signal


def complex_signals(count: int = 60) -> np.ndarray:
    """A smooth family that turns through all phases over time, so that no common phase makes it
    real.
    """
    rate, time = np.linspace(0.5, 2.5, count)[:, None], np.linspace(0, 1, 50)
    return np.exp(-rate * time) * np.exp(1j * (2 + rate) * time**2)


def test_a_basis_keeps_what_it_promises(short_sequence: PulseSequence) -> None:
    signals = dictionary(short_sequence)
    for tolerance in (1e-1, 1e-2, 1e-3):
        basis = fit_basis(signals, tolerance)
        rebuilt = compress(signals, basis) @ basis.vectors.T
        left_out = np.linalg.norm(rebuilt - signals, axis=1) / np.linalg.norm(signals, axis=1)
        assert left_out.max() == pytest.approx(basis.truncation, rel=1e-3)
        assert basis.truncation <= tolerance
        np.testing.assert_allclose(
            basis.vectors.conj().T @ basis.vectors, np.eye(basis.rank), atol=1e-12
        )
        fewer = fit_basis(signals, tolerance, max_rank=basis.rank - 1)
        assert fewer.truncation > tolerance


def test_real_manifolds_have_real_coefficients(short_sequence: PulseSequence) -> None:
    signals = dictionary(short_sequence)
    basis = fit_basis(signals, 1e-3)
    assert basis.is_real
    np.testing.assert_allclose(compress(signals, basis).imag, 0, atol=1e-6)
    turned = fit_basis(signals * np.exp(0.4j), 1e-3)
    assert turned.is_real
    assert not fit_basis(complex_signals(), 1e-3).is_real


def test_the_reference_stays_away_from_zero() -> None:
    """Signals whose first singular vector is orthogonal to some of them: the plain SVD has a floor
    of 0.
    """
    angle, time = np.linspace(-0.55 * np.pi, 0.55 * np.pi, 61)[:, None], np.arange(40) / 40
    signals = (
        np.cos(angle) * np.cos(np.pi * time)
        + np.sin(angle) * np.sin(3 * np.pi * time)
        + 0.5 * np.cos(5 * time)
    )
    units = signals / np.linalg.norm(signals, axis=1, keepdims=True)
    plain = np.linalg.svd(units)[2][0]
    basis = fit_basis(signals, 1e-3)
    first = (signals @ basis.vectors[:, 0]) / np.linalg.norm(signals, axis=1)
    assert abs(first).min() == pytest.approx(basis.reference_floor, rel=1e-6)
    assert basis.reference_floor > 1.5 * abs(units @ plain).min()


@pytest.mark.parametrize("signals", [complex_signals(), abs(complex_signals())])
def test_alignment_takes_out_scale_and_phase(signals: np.ndarray) -> None:
    basis = fit_basis(signals, 1e-3)
    factor = 7 * np.exp(2.1j) if np.iscomplexobj(signals) else 7
    plain, scaled = (align(compress(x, basis)) for x in (signals, signals * factor))
    np.testing.assert_allclose(scaled, plain, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), 1)
    np.testing.assert_allclose(plain[:, 0].imag, 0, atol=1e-14)
    assert (plain[:, 0].real > 0).all()
    assert not align(np.zeros((1, basis.rank))).any()


def test_features_list_real_parts_then_imaginary_parts() -> None:
    signals = complex_signals()
    basis = fit_basis(signals, 1e-3)
    found = features(signals.astype(np.complex64), basis)
    assert found.shape == (60, 2 * basis.rank)
    assert found.dtype == np.float32
    aligned = align(compress(signals, basis))
    np.testing.assert_allclose(
        found, np.concatenate([aligned.real, aligned.imag], axis=1), atol=1e-6
    )
    of_sizes = fit_basis(abs(signals), 1e-3)
    assert features(abs(signals), of_sizes).shape == (60, of_sizes.rank)


def test_a_full_fingerprint_is_real_where_it_can_be(short_sequence: PulseSequence) -> None:
    signals = dictionary(short_sequence)
    basis = fit_basis(signals, 1e-3)
    found = real_fingerprints(signals * 3 * np.exp(1.3j), basis)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found, real_fingerprints(signals, basis), atol=1e-5)
    sizes = abs(signals)
    of_sizes = real_fingerprints(sizes, fit_basis(sizes, 1e-2))
    np.testing.assert_allclose(
        of_sizes, sizes / np.linalg.norm(sizes, axis=1, keepdims=True), atol=1e-6
    )
    assert not real_fingerprints(np.zeros((2, 40), complex), basis).any()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_signals_that_are_none_are_refused(value: float) -> None:
    signals = complex_signals()
    signals[7] = value
    with pytest.raises(CheckFailedError, match="no signal"):
        fit_basis(signals, 1e-3)


@pytest.mark.parametrize("shape", [(3, 5), (21, 800), (40, 300), (10, 10)])
@pytest.mark.parametrize("of_hull", [False, True])
def test_non_negative_least_squares_are_those_of_scipy(
    shape: tuple[int, int], of_hull: bool
) -> None:
    random = np.random.default_rng(0)
    matrix, wanted = random.normal(size=shape) + 0.3, random.normal(size=shape[0])
    if of_hull:
        matrix[-1], wanted = 1.0, np.eye(shape[0])[-1]
    found = nonnegative_least_squares(matrix, wanted)
    expected = matrix @ nnls(matrix, wanted)[0]
    assert found.min() >= 0
    np.testing.assert_allclose(matrix @ found, expected, atol=1e-12)


def test_no_component_is_positive_where_none_brings_them_nearer() -> None:
    matrix = np.ones((3, 2))
    assert not nonnegative_least_squares(matrix, -np.ones(3)).any()
    assert not nonnegative_least_squares(np.zeros((3, 2)), np.ones(3)).any()
