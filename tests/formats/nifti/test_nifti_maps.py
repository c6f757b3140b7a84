import json

import numpy as np
import pytest
from nifti_bytes import AFFINE, SROW, nifti

from mrftool.errors import InputError, MismatchError
from mrftool.formats.nifti.maps import open_b1, open_mask
from mrftool.formats.nifti.tissue_maps import open_maps
from mrftool.scan.series import series_from_array

RNG = np.random.default_rng(5)
SHAPE = (4, 3, 5)
SERIES = series_from_array(np.zeros((*SHAPE, 2), np.float32), AFFINE)
MASK = RNG.random(SHAPE) < 0.6
T1 = RNG.uniform(0.3, 2.5, SHAPE)  # [s]
T2 = RNG.uniform(0.02, 0.3, SHAPE)  # [s]


def write(path, data, units=None, **fields):
    path.write_bytes(nifti(np.asarray(data), **fields))
    if units is not None:
        path.with_suffix(".json").write_text(json.dumps({"Units": units}))
    return path


@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_a_mask(tmp_path, value, dtype):
    assert np.array_equal(
        open_mask(write(tmp_path / "m.nii", (MASK * value).astype(dtype)), SERIES)[0], MASK
    )
    four_d = (MASK * value).astype(dtype)[..., None]
    assert np.array_equal(open_mask(write(tmp_path / "m4.nii", four_d), SERIES)[0], MASK)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.zeros(SHAPE, "u1"), "is empty"),
        (RNG.random(SHAPE).astype("f4"), "60 different values"),
        (RNG.integers(0, 3, SHAPE).astype("i2"), "3 different values from 0 to 2"),
        (np.where(MASK, -1, 0).astype("i2"), "from -1 to 0"),
        (np.where(MASK, 1, np.nan).astype("f4"), "different values"),
        (
            MASK[..., None].repeat(2, -1).astype("u1"),
            "4 x 3 x 5 x 2 values, expected three dimensions",
        ),
        (MASK.astype("c8"), "complex"),
    ],
)
def test_what_is_no_mask(tmp_path, data, match):
    with pytest.raises(InputError, match=match):
        open_mask(write(tmp_path / "m.nii", data), SERIES)


def test_a_mask_of_nearly_the_same_voxels_is_not_resampled(tmp_path):
    for change, is_same in ((1e-4, True), (0.03, True), (0.05, False)):
        srow = list(SROW)
        srow[3] += change  # [mm], of a voxel of 2 mm
        mask, said = open_mask(write(tmp_path / "m.nii", MASK.astype("u1"), srow=srow), SERIES)
        assert np.array_equal(mask, MASK) and bool(said) != is_same


def test_a_mask_with_its_axes_reversed_is_turned_back(tmp_path):
    srow = list(SROW)
    for row in range(3):
        srow[4 * row + 3] += srow[4 * row + 1] * (SHAPE[1] - 1)
        srow[4 * row + 1] *= -1
    path = write(tmp_path / "m.nii", MASK[:, ::-1].astype("u1"), srow=srow)
    mask, said = open_mask(path, SERIES)
    assert np.array_equal(mask, MASK)
    assert "m.nii is resampled to the voxels of the series (nearest voxel)" in said[0]


def test_a_mask_of_another_grid_is_resampled_and_outside_of_it_nothing_counts(tmp_path):
    mask, said = open_mask(write(tmp_path / "m.nii", MASK[..., :4].astype("u1")), SERIES)
    assert np.array_equal(mask[..., :4], MASK[..., :4]) and not mask[..., 4].any() and said
    fine = np.repeat(np.repeat(np.repeat(MASK, 2, 0), 2, 1), 2, 2).astype("u1")
    affine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] = AFFINE[:3, 3] - AFFINE[:3, :3] @ (0.25, 0.25, 0.25)
    mask, _ = open_mask(write(tmp_path / "f.nii", fine, srow=affine[:3].ravel().tolist()), SERIES)
    assert np.array_equal(mask, MASK)


def test_a_mask_of_another_place_is_a_mismatch(tmp_path):
    srow = list(SROW)
    srow[3] += 1000
    with pytest.raises(MismatchError, match=r"m\.nii: has no value where the series lies"):
        open_mask(write(tmp_path / "m.nii", MASK.astype("u1"), srow=srow), SERIES)
    with pytest.raises(MismatchError, match="does not say where it lies"):
        open_mask(
            write(tmp_path / "m.nii", MASK[..., :4].astype("u1"), qform_code=0, sform_code=0),
            SERIES,
        )


def test_b1_of_another_grid_is_interpolated_without_its_empty_voxels(tmp_path):
    x = np.arange(8, dtype=float)[:, None, None] * np.ones((8, 3, 5))
    b1 = 0.8 + 0.02 * x
    b1[0] = 0
    affine = AFFINE @ np.diag([0.5, 1, 1, 1])
    path = write(tmp_path / "b1.nii", b1.astype("f4"), srow=affine[:3].ravel().tolist())
    image, said = open_b1(path, SERIES)
    expected = 0.8 + 0.04 * np.arange(4)
    assert np.isnan(image[0]).all() and "trilinear" in said[0]
    assert np.allclose(image[1:], expected[1:, None, None], atol=1e-6)


@pytest.mark.parametrize(("factor", "word"), [(1.0, "fraction"), (100.0, "percent")])
def test_b1_in_fraction_or_percent(tmp_path, factor, word):
    b1 = RNG.uniform(0.7, 1.3, SHAPE)
    mask = np.zeros(SHAPE, bool)
    mask[1, 1] = True
    b1[~mask] = 50  # outside the mask anything may stand
    image, said = open_b1(write(tmp_path / "b1.nii", (b1 * factor).astype("f4")), SERIES, mask)
    assert np.allclose(image[mask], b1[mask], rtol=1e-6)
    assert len(said) == 1 and word in said[0]


