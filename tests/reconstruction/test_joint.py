"""Joint estimates on the well-posed grid: no partial volume, k-space covered with its corners."""

import numpy as np
import pytest
from kspace_factory import short_sequence

from mrftool.errors import InputError
from mrftool.manifold.tabulate import build_table
from mrftool.maps import Maps
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.phantom import to_tissue
from mrftool.quantities import Flag
from mrftool.reconstruction.coverage import require_covered_square
from mrftool.reconstruction.joint import JointSettings
from mrftool.reconstruction.reconstruct import Settings, set_up
from mrftool.reconstruction.simulated.raw_data import sample_scene
from mrftool.reconstruction.simulated.scenes import tissue_scene
from mrftool.reconstruction.simulated.trajectories import make_trajectory
from mrftool.reconstruction.temporal_basis import temporal_basis
from mrftool.scan.kspace import Trajectory
from mrftool.workflows.kspace.quantify_jointly import estimate_jointly

SIZE = 32
NOISE = 0.5


@pytest.fixture(scope="module")
def scan():
    sequence = short_sequence(288)
    tissue, grid, _ = to_tissue(brain_phantom((SIZE, SIZE, 1)), m0_phase=1.0)
    mask = grid.mask[:, :, 0]
    scene = tissue_scene(sequence, tissue, mask, n_coils=6)
    trajectory, arm = make_trajectory("spiral48", SIZE, 288, samples=400, coverage=1.414)
    random = np.random.default_rng(0)
    return (
        sequence,
        tissue,
        mask,
        scene,
        sample_scene(scene, trajectory, arm, noise_sd=NOISE, random=random),
    )


def _start(tissue, mask):
    """The tissue itself, ten per cent off."""

    def image(values, dtype):
        full = np.zeros((*mask.shape, 1), dtype)
        full[mask] = values[:, None]
        return full

    flags = np.where(mask, 0, int(Flag.MASKED)).astype(np.uint8)[:, :, None]
    times = (image(1.1 * tissue.t1, np.float32), image(0.9 * tissue.t2, np.float32))
    return Maps(*times, image(tissue.m0, np.complex64), flags)


@pytest.mark.slow
def test_joint_estimates_and_their_error_bars_hold(scan):
    sequence, tissue, mask, scene, kspace = scan
    basis = temporal_basis(sequence, 10)
    table = build_table(sequence, t1_range=(0.1, 6.0), t2_range=(0.01, 3.0))
    problem = set_up(kspace, basis, Settings(), coils=scene.coils)
    settings = JointSettings(outer=4, probes=8)
    maps, estimated = estimate_jointly(
        problem, basis.vectors, table, _start(tissue, mask), settings
    )
    assert (estimated[mask]).all()
    assert estimated.sum() > mask.sum()
    for name in ("t1", "t2"):
        found = getattr(maps, name)[:, :, 0][mask]
        true = getattr(tissue, name)
        sd = maps.extra[f"sd_{name}"][:, :, 0][mask]
        sure = sd / found < 0.2
        z = ((found - true) / sd)[sure]
        assert 0.85 < z.std() < 1.2
        assert abs(z.mean()) < 0.2


def test_corners_of_k_space_must_be_covered():
    circle, _ = make_trajectory("spiral48", 64, 10, coverage=1.0)
    square, _ = make_trajectory("spiral48", 64, 10, coverage=1.414)
    require_covered_square(square, (64, 64))
    with pytest.raises(InputError, match="expected its corners"):
        require_covered_square(Trajectory(circle.points), (64, 64))
