"""The same data through BART (Debian's package `bart`)."""

import shutil
import subprocess

import nibabel
import numpy as np
import pytest
from front_door import works
from kspace_factory import short_sequence

from mrftool.formats.arrays.bart import basis_array, cfl_contents, read_all_dimensions
from mrftool.formats.atomic import write_text
from mrftool.formats.sequence.write import yaml_text
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.phantom import to_tissue
from mrftool.reconstruction.reconstruct import Settings, reconstruct
from mrftool.reconstruction.simulated.raw_data import sample_scene
from mrftool.reconstruction.simulated.scenes import tissue_scene
from mrftool.reconstruction.simulated.trajectories import make_trajectory
from mrftool.reconstruction.temporal_basis import temporal_basis

SIZE = 48
LENGTH = 192
ITERATIONS = 30

pytestmark = [
    pytest.mark.peers,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bart") is None, reason="bart is not installed"),
]


def _write(folder, name, array):
    for path, content in cfl_contents(folder / f"{name}.cfl", array).items():
        path.write_bytes(content)


@pytest.fixture(scope="module")
def scan():
    sequence = short_sequence(LENGTH)
    tissue, grid, _ = to_tissue(brain_phantom((SIZE, SIZE, 1)))
    scene = tissue_scene(sequence, tissue, grid.mask[:, :, 0], n_coils=6)
    arms, arm = make_trajectory("spiral48", SIZE, len(sequence), samples=200, coverage=1.0)
    random = np.random.default_rng(0)
    kspace = sample_scene(scene, arms, arm, noise_sd=0.05, random=random)
    return kspace, scene.coils, temporal_basis(sequence, 4)


@pytest.fixture(scope="module")
def of_bart(scan, tmp_path_factory):
    """The folder in which BART has made the coefficients `out` of the same data."""
    kspace, coils, basis = scan
    folder = tmp_path_factory.mktemp("bart")
    points = kspace.trajectory.points[kspace.arm] * SIZE / (2 * np.pi)
    count, n_samples = points.shape[:2]
    trajectory = np.zeros((3, n_samples, 1, 1, 1, count), np.complex64)
    trajectory[:2, :, 0, 0, 0] = points.transpose(2, 1, 0)
    samples = kspace.samples.transpose(2, 1, 0).reshape(1, n_samples, 1, -1, 1, count)
    _write(folder, "trajectory", trajectory)
    _write(folder, "samples", samples)
    _write(folder, "coils", coils.transpose(1, 2, 0)[:, :, None])
    _write(folder, "basis", basis_array(basis.vectors))
    options = ("-w", "1", "-i", str(ITERATIONS), "-R", "Q:0.000001", "-B", "basis")
    line = ("bart", "pics", *options, "-t", "trajectory", "samples", "coils", "out")
    subprocess.run(line, cwd=folder, check=True, capture_output=True, timeout=500)
    return folder


@pytest.fixture(scope="module")
def ours(scan):
    kspace, coils, basis = scan
    settings = Settings(iterations=ITERATIONS, replicas=0)
    return reconstruct(kspace, basis, settings, coils=coils).images


def test_coefficients_equal_those_of_bart(ours, of_bart):
    out = read_all_dimensions(of_bart / "out.cfl")
    theirs = np.moveaxis(out.reshape(SIZE, SIZE, -1), -1, 0)
    theirs = theirs * (np.vdot(theirs, ours) / np.vdot(theirs, theirs))
    assert np.linalg.norm(theirs - ours) / np.linalg.norm(ours) < 0.01


def test_coefficients_of_bart_quantify_to_the_same_maps(scan, ours, of_bart, tmp_path):
    write_text(yaml_text(short_sequence(LENGTH)), tmp_path / "short.yaml")
    np.save(tmp_path / "basis.npy", scan[2].vectors)
    np.save(tmp_path / "ours.npy", np.moveaxis(ours, 0, -1)[:, :, None])
    for name, images, basis in (
        ("theirs", of_bart / "out.cfl", of_bart / "basis.cfl"),
        ("ours", tmp_path / "ours.npy", tmp_path / "basis.npy"),
    ):
        works(
            "quantify", images, "--basis", basis, "--seq", tmp_path / "short.yaml",
            "-o", tmp_path / name,
        )  # fmt: skip
    mask = np.linalg.norm(ours, axis=0) > 0.2 * np.linalg.norm(ours, axis=0).max()
    assert mask.sum() > 300
    for key in ("T1map", "T2map"):
        maps = [
            np.asanyarray(nibabel.load(tmp_path / name / f"{key}.nii.gz").dataobj)[:, :, 0][mask]
            for name in ("theirs", "ours")
        ]
        apart = abs(maps[0] / maps[1] - 1)
        assert np.median(apart) < 5e-3
        assert np.percentile(apart, 95) < 0.05


def test_our_files_read_in_bart(scan, tmp_path):
    array = np.arange(24, dtype=np.complex64).reshape(2, 3, 4) * (1 + 2j)
    _write(tmp_path, "ours", array)
    _write(tmp_path, "twice", 2 * array)
    line = ("bart", "scale", "2", "ours", "scaled")
    subprocess.run(line, cwd=tmp_path, check=True, capture_output=True)
    scaled = read_all_dimensions(tmp_path / "scaled.cfl")
    np.testing.assert_array_equal(scaled.reshape(2, 3, 4), 2 * array)
