"""MRD raw data written, and read back by ourselves and by the ismrmrd library."""

import ismrmrd
import numpy as np
import pytest
from kspace_factory import random_kspace, random_trajectory

from mrftool.errors import InputError, MismatchError
from mrftool.formats.mrd import readouts
from mrftool.formats.mrd.header import RawHeader
from mrftool.formats.mrd.read import check_sequence, open_raw
from mrftool.formats.mrd.trajectory import Plane, group_arms, in_radians
from mrftool.formats.mrd.write import RawSlice, write_raw
from mrftool.grid import Placement
from mrftool.reconstruction.encoding.stack import partitions, slices_of
from mrftool.scan.kspace import Trajectory

MATRIX = (24, 20)
AFFINE = np.array(
    [[0.0, -1.9, 0, 20], [2.0, 0, 0, -30], [0, 0, 5.0, 7], [0, 0, 0, 1]]
)  # turned in the plane


def _kspace(seed=0):
    random = np.random.default_rng(seed)
    return random_kspace(random, random_trajectory(random), MATRIX, repetitions=12, coils=3)


def _header(**changes):
    facts = {"matrix": (*MATRIX, 1), "field_of_view": (48.0, 38.0, 5.0), "unit": "1/FOV"}
    return RawHeader(**(facts | changes))


def _written(path, n_slices=2, **changes):
    slices = [_kspace(seed) for seed in range(n_slices)]
    placement = Placement(AFFINE)
    pieces = [RawSlice(part, placement, index=index) for index, part in enumerate(slices)]
    noise = slices[0].samples[0] * 0.1
    write_raw(path, _header(n_slices=n_slices, **changes), pieces, noise=noise)
    return slices, noise


def test_raw_data_come_back_as_they_were(tmp_path):
    slices, noise = _written(tmp_path / "scan.mrd")
    scan = open_raw(tmp_path / "scan.mrd")
    assert scan.n_slices == 2
    np.testing.assert_array_equal(scan.noise(), noise)
    np.testing.assert_allclose(scan.placement.affine, AFFINE, atol=1e-4)
    for index, part in enumerate(slices):
        found = scan.read_slice(index)
        np.testing.assert_array_equal(found.samples, part.samples)
        np.testing.assert_array_equal(found.repetition, part.repetition)
        found_points = found.trajectory.points[found.arm]
        np.testing.assert_allclose(found_points, part.trajectory.points[part.arm], atol=1e-5)
        assert found.trajectory.n_arms == 4
        np.testing.assert_allclose(
            found.trajectory.sample_time, part.trajectory.sample_time, atol=1e-9
        )


def test_ismrmrd_reads_the_same(tmp_path):
    slices, _ = _written(tmp_path / "scan.mrd", n_slices=1)
    data = ismrmrd.Dataset(str(tmp_path / "scan.mrd"), "dataset", False, mode="r")
    assert data.number_of_acquisitions() == 13
    readout = data.read_acquisition(6)
    np.testing.assert_array_equal(readout.data, slices[0].samples[5])
    cycles = slices[0].trajectory.points[slices[0].arm[5]] * MATRIX / (2 * np.pi)
    np.testing.assert_allclose(readout.traj, cycles, rtol=1e-5, atol=1e-5)
    assert readout.idx.repetition == 5
    header = ismrmrd.xsd.CreateFromDocument(data.read_xml_header())
    size = header.encoding[0].reconSpace.matrixSize
    assert (size.x, size.y, size.z) == (*MATRIX, 1)
    data.close()


def test_partitions_become_slices(tmp_path):
    slices = [_kspace(seed) for seed in range(4)]
    encoded = partitions(np.stack([part.samples for part in slices]))
    first = slices[0]
    pieces = [
        RawSlice(
            type(first)(values, first.trajectory, first.arm, first.repetition, MATRIX),
            Placement(AFFINE),
            partition=index,
        )
        for index, values in enumerate(encoded)
    ]
    write_raw(tmp_path / "slab.mrd", _header(matrix=(*MATRIX, 4)), pieces)
    scan = open_raw(tmp_path / "slab.mrd")
    for found, part in zip(slices_of(scan), slices, strict=True):
        np.testing.assert_allclose(found.samples, part.samples, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "unit"),
    [
        (24 / (2 * np.pi), "1/FOV"),
        (24 / (2 * np.pi) / 0.2, "1/m"),
        (1 / (2 * np.pi), "cycles/pixel"),
        (1, None),
    ],
)
def test_unit_of_a_trajectory_is_told_from_its_reach(scale, unit):
    points = np.random.default_rng(1).uniform(-np.pi, np.pi, (3, 200, 2))
    found, named = in_radians(points * scale, Plane((24, 24), (200, 200)), None, "scan")
    assert named == (unit or "rad/pixel")
    np.testing.assert_allclose(found, points)


