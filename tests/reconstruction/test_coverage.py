"""Trajectories that determine an image, and those that do not."""

import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.reconstruction.coverage import require_coverage
from mrftool.reconstruction.simulated.trajectories import make_trajectory
from mrftool.scan.kspace import Trajectory, check_samples

SIZE = 96


def _points(kind="spiral48", **options):
    return make_trajectory(kind, SIZE, 480, **options)[0].points


@pytest.mark.parametrize("n_coils", [1, 8])
@pytest.mark.parametrize("kind", ["spiral48", "golden", "radial"])
def test_whole_trajectories_are_accepted(kind, n_coils):
    require_coverage(Trajectory(_points(kind)), (SIZE, SIZE), n_coils)


def _sparse():
    """One sample in each cell of a coarse grid."""
    axis = (np.arange(24) + 0.5) / 24 * 2 * np.pi - np.pi
    return np.stack(np.meshgrid(axis, axis), axis=-1)


BAD = {
    "covers 0.5 of the image's resolution along y": lambda points: points * [1, 0.5],
    "leaves 50% of k-space out": lambda points: np.stack(
        [points[..., 0], abs(points[..., 1])], axis=-1
    ),
    "which 4 coils cannot make up for, expected at least 25%": lambda points: _sparse(),
    "covers 0 of the image's resolution along x": lambda points: points * 0,
}


@pytest.mark.parametrize("message", BAD)
def test_trajectories_that_leave_parts_out_are_refused(message):
    with pytest.raises(InputError, match=message):
        require_coverage(Trajectory(BAD[message](_points())), (SIZE, SIZE), 4)


def test_copies_and_empty_readouts_are_refused():
    random = np.random.default_rng(0)
    samples = random.normal(size=(6, 2, 40)).astype(np.complex64)
    repetition = np.array([0, 1, 2, 0, 1, 2])
    check_samples(samples, repetition)
    copied = samples.copy()
    copied[4] = copied[1]
    with pytest.raises(InputError, match="1 of 6 readouts are copies"):
        check_samples(copied, repetition)
    check_samples(copied, np.arange(6))
    copied[2] = 0
    with pytest.raises(InputError, match="1 of 6 readouts hold nothing but zeros"):
        check_samples(copied, np.arange(6))