def test_b1_in_the_unit_of_its_sidecar(tmp_path):
    low = np.full(SHAPE, 10.0, "f4")
    image, said = open_b1(write(tmp_path / "b1.nii", low, units="percent"), SERIES)
    assert np.allclose(image, 0.1) and said == ()


@pytest.mark.parametrize("value", [0.1, 5.0, 300.0, 0.0, np.nan])
def test_b1_in_no_known_unit_is_refused(tmp_path, value):
    with pytest.raises(
        InputError, match=r"expected 0\.3 to 2 fraction or 30 to 200 percent|no value above 0"
    ):
        open_b1(write(tmp_path / "b1.nii", np.full(SHAPE, value)), SERIES)


def test_b1_where_there_is_none_is_nan(tmp_path):
    b1 = np.ones(SHAPE, "f4")
    b1[0, 0, 0], b1[0, 0, 1], b1[0, 0, 2] = 0, np.nan, -1
    image, _ = open_b1(write(tmp_path / "b1.nii", b1), SERIES)
    assert np.isnan(image[0, 0, :3]).all() and np.isfinite(image).sum() == 57


@pytest.mark.parametrize(("factor", "units"), [(1, None), (1000, None), (1, "s"), (1000, "ms")])
def test_tissue_maps(tmp_path, factor, units):
    t1 = write(tmp_path / "t1.nii", (T1 * factor).astype("f4"), units)
    t2 = write(tmp_path / "t2.nii", (T2 * factor).astype("f4"), units)
    m0 = write(tmp_path / "m0.nii", (T1 * 7).astype("f4"))
    b1 = write(tmp_path / "b1.nii", np.full(SHAPE, 90, "i2"))
    mask = write(tmp_path / "mask.nii", MASK.astype("u1"))
    maps = open_maps(t1, t2, m0=m0, b1=b1, mask=mask)
    assert np.array_equal(maps.grid.mask, MASK) and np.array_equal(maps.placement.affine, AFFINE)
    assert np.allclose(maps.tissue.t1, T1[MASK]) and np.allclose(maps.tissue.t2, T2[MASK])
    assert np.allclose(maps.tissue.m0, 7 * T1[MASK]) and np.allclose(maps.tissue.b1, 0.9)
    assert len(maps.assumptions) == (1 if units else 3)


def test_voxels_without_a_value_are_left_out(tmp_path):
    t1, t2, m0 = T1.astype("f4"), T2.astype("f4"), np.ones(SHAPE, "f4")
    t1[0, 0, 0], t2[0, 0, 1], t1[0, 0, 2], m0[0, 0, 3] = 0, np.nan, np.inf, np.nan
    paths = [
        write(tmp_path / f"{name}.nii", data) for name, data in (("t1", t1), ("t2", t2), ("m0", m0))
    ]
    maps = open_maps(*paths[:2], m0=paths[2])
    assert len(maps.tissue) == 56 and not maps.grid.mask[0, 0, :4].any()
    assert maps.assumptions[-1].startswith("2 voxels without a value")


def test_ambiguous_units_are_refused(tmp_path):
    t1, t2 = write(tmp_path / "t1.nii", T1), write(tmp_path / "t2.nii", T2)
    odd = write(tmp_path / "odd.nii", np.full(SHAPE, 20.0))
    with pytest.raises(
        InputError, match=r"odd.nii: its median is 20, expected 0.05 to 10 s or 50 to 10000 ms"
    ):
        open_maps(odd, t2)
    with pytest.raises(InputError, match="one looks like seconds and the other like milliseconds"):
        open_maps(t1, write(tmp_path / "t2_ms.nii", T2 * 1000))
    with pytest.raises(InputError, match="no value above 0"):
        open_maps(write(tmp_path / "zero.nii", np.zeros(SHAPE)), t2)
    small = write(tmp_path / "small.nii", T2[..., :4])
    for others in ({}, {"m0": small}):
        with pytest.raises(MismatchError, match=r"small.nii: has 4 x 3 x 4"):
            open_maps(t1, t2 if others else small, **others)


@pytest.mark.parametrize("unit", ["degree", "Hz", "rad", "arbitrary", 60])
def test_a_stated_unit_that_is_none_of_b1_is_refused_and_not_guessed_over(tmp_path, unit):
    path = write(tmp_path / "b1.nii", np.full(SHAPE, 60, "f4"), unit)
    with pytest.raises(InputError, match=f"states the unit {unit!r}, expected one of"):
        open_b1(path, SERIES)


@pytest.mark.parametrize(
    ("value", "unit", "says"),
    [
        (95, "1", "percent taken for a fraction"),
        (0.95, "percent", "a fraction taken for percent"),
    ],
)
def test_a_stated_unit_that_makes_the_map_implausible_is_refused(tmp_path, value, unit, says):
    path = write(tmp_path / "b1.nii", np.full(SHAPE, value, "f4"), unit)
    with pytest.raises(InputError, match=says):
        open_b1(path, SERIES)


def test_times_in_ms_that_are_stated_as_seconds_are_refused(tmp_path):
    t1 = write(tmp_path / "t1.nii", (T1 * 1e3).astype("f4"), "s")
    t2 = write(tmp_path / "t2.nii", (T2 * 1e3).astype("f4"), "s")
    with pytest.raises(InputError, match="milliseconds taken for seconds"):
        open_maps(t1, t2)
