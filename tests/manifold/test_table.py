"""Splines against polynomials, and tables against the exact engine at tissue that they were not
made from.
"""

from dataclasses import replace

import numpy as np
import pytest

from mrftool.errors import CheckFailedError, InputError, UsageError
from mrftool.manifold.bspline import Axis, prefilter, slope_weights, value_weights
from mrftool.manifold.compression import compress
from mrftool.manifold.model_errors import probe_vectors
from mrftool.manifold.table import SignalTable, evaluate, evaluate_derivatives, evaluate_features
from mrftool.manifold.tabulate import TRUNCATION, build_table, default_tolerance
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import PulseSequence, SliceProfile, Spoiler
from mrftool.tissue import Tissue

RANGES = {"t1_range": (0.2, 3.0), "t2_range": (0.02, 0.5)}


def random_tissue(
    count: int, b1: tuple[float, float] = (1, 1), seed: int = 5, adc: float = 0.0
) -> Tissue:
    random = np.random.default_rng(seed)
    t1 = np.exp(random.uniform(np.log(0.2), np.log(3.0), 8 * count))
    t2 = np.exp(random.uniform(np.log(0.02), np.log(0.5), 8 * count))
    keep = np.flatnonzero(t2 <= t1)[:count]
    return Tissue(t1[keep], t2[keep], b1=random.uniform(*b1, count), adc=adc)


def with_quadratic_phase(sequence: PulseSequence) -> PulseSequence:
    n = np.arange(len(sequence))
    return replace(sequence, rf_phase=np.deg2rad(117) * n * (n + 1) / 2)


def relative_errors(table: SignalTable, sequence: PulseSequence, tissue: Tissue) -> np.ndarray:
    exact = compress(simulate(sequence, tissue).signal, table.basis)
    found = evaluate(table, table.points(tissue))
    return np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)


def test_splines_reproduce_cubics_and_their_slopes() -> None:
    x_axis, y_axis = Axis.spanning(-1, 2, 7), Axis.spanning(0, 5, 6)

    def cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x**3 - 2 * x + 0.5) * (0.1 * y**3 + y**2 - 3)

    coefficients = prefilter(cubic(x_axis.nodes[:, None], y_axis.nodes[None]), 2)
    assert coefficients.shape == (9, 8)
    random = np.random.default_rng(0)
    x, y = random.uniform(-1, 2, 50), random.uniform(0, 5, 50)
    (i, u), (j, v) = x_axis.locate(x), y_axis.locate(y)
    block = coefficients[
        (i[:, None] + np.arange(4))[:, :, None], (j[:, None] + np.arange(4))[:, None, :]
    ]
    value = np.einsum("nij,ni,nj->n", block, value_weights(u), value_weights(v))
    np.testing.assert_allclose(value, cubic(x, y), atol=1e-12)
    by_x = np.einsum("nij,ni,nj->n", block, slope_weights(u) / x_axis.step, value_weights(v))
    np.testing.assert_allclose(by_x, (3 * x**2 - 2) * (0.1 * y**3 + y**2 - 3), atol=1e-11)


def test_an_axis_holds_what_lies_outside_at_its_ends() -> None:
    axis = Axis.spanning(1, 3, 5)
    cells, u = axis.locate([-4, 1, 3, 9])
    assert cells.tolist() == [0, 0, 3, 3]
    np.testing.assert_allclose(u, [0, 0, 1, 1])


def test_a_table_is_as_accurate_as_it_says(short_sequence: PulseSequence) -> None:
    table = build_table(short_sequence, **RANGES)
    tissue = random_tissue(300)
    assert relative_errors(table, short_sequence, tissue).max() <= default_tolerance(short_sequence)
    assert table.error <= default_tolerance(short_sequence)
    signal = simulate(short_sequence, tissue).signal
    unfolded = evaluate(table, table.points(tissue)) @ table.basis.vectors.T
    left_out = np.linalg.norm(unfolded - signal, axis=1) / np.linalg.norm(signal, axis=1)
    assert left_out.max() <= TRUNCATION + default_tolerance(short_sequence)
    assert table.is_real
    assert table.sequence_id == short_sequence.sequence_id


