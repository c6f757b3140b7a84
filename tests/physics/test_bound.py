"""The Cramer-Rao bound against a Fisher matrix built by hand, against the Rice distribution, and
against estimates.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats

from mrftool.design.precision import REFERENCE_NOISE, plane, precision
from mrftool.errors import UsageError
from mrftool.physics.cramer_rao import bound_of_signals, cramer_rao, rician_information
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

TIMES = np.linspace(0.01, 3, 40)
T1, T2, M0, NOISE = 0.9, 0.11, 1.3 * np.exp(0.7j), 0.02


def recovery(t1: np.ndarray, t2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(1 - 2 exp(-t / T1)) exp(-u / T2) with u from 0 to 0.3 s, and its derivatives: a signal
    without an engine.
    """
    t1, t2, u = t1[:, None], t2[:, None], TIMES / 10
    rise, decay = 1 - 2 * np.exp(-TIMES / t1), np.exp(-u / t2)
    by_t1 = -2 * TIMES / t1**2 * np.exp(-TIMES / t1) * decay
    return rise * decay, np.stack([by_t1, rise * decay * u / t2**2])


def bound(form: str = "complex", noise: float = NOISE) -> np.ndarray:
    signal, slopes = recovery(np.array([T1]), np.array([T2]))
    return bound_of_signals(M0 * signal, M0 * slopes, [noise], form=form)[0]


def test_the_bound_is_the_inverse_of_the_whole_information_matrix() -> None:
    signal, (by_t1, by_t2) = (x[..., 0, :] for x in recovery(np.array([T1]), np.array([T2])))
    columns = [M0 * by_t1, M0 * by_t2, signal, 1j * signal]  # T1, T2, real and imaginary part of m0
    jacobian = np.stack([np.concatenate([column.real, column.imag]) for column in columns], axis=1)
    covariance = np.linalg.inv(jacobian.T @ jacobian / NOISE**2)
    np.testing.assert_allclose(bound(), np.sqrt(np.diag(covariance))[:2], rtol=1e-9)


@pytest.mark.slow
def test_the_bound_of_magnitudes_weighs_each_sample_by_its_information() -> None:
    signal, (by_t1, by_t2) = (x[..., 0, :] for x in recovery(np.array([T1]), np.array([T2])))
    sign = np.sign(signal)
    jacobian = np.stack([abs(M0) * sign * by_t1, abs(M0) * sign * by_t2, sign * signal], axis=1)
    weight = [rician(abs(M0) * abs(a) / NOISE) / NOISE**2 for a in signal]
    covariance = np.linalg.inv(jacobian.T @ (np.array(weight)[:, None] * jacobian))
    np.testing.assert_allclose(bound("magnitude"), np.sqrt(np.diag(covariance))[:2], rtol=1e-4)
    assert (bound("magnitude", 0.2) > 1.1 * bound("complex", 0.2)).all()


def rician(amplitude: float) -> float:
    """Information about the amplitude, from the logarithm of scipy's Rice density, noise 1."""

    def integrand(y: float) -> float:
        score = (
            stats.rice.logpdf(y, amplitude + 1e-4) - stats.rice.logpdf(y, amplitude - 1e-4)
        ) / 2e-4
        return float(stats.rice.pdf(y, amplitude) * score**2)

    return float(integrate.quad(integrand, max(amplitude - 9, 1e-9), amplitude + 9, limit=200)[0])


@pytest.mark.parametrize("amplitude", [0.05, 0.3, 1.0, 2.0, 5.0, 12.0, 19.9, 20.1, 60.0])
def test_the_information_of_a_magnitude_is_that_of_the_rice_distribution(amplitude: float) -> None:
    assert rician_information(np.array([amplitude]))[0] == pytest.approx(
        rician(amplitude), rel=2e-4, abs=2e-5
    )


def test_least_squares_reaches_the_bound() -> None:
    """Gauss-Newton from the truth on 4000 noisy signals; their spread is known to 1.1 %."""
    random, n = np.random.default_rng(0), 4000
    signal, _ = recovery(np.array([T1]), np.array([T2]))
    noisy = M0 * signal + NOISE * (
        random.standard_normal((n, 40)) + 1j * random.standard_normal((n, 40))
    )
    t1, t2, m0 = np.full(n, T1), np.full(n, T2), np.full(n, M0)
    for _ in range(4):
        model, slopes = recovery(t1, t2)
        columns = [m0[:, None] * slopes[0], m0[:, None] * slopes[1], model + 0j, 1j * model]
        jacobian = np.stack([np.concatenate([c.real, c.imag], axis=1) for c in columns], axis=2)
        rest = noisy - m0[:, None] * model
        rest = np.concatenate([rest.real, rest.imag], axis=1)
        normal = np.swapaxes(jacobian, 1, 2)
        step = np.linalg.solve(normal @ jacobian, normal @ rest[..., None])[..., 0]
        t1, t2, m0 = t1 + step[:, 0], t2 + step[:, 1], m0 + step[:, 2] + 1j * step[:, 3]
    found = [np.sqrt(np.mean((t1 - T1) ** 2)), np.sqrt(np.mean((t2 - T2) ** 2))]
    np.testing.assert_allclose(found / bound(), 1, atol=0.035)


