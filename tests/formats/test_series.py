import numpy as np
import pytest

from mrftool.errors import InputError, MismatchError
from mrftool.grid import Placement
from mrftool.scan.series import Series, c_order, file_order, series_from_array

IMAGE = (np.arange(3 * 4 * 5 * 7) + 1j).reshape(3, 4, 5, 7).astype(np.complex64)


def test_blocks_give_every_voxel_once_with_its_own_signal():
    series = series_from_array(IMAGE, np.diag([2, 2, 3, 1.0]))
    seen = np.zeros(60, int)
    for voxels, signal in series.blocks(max_bytes=7 * 8 * 11):
        assert signal.flags.c_contiguous and len(signal) <= 11
        assert (signal == IMAGE.reshape(60, 7)[voxels]).all()
        seen[voxels] += 1
    assert (seen == 1).all()


def test_blocks_of_a_mask_give_its_voxels_alone():
    mask = np.random.default_rng(0).random((3, 4, 5)) < 0.3
    blocks = list(series_from_array(IMAGE).blocks(mask, max_bytes=7 * 8 * 4))
    voxels = np.concatenate([v for v, _ in blocks])
    assert len(blocks) > 1
    assert sorted(voxels) == list(np.flatnonzero(mask))
    assert (np.concatenate([s for _, s in blocks]) == IMAGE.reshape(60, 7)[voxels]).all()


def test_blocks_end_where_a_granule_ends():
    asked = []

    def read(positions):
        asked.append(positions)
        return np.zeros((len(positions), 2), np.float32)

    series = Series((4, 4, 5), Placement(np.eye(4)), 2, "magnitude", read, granule=16)
    for size in (8 * 40, 8 * 3):
        asked.clear()
        list(series.blocks(max_bytes=size))
        assert (np.concatenate(asked) == np.arange(80)).all()
        assert all(chunk[0] % 16 == 0 for chunk in asked)
        assert len(asked) == (3 if size == 8 * 40 else 5)


def test_no_block_of_an_empty_mask():
    assert list(series_from_array(IMAGE).blocks(np.zeros((3, 4, 5), bool))) == []


def test_file_order_is_fortran_order():
    flat = np.arange(60)
    image = flat.reshape(3, 4, 5)
    assert (image.ravel(order="F") == c_order(flat, (3, 4, 5))).all()
    assert (file_order(c_order(flat, (3, 4, 5)), (3, 4, 5)) == flat).all()


def test_a_mask_of_another_shape_is_a_mismatch():
    with pytest.raises(MismatchError, match=r"\(3, 4, 4\), expected \(3, 4, 5\)"):
        next(series_from_array(IMAGE).blocks(np.ones((3, 4, 4), bool)))


@pytest.mark.parametrize("affine", [np.eye(3), np.diag([1, 1, 0, 1.0]), np.diag([1, np.nan, 1, 1])])
def test_a_place_without_volume_is_refused(affine):
    with pytest.raises(InputError, match="affine"):
        Placement(affine)


def test_a_series_without_time_is_refused():
    with pytest.raises(InputError, match="4-D"):
        series_from_array(np.zeros((3, 4, 5, 0)))
    with pytest.raises(InputError, match="3 dimensions"):
        series_from_array(np.zeros((3, 4, 5)))
