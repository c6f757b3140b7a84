"""A small scan of the digital head, from raw data to coefficients with their covariance."""

import numpy as np
import pytest
from kspace_factory import short_sequence

from mrftool.errors import InputError, MismatchError
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.phantom import to_tissue
from mrftool.physics.noise import complex_noise
from mrftool.reconstruction.coil_maps import coils_of
from mrftool.reconstruction.covariance import replica_covariance
from mrftool.reconstruction.noise import whitened, whitening
from mrftool.reconstruction.reconstruct import Settings, reconstruct, set_up
from mrftool.reconstruction.simulated.raw_data import coarse_coils, sample_scene
from mrftool.reconstruction.simulated.scenes import phantom_scene, tissue_scene
from mrftool.reconstruction.simulated.trajectories import make_trajectory
from mrftool.reconstruction.temporal_basis import temporal_basis
from mrftool.scan.kspace import KSpace
from mrftool.tissue import Tissue

SIZE = 32
NOISE = 0.3


@pytest.fixture(scope="module")
def sequence():
    return short_sequence(288)


@pytest.fixture(scope="module")
def basis(sequence):
    return temporal_basis(sequence, 5)


@pytest.fixture(scope="module")
def scene(sequence):
    tissue, grid, _ = to_tissue(brain_phantom((SIZE, SIZE, 1)), m0_phase=1.0)
    return tissue_scene(sequence, tissue, grid.mask[:, :, 0], n_coils=4), grid.mask[:, :, 0]


@pytest.fixture(scope="module")
def scan(sequence, scene):
    trajectory, arm = make_trajectory("spiral48", SIZE, len(sequence), samples=300, coverage=1.414)
    random = np.random.default_rng(0)
    noisy = sample_scene(scene[0], trajectory, arm, noise_sd=NOISE, random=random)
    clean = sample_scene(scene[0], trajectory, arm)
    return noisy, clean


def test_coefficients_are_those_of_the_object(scan, scene, basis):
    object_, mask = scene
    found = reconstruct(scan[1], basis, Settings(iterations=40, replicas=0), coils=object_.coils)
    frames = np.tensordot(object_.basis, object_.images, axes=1)
    expected = np.tensordot(basis.vectors.T, frames, axes=1)
    difference = np.linalg.norm((found.images - expected)[:, mask])
    assert difference / np.linalg.norm(expected[:, mask]) < 0.02


def test_noise_level_is_found_from_the_data(scan, basis, scene):
    found = reconstruct(scan[0], basis, Settings(replicas=0), coils=scene[0].coils)
    assert found.noise_sd == pytest.approx(NOISE, rel=0.01)


@pytest.mark.slow
def test_replicas_tell_the_covariance_of_the_noise(scan, basis, scene):
    noisy, clean = scan
    object_, mask = scene
    settings = Settings(iterations=15, replicas=12)
    found = reconstruct(noisy, basis, settings, coils=object_.coils)
    reference = reconstruct(clean, basis, Settings(replicas=0), coils=object_.coils)
    errors = np.moveaxis(found.images - reference.images, 0, -1)[mask]
    factor = np.linalg.inv(np.linalg.cholesky(found.covariance[mask].astype(float)))
    white = np.einsum("vkl,vl->vk", factor, errors)
    assert np.mean(np.abs(white) ** 2) / 2 == pytest.approx(1, abs=0.15)
    assert 0.7 < np.median(found.amplification[mask]) < 1.5


def test_more_noise_gives_a_larger_covariance(scan, basis, scene):
    louder = scan[0].samples + 2 * NOISE * complex_noise(
        scan[0].samples.shape, np.random.default_rng(5)
    )
    noisy = KSpace(louder, scan[0].trajectory, scan[0].arm, scan[0].repetition, (SIZE, SIZE))
    coils = scene[0].coils
    settings = Settings(replicas=2)
    quiet, loud = (reconstruct(k, basis, settings, coils=coils) for k in (scan[0], noisy))
    assert loud.covariance.mean() > 3 * quiet.covariance.mean()


def test_coil_maps_are_found_from_the_data(scan, scene, basis):
    object_, mask = scene
    found = coils_of(scan[1], basis.vectors)
    expected = object_.coils * np.exp(-1j * np.angle(object_.coils[:1]))
    assert np.median(np.abs(found - expected).max(axis=0)[mask]) < 0.06
    np.testing.assert_allclose((np.abs(found) ** 2).sum(axis=0)[mask], 1, rtol=1e-4)


@pytest.fixture(scope="module")
def small_object():
    """A scan whose object fills a part of the field of view; its mask."""
    sequence = short_sequence(288)
    place = np.arange(48) - 24
    mask = np.hypot(place[:, None], place[None]) < 12
    count = int(mask.sum())
    random = np.random.default_rng(2)
    tissue = Tissue(random.uniform(0.6, 1.4, count), random.uniform(0.05, 0.12, count))
    scene = tissue_scene(sequence, tissue, mask, n_coils=4)
    trajectory, arm = make_trajectory("spiral48", 48, 288, samples=300, coverage=1.414)
    return sample_scene(scene, trajectory, arm, noise_sd=NOISE, random=random), mask