def test_what_the_signal_does_not_tell_has_no_bound() -> None:
    signal, (by_t1, _) = recovery(np.array([T1]), np.array([T2]))
    without_t2 = bound_of_signals(signal, np.stack([by_t1, 0 * by_t1]), [NOISE])[0]
    assert np.isfinite(without_t2[0])
    assert np.isinf(without_t2[1])
    alike = bound_of_signals(signal, np.stack([by_t1, 3 * by_t1]), [NOISE])[0]
    assert np.isinf(alike).all()
    like_m0 = bound_of_signals(signal, np.stack([by_t1, 2 * signal]), [NOISE])[0]
    assert np.isinf(like_m0[1])


TISSUE = Tissue([0.8, 1.5, 4.0], [0.05, 0.1, 1.5])


def test_noise_is_given_as_snr_or_as_a_level(short_sequence: PulseSequence) -> None:
    at_20 = cramer_rao(short_sequence, TISSUE, 20)
    level = np.sqrt(np.mean(np.abs(simulate(short_sequence, TISSUE).signal) ** 2, axis=1))
    same = cramer_rao(short_sequence, TISSUE, noise_sd=level / 20)
    np.testing.assert_allclose([same.sd_t1, same.sd_t2], [at_20.sd_t1, at_20.sd_t2], rtol=1e-6)
    twice = cramer_rao(short_sequence, TISSUE, [40, 40, 40])
    np.testing.assert_allclose(twice.sd_t1, at_20.sd_t1 / 2, rtol=1e-6)
    brighter = Tissue(TISSUE.t1, TISSUE.t2, m0=3j)
    np.testing.assert_allclose(
        cramer_rao(short_sequence, brighter, noise_sd=level / 20).sd_t2, at_20.sd_t2 / 3, rtol=1e-5
    )
    for options in ({}, {"snr": 20, "noise_sd": 1}, {"snr": 0}, {"noise_sd": [1, 1, -1]}):
        with pytest.raises(UsageError, match="expected"):
            cramer_rao(short_sequence, TISSUE, **options)


def test_efficiency_is_precision_per_root_of_time_at_one_noise(
    short_sequence: PulseSequence,
) -> None:
    found = precision(short_sequence, TISSUE, 20)
    expected = cramer_rao(short_sequence, TISSUE, noise_sd=REFERENCE_NOISE)
    np.testing.assert_allclose(
        found.efficiency[:, 0], TISSUE.t1 / expected.sd_t1 / np.sqrt(0.5), rtol=1e-6
    )
    np.testing.assert_allclose(
        found.efficiency[:, 1], TISSUE.t2 / expected.sd_t2 / np.sqrt(0.5), rtol=1e-6
    )
    np.testing.assert_allclose(
        precision(short_sequence, TISSUE, 5).efficiency, found.efficiency, rtol=1e-6
    )
    np.testing.assert_allclose(
        precision(short_sequence, TISSUE, 5).relative, 4 * found.relative, rtol=1e-6
    )
    magnitude = precision(short_sequence, TISSUE, 20, form="magnitude")
    expected = cramer_rao(short_sequence, TISSUE, noise_sd=REFERENCE_NOISE, form="magnitude")
    np.testing.assert_allclose(
        magnitude.efficiency[:, 0], TISSUE.t1 / expected.sd_t1 / np.sqrt(0.5), rtol=1e-6
    )
    assert (magnitude.relative > found.relative).all()
    for snr in (0, np.inf, np.nan):
        with pytest.raises(UsageError, match="SNR"):
            precision(short_sequence, TISSUE, snr)


def test_progress_counts_every_voxel(short_sequence: PulseSequence) -> None:
    done: list[int] = []
    report: Callable[[int], None] = done.append
    precision(short_sequence, TISSUE, 20, progress=report)
    assert sum(done) == 3


def test_the_plane_fills_what_lies_below_the_diagonal() -> None:
    points = plane((0.1, 5), (0.005, 3), 9)
    t1, t2 = points.t1.reshape(9, 9), points.t2.reshape(9, 9)
    assert (t2 <= t1).all()
    np.testing.assert_allclose(t2[:, 0], 0.005)
    np.testing.assert_allclose(t2[:, -1], np.minimum(t1[:, -1], 3))
    np.testing.assert_allclose(t1[[0, -1], 0], [0.1, 5])
    for ranges in (((0.1, 0.1), (0.01, 1)), ((0.1, 5), (0.2, 3)), ((0.1, 5), (0, 3))):
        with pytest.raises(UsageError, match="expected"):
            plane(*ranges, 5)