def test_a_coarser_tolerance_gives_a_smaller_table(short_sequence: PulseSequence) -> None:
    fine, coarse = (build_table(short_sequence, **RANGES, tolerance=x) for x in (2e-5, 1e-3))
    assert coarse.coefficients.size < fine.coefficients.size
    tissue = random_tissue(300)
    assert relative_errors(fine, short_sequence, tissue).max() <= 2e-5
    assert 2e-5 < relative_errors(coarse, short_sequence, tissue).max() <= 1e-3


def test_slopes_are_those_of_the_engine(short_sequence: PulseSequence) -> None:
    """Over one node of the grid, a slope may err by little more than the fingerprint itself."""
    sequence = with_quadratic_phase(short_sequence)
    table, tissue = build_table(sequence, **RANGES), random_tissue(100)
    signal, by_time = signal_and_derivatives(sequence, tissue)
    found = evaluate_derivatives(table, table.points(tissue))
    for k, t in enumerate((tissue.t1, tissue.t2)):
        exact = compress(by_time[k], table.basis) * t[:, None]
        gap = np.linalg.norm(found[:, k + 1] - exact, axis=1) / np.linalg.norm(signal, axis=1)
        assert (gap * table.axes[k].step).max() <= 4 * default_tolerance(sequence)
        assert gap.max() < 0.05 * np.median(np.linalg.norm(exact, axis=1))


def test_arbitrary_phases_make_a_complex_table(short_sequence: PulseSequence) -> None:
    sequence = with_quadratic_phase(short_sequence)
    table = build_table(sequence, **RANGES)
    assert not table.is_real
    assert relative_errors(table, sequence, random_tissue(300)).max() <= default_tolerance(sequence)


def test_balanced_sequences_have_tables(short_sequence: PulseSequence) -> None:
    n = len(short_sequence)
    sequence = replace(
        short_sequence, rf_phase=np.pi * np.arange(n), te=short_sequence.tr / 2, spoiling="none"
    )
    table = build_table(sequence, **RANGES)
    assert table.is_real
    assert relative_errors(table, sequence, random_tissue(300)).max() <= default_tolerance(sequence)


def test_b1_is_a_third_axis(short_sequence: PulseSequence) -> None:
    table = build_table(short_sequence, **RANGES, b1_range=(0.8, 1.2), tolerance=5e-4)
    tissue = random_tissue(200, b1=(0.8, 1.2))
    signal, by_b1 = signal_and_derivatives(short_sequence, tissue, with_respect_to=("b1",))
    of_b1_error = 1e-3 * np.linalg.norm(by_b1[0], axis=1) / np.linalg.norm(signal, axis=1)
    assert (relative_errors(table, short_sequence, tissue) <= np.maximum(5e-4, of_b1_error)).all()
    near = [table.points(Tissue([1.0], [0.1], b1=1.05 + d)) for d in (1e-4, -1e-4, 0)]
    ahead, behind = (evaluate(table, points) for points in near[:2])
    by_b1 = evaluate_derivatives(table, near[2], by_given=True)[:, 3]
    np.testing.assert_allclose(by_b1, (ahead - behind) / 2e-4, atol=1e-5 * abs(by_b1).max())
    with pytest.raises(UsageError, match="B1"):
        evaluate(table, near[2][:, :2])
    with pytest.raises(UsageError, match="T1, T2"):
        evaluate(build_table(short_sequence, **RANGES, tolerance=1e-2), near[2])