def test_an_ambiguous_trajectory_is_refused():
    points = np.random.default_rng(1).uniform(-2.6, 2.6, (3, 200, 2))
    with pytest.raises(InputError, match="may be in 1/FOV or rad/pixel"):
        in_radians(points, Plane((6, 6), (200, 200)), None, "scan")
    in_radians(points, Plane((6, 6), (200, 200)), "rad/pixel", "scan")


@pytest.mark.parametrize("unit", ["cycles/pixel", "1/FOV", "1/m"])
def test_a_stated_unit_that_cannot_be_is_refused(unit):
    points = np.random.default_rng(1).uniform(-np.pi, np.pi, (3, 200, 2))
    with pytest.raises(InputError, match="times the Nyquist frequency of the image"):
        in_radians(points, Plane((96, 96), (200, 200)), unit, "scan")


def test_a_trajectory_of_every_readout_may_be_given(tmp_path):
    slices, _ = _written(tmp_path / "scan.mrd", n_slices=2)
    every = [part.trajectory.points[part.arm] for part in slices]
    points = np.concatenate(every)
    scan = open_raw(tmp_path / "scan.mrd", trajectory=points, unit="rad/pixel")
    for index, part in enumerate(slices):
        found = scan.read_slice(index)
        np.testing.assert_allclose(
            found.trajectory.points[found.arm], part.trajectory.points[part.arm], atol=1e-6
        )


def test_equal_arms_are_grouped_despite_rounding():
    random = np.random.default_rng(2)
    arms = random.uniform(-3, 3, (5, 40, 2))
    order = random.integers(0, 5, 60)
    order[:5] = np.arange(5)
    points = (arms[order] + random.normal(0, 1e-7, (60, 40, 2))).astype(np.float32)
    found, arm = group_arms(points.astype(float))
    assert len(found) == 5
    np.testing.assert_array_equal(arm, order)
    np.testing.assert_allclose(found, arms, atol=1e-5)


def test_a_trajectory_may_be_given(tmp_path):
    slices, _ = _written(tmp_path / "scan.mrd", n_slices=1)
    points = slices[0].trajectory.points
    scan = open_raw(tmp_path / "scan.mrd", trajectory=points * 0.9, unit="rad/pixel")
    found = scan.read_slice(0)
    np.testing.assert_allclose(found.trajectory.points, points * 0.9, atol=1e-6)
    with pytest.raises(MismatchError, match="13 readouts, expected at most 12"):
        open_raw(
            tmp_path / "scan.mrd", trajectory=np.zeros((13, 150, 2)), unit="rad/pixel"
        ).read_slice(0)


def test_flip_angles_of_another_sequence_are_refused(tmp_path):
    flips = np.linspace(0.1, 1, 12)
    _written(tmp_path / "scan.mrd", n_slices=1, flip_angle=flips)
    scan = open_raw(tmp_path / "scan.mrd")
    check_sequence(scan, "any", flips)
    with pytest.raises(MismatchError, match="other flip angles"):
        check_sequence(scan, "any", flips + 0.1)


def test_a_missing_slice_is_refused(tmp_path):
    slices, _ = _written(tmp_path / "scan.mrd", n_slices=1)
    piece = RawSlice(slices[0], Placement(AFFINE))
    write_raw(tmp_path / "half.mrd", _header(n_slices=2), [piece])
    with pytest.raises(InputError, match="slice 1 has no readouts"):
        open_raw(tmp_path / "half.mrd").read_slice(1)


def test_trajectories_far_outside_the_image_are_refused():
    with pytest.raises(InputError, match="rad/pixel"):
        Trajectory(np.full((1, 3, 2), 12.0))


def test_slices_beyond_those_of_the_header_are_refused(tmp_path):
    slices, _ = _written(tmp_path / "scan.mrd", n_slices=2)
    pieces = [RawSlice(part, Placement(AFFINE), index=at) for at, part in enumerate(slices)]
    write_raw(tmp_path / "few.mrd", _header(n_slices=1), pieces)
    with pytest.raises(InputError, match="slice up to 1, expected 0 to 0"):
        open_raw(tmp_path / "few.mrd")


def test_a_file_that_keeps_its_reader_busy_is_refused(tmp_path, monkeypatch):
    _written(tmp_path / "scan.mrd", n_slices=1)
    monkeypatch.setattr(readouts, "SECONDS", 1e-3)
    with pytest.raises(InputError, match="did not end within"):
        readouts.read_heads(tmp_path / "scan.mrd")
