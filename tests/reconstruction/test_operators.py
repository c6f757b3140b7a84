import numpy as np
import pytest
from kspace_factory import (
    encoding_matrix,
    random_basis,
    random_images,
    random_kspace,
    random_trajectory,
)

from mrftool.errors import CheckFailedError
from mrftool.reconstruction.conjugate_gradient import conjugate_gradient
from mrftool.reconstruction.encoding.adjoint import adjoint, adjoint_noise
from mrftool.reconstruction.encoding.off_resonance import segments_needed, time_segments
from mrftool.reconstruction.encoding.toeplitz import (
    NormalOperator,
    gram_matrices,
    normal_operator,
    toeplitz_kernel,
)
from mrftool.scan.kspace import Trajectory

MATRIX = (9, 8)


def _scan(is_complex=False, seed=0):
    random = np.random.default_rng(seed)
    trajectory = random_trajectory(random)
    kspace = random_kspace(random, trajectory, MATRIX)
    basis = random_basis(random, 12, 3, is_complex)
    coils = random_images(random, (2, *MATRIX))
    return random, kspace, basis, coils


def _operator(kspace, basis, coils, segments=None):
    trajectory = kspace.trajectory
    grams = gram_matrices(basis, kspace.arm, kspace.repetition, trajectory.n_arms)
    kernel = toeplitz_kernel(trajectory, grams, MATRIX, segments)
    return NormalOperator(kernel, coils, None if segments is None else segments.phases)


def _relative(found, expected):
    return np.linalg.norm(np.ravel(found) - np.ravel(expected)) / np.linalg.norm(expected)


@pytest.mark.parametrize("is_complex", [False, True])
def test_normal_operator_equals_the_dense_matrix(is_complex):
    random, kspace, basis, coils = _scan(is_complex)
    dense = encoding_matrix(kspace, basis, coils)
    images = random_images(random, (3, *MATRIX))
    expected = dense.conj().T @ (dense @ images.ravel())
    assert _relative(_operator(kspace, basis, coils)(images), expected) < 1e-5


@pytest.mark.parametrize(("seen", "threads"), [((3, 8, 2, 5), 1), ((0, 1, 4, 9), 3), (None, 5)])
def test_normal_operator_works_on_the_part_that_coils_see(seen, threads):
    random, kspace, basis, coils = _scan()
    if seen is not None:
        part = np.zeros(MATRIX, bool)
        part[seen[0] : seen[1], seen[2] : seen[3]] = True
        coils = coils * part
    dense = encoding_matrix(kspace, basis, coils)
    images = random_images(random, (3, *MATRIX))
    trajectory = kspace.trajectory
    grams = gram_matrices(basis, kspace.arm, kspace.repetition, trajectory.n_arms)
    found = normal_operator(trajectory, grams, coils, threads=threads)(images)
    assert _relative(found, dense.conj().T @ (dense @ images.ravel())) < 1e-5


@pytest.mark.parametrize("is_complex", [False, True])
def test_adjoint_equals_the_dense_matrix(is_complex):
    _, kspace, basis, coils = _scan(is_complex)
    dense = encoding_matrix(kspace, basis, coils)
    expected = dense.conj().T @ kspace.samples.ravel()
    assert _relative(adjoint(kspace, basis, coils), expected) < 1e-4


def test_off_resonance_equals_the_dense_matrix():
    random, kspace, basis, coils = _scan()
    field = random.uniform(-60, 40, MATRIX)
    sample_time = kspace.trajectory.sample_time
    segments = time_segments(field, sample_time, segments_needed(field, sample_time, 1e-4))
    dense = encoding_matrix(kspace, basis, coils, field)
    expected = dense.conj().T @ kspace.samples.ravel()
    assert _relative(adjoint(kspace, basis, coils, segments), expected) < 1e-3
    images = random_images(random, (3, *MATRIX))
    expected = dense.conj().T @ (dense @ images.ravel())
    assert _relative(_operator(kspace, basis, coils, segments)(images), expected) < 1e-3


def test_kernel_of_a_real_basis_is_real():
    _, kspace, basis, _ = _scan()
    grams = gram_matrices(basis, kspace.arm, kspace.repetition, kspace.trajectory.n_arms)
    assert toeplitz_kernel(kspace.trajectory, grams, MATRIX).dtype == np.float32


def test_samples_outside_the_square_do_not_count():
    _, kspace, basis, coils = _scan()
    points = kspace.trajectory.points.copy()
    points[:, 100:] *= 2.5
    far = Trajectory(np.clip(points, -9, 9))
    assert 0 < far.inside.mean() < 1
    changed = kspace.samples.copy()
    scan = type(kspace)(changed, far, kspace.arm, kspace.repetition, MATRIX)
    before = adjoint(scan, basis, coils)
    changed[~np.broadcast_to(far.inside[kspace.arm][:, None], changed.shape)] += 100
    np.testing.assert_allclose(adjoint(scan, basis, coils), before)


def test_noise_through_the_adjoint_has_the_covariance_of_the_normal_operator():
    random, kspace, basis, coils = _scan()
    trajectory = kspace.trajectory
    grams = gram_matrices(basis, kspace.arm, kspace.repetition, trajectory.n_arms)
    dense = encoding_matrix(kspace, basis, coils)
    variance = 2 * np.diag(dense.conj().T @ dense).real
    drawn = [adjoint_noise(trajectory, grams, coils, random).ravel() for _ in range(300)]
    ratio = np.mean(np.abs(drawn) ** 2, axis=0) / variance
    assert abs(ratio.mean() - 1) < 0.02
    assert ratio.std() < 0.1


def test_conjugate_gradient_solves_and_tells_the_condition():
    random = np.random.default_rng(3)
    turn = random_basis(random, 20, 20, is_complex=True)
    values = np.geomspace(1, 50, 20)
    matrix = (turn * values) @ turn.conj().T
    right_side = random_images(random, (20,)).astype(complex)
    solution = conjugate_gradient(lambda x: matrix @ x, right_side, 40, tolerance=1e-9)
    np.testing.assert_allclose(solution.x, np.linalg.solve(matrix, right_side), rtol=1e-6)
    assert abs(solution.condition - 50) < 0.5
    assert solution.residuals[-1] < 1e-6


def test_preconditioned_iterations_need_fewer_steps():
    values = np.geomspace(1, 1e4, 50)
    right_side = np.ones(50)
    plain = conjugate_gradient(lambda x: values * x, right_side, 5)
    helped = conjugate_gradient(
        lambda x: values * x, right_side, 5, precondition=lambda x: x / values
    )
    assert helped.residuals[0] < 1e-10 < plain.residuals[-1]


def test_conjugate_gradient_refuses_numbers_beyond_what_they_can_hold():
    right_side = np.full(4, 1e38, np.complex64)
    with pytest.raises(CheckFailedError, match="no longer finite"), np.errstate(all="ignore"):
        conjugate_gradient(lambda x: np.float32(1e38) * x, right_side, 5)