def test_diffusion_and_slice_profile_are_in_the_table(short_sequence: PulseSequence) -> None:
    spoiled = replace(short_sequence, spoiler=Spoiler(np.array([0.02]), np.array([0.006])))
    profile = SliceProfile(np.array([0.4, 0.8, 1.0]), np.array([0.2, 0.3, 0.5]))
    for sequence, adc in ((spoiled, 2e-9), (replace(short_sequence, slice_profile=profile), 0.0)):
        table = build_table(sequence, **RANGES, adc=adc, tolerance=1e-3)
        assert relative_errors(table, sequence, random_tissue(200, adc=adc)).max() <= 1e-3
        plain = build_table(short_sequence, **RANGES, tolerance=1e-3)
        assert relative_errors(plain, sequence, random_tissue(200, adc=adc)).max() > 0.01


def test_features_of_magnitudes_follow_the_engine(short_sequence: PulseSequence) -> None:
    sequence = with_quadratic_phase(short_sequence)
    table, tissue = build_table(sequence, **RANGES, form="magnitude"), random_tissue(100)
    assert table.magnitude_basis is table.feature_basis
    signal, by_time = signal_and_derivatives(sequence, tissue)
    size = np.abs(signal).astype(np.float64)
    found = evaluate_features(table, table.points(tissue))
    gap = np.linalg.norm(
        found[:, 0] - compress(size, table.feature_basis), axis=1
    ) / np.linalg.norm(size, axis=1)
    assert gap.max() <= 3 * default_tolerance(sequence)
    by_t1 = (
        compress((signal.conj() * by_time[0]).real / size, table.feature_basis) * tissue.t1[:, None]
    )
    assert (
        np.linalg.norm(found[:, 1] - by_t1, axis=1) <= 0.02 * np.linalg.norm(by_t1, axis=1)
    ).all()


def test_wrong_b1_shows_in_the_probes_more_than_elsewhere_outside(
    short_sequence: PulseSequence,
) -> None:
    table = build_table(short_sequence, **RANGES)
    probes = probe_vectors(short_sequence, table)
    both = np.concatenate([table.basis.vectors, probes], axis=1)
    np.testing.assert_allclose(both.conj().T @ both, np.eye(both.shape[1]), atol=1e-9)
    right, tissue = random_tissue(50), random_tissue(50, b1=(0.75, 0.75), seed=9)
    for sample, least, most in ((right, 0, 1e-5), (tissue, 0.5, 1)):
        signal = simulate(short_sequence, sample).signal
        outside = signal - compress(signal, table.basis) @ table.basis.vectors.T
        probed = np.linalg.norm(outside @ probes.conj()) ** 2
        compared = np.linalg.norm(outside) ** 2 if least else np.linalg.norm(signal) ** 2
        assert least <= probed / compared <= most


@pytest.mark.parametrize(
    "ranges",
    [
        {"t1_range": (3.0, 0.2), "t2_range": (0.02, 0.5)},
        {"t1_range": (0.2, 3.0), "t2_range": (0.0, 0.5)},
        {"t1_range": (0.2, 3.0), "t2_range": (4.0, 5.0)},
        {**RANGES, "b1_range": (1.2, 0.8)},
        {**RANGES, "b1_range": (0.8, np.nan)},
        {**RANGES, "b1_range": (-0.2, 1.2)},
        {"t1_range": (0.2, 3.0)},
    ],
)
def test_invalid_ranges_are_refused(
    short_sequence: PulseSequence, ranges: dict[str, tuple[float, float]]
) -> None:
    with pytest.raises(UsageError, match="expected"):
        build_table(short_sequence, **ranges)


def test_too_few_repetitions_are_refused(short_sequence: PulseSequence) -> None:
    columns = {
        key: getattr(short_sequence, key)[:4] for key in ("flip_angle", "rf_phase", "tr", "te")
    }
    with pytest.raises(InputError, match="4 repetitions, expected at least 5"):
        build_table(replace(short_sequence, **columns), **RANGES)


def test_an_accuracy_out_of_reach_is_refused(short_sequence: PulseSequence) -> None:
    with pytest.raises(CheckFailedError, match="nodes, expected at most"):
        build_table(short_sequence, **RANGES, tolerance=1e-14)