def test_coil_maps_and_coefficients_are_zero_where_no_object_lies(small_object, basis):
    kspace, mask = small_object
    found = reconstruct(kspace, basis, Settings(iterations=5, replicas=1))
    assert (abs(found.coils[:, mask]).sum(axis=0) > 0).all()
    assert not found.coils[:, :4, :4].any()
    assert not found.images[:, :4, :4].any()
    assert not found.covariance[:4, :4].any()
    assert found.mask[mask].mean() > 0.9


def test_covariance_at_the_edge_of_the_support_is_that_of_its_pixels():
    random = np.random.default_rng(0)
    support = np.zeros((64, 64), bool)
    support[:, 20:] = True
    draws = (complex_noise((2, 64, 64), random) * support for _ in range(20))
    found = replica_covariance(draws, True, support)
    assert found[:, 20, 0, 0].mean() == pytest.approx(1, abs=0.1)
    assert not found[:, :20].any()


def test_object_on_a_finer_grid_lands_in_the_same_pixels(sequence, basis):
    phantom = brain_phantom((2 * SIZE, 2 * SIZE, 1))
    scene, reference = phantom_scene(sequence, phantom, 2, n_coils=2)
    trajectory, arm = make_trajectory("golden", SIZE, len(sequence), samples=300)
    kspace = sample_scene(scene, trajectory, arm)
    coils = coarse_coils(scene.coils, 2)
    found = reconstruct(kspace, basis, Settings(replicas=0), coils=coils)
    image = np.abs(found.images[0])
    outside = ~reference.mask
    assert image[outside].mean() < 0.1 * image[reference.mask].mean()
    blocks = scene.images.reshape(len(scene.images), SIZE, 2, SIZE, 2).sum(axis=(2, 4))
    frames = np.tensordot(scene.basis, blocks, axes=1)
    expected = np.tensordot(basis.vectors[:, 0], frames, axes=1)
    likeness = abs(np.vdot(expected, found.images[0]))
    assert likeness / np.linalg.norm(expected) / np.linalg.norm(found.images[0]) > 0.97


@pytest.mark.slow
def test_off_resonance_is_corrected_with_a_field_map(sequence, basis, scene):
    object_, mask = scene
    x = np.linspace(-1, 1, SIZE)
    field = 60 * np.exp(-((x[:, None] - 0.3) ** 2 + x[None] ** 2) / 0.3)
    warped = type(object_)(object_.images, object_.basis, object_.coils, 1, field)
    trajectory, arm = make_trajectory("spiral48", SIZE, len(sequence), samples=300, coverage=1.414)
    kspace = sample_scene(warped, trajectory, arm)
    frames = np.tensordot(object_.basis, object_.images, axes=1)
    expected = np.tensordot(basis.vectors.T, frames, axes=1)[:, mask]
    errors = []
    for given in (None, field):
        settings = Settings(iterations=40, replicas=0)
        found = reconstruct(kspace, basis, settings, coils=object_.coils, field_map=given)
        errors.append(np.linalg.norm(found.images[:, mask] - expected))
    assert errors[1] < 0.2 * errors[0]


def test_noise_scan_makes_correlated_coils_white():
    random = np.random.default_rng(4)
    mixing = random.normal(size=(3, 3)) + 1j * random.normal(size=(3, 3))
    noise = mixing @ complex_noise((3, 40_000), random)
    matrix = whitening(noise)
    white = matrix @ noise
    np.testing.assert_allclose(white @ white.conj().T / 80_000, np.eye(3), atol=1e-6)


def test_prewhitening_acts_on_the_coils(scan):
    matrix = np.diag([1.0, 2.0, 3.0, 4.0])
    scaled = whitened(scan[1], matrix)
    np.testing.assert_allclose(scaled.samples[:, 2], 3 * scan[1].samples[:, 2], rtol=1e-6)


def test_too_few_noise_samples_are_refused():
    with pytest.raises(InputError, match="3 samples, expected at least 8"):
        whitening(np.ones((4, 3), np.complex64))


def test_repetitions_without_readout_are_refused(scan, basis):
    kspace = scan[1]
    keep = np.arange(len(kspace.samples)) != 7
    shorter = KSpace(
        kspace.samples[keep],
        kspace.trajectory,
        kspace.arm[keep],
        kspace.repetition[keep],
        kspace.matrix,
    )
    with pytest.raises(InputError, match=r"no readout in 1 of 288 repetitions \(7\)"):
        set_up(shorter, basis, Settings())


def test_coil_maps_of_another_size_are_refused(scan, basis):
    with pytest.raises(MismatchError, match="coil maps"):
        set_up(scan[1], basis, Settings(), coils=np.ones((4, 8, 8), np.complex64))


def test_wide_bases_take_more_iterations():
    assert Settings().iterations_at(5) == Settings().iterations_at(6) == 20
    assert Settings().iterations_at(8) == 30
    assert Settings(iterations=7).iterations_at(8) == 7
