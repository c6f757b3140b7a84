"""Files written by us, read back by SimpleITK and by hand."""

import gzip
import json

import numpy as np
import pytest
import SimpleITK
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nifti_bytes import AFFINE, unpack

from mrftool.errors import InputError, MismatchError, UsageError
from mrftool.formats.nifti.header import header_bytes
from mrftool.formats.nifti.read import open_series
from mrftool.formats.nifti.write import write_map, write_maps, write_series
from mrftool.grid import Placement
from mrftool.scan.series import series_from_array

RNG = np.random.default_rng(8)
SHAPE = (5, 4, 3)
T1 = RNG.uniform(0.2, 3, SHAPE).astype("f4")  # [s]
OBLIQUE = np.array(
    [[1.8, 0.6, 0.0, -80], [-0.6, 1.8, 0.3, -60], [0.1, -0.2, 2.9, 40], [0, 0, 0, 1]]
)
SERIES = (RNG.standard_normal((*SHAPE, 90)) + 1j * RNG.standard_normal((*SHAPE, 90))).astype(
    np.complex64
)


def test_headers_hold_what_nibabel_writes() -> None:
    for dims, kind in (((5, 6, 7, 90), Nifti1Header), ((40_000, 3, 2), Nifti2Header)):
        for affine in (OBLIQUE, rotation_and_zoom(0.4, [2, -2.5, 3]), np.diag([-2, -3, 4, 1.0])):
            placement = Placement(affine, (1, 4))
            ours = kind(header_bytes(dims, "c8", placement, "T1")[: kind.template_dtype.itemsize])
            theirs = kind()
            theirs.set_data_shape(dims)
            theirs.set_data_dtype(np.complex64)
            theirs.set_xyzt_units("mm")
            theirs.set_qform(affine, 1)
            theirs.set_sform(affine, 4)
            theirs.set_slope_inter(1, 0)
            theirs["descrip"], theirs["vox_offset"] = b"T1", theirs.single_vox_offset
            np.testing.assert_allclose(ours.get_qform(), theirs.get_qform(), atol=1e-4)
            for name in set(theirs.keys()) - {"quatern_b", "quatern_c", "quatern_d"}:
                np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def rotation_and_zoom(angle, zooms):
    c, s = np.cos(angle), np.sin(angle)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag(zooms)
    affine[:3, 3] = [-80, 12, 31]
    return affine


def fields(path):
    content = path.read_bytes()
    return unpack(gzip.decompress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("name", ["T1map.nii.gz", "T1map.nii"])
def test_a_map_has_seconds_and_millimetres_for_simpleitk(tmp_path, name):
    affine = rotation_and_zoom(0.4, [2, 2.5, 3])
    write_map(tmp_path / name, T1, Placement(affine), description="T1 [s]", sidecar={"Units": "s"})
    image = SimpleITK.ReadImage(str(tmp_path / name))
    assert image.GetPixelID() == SimpleITK.sitkFloat32
    assert np.array_equal(SimpleITK.GetArrayFromImage(image).T, T1)
    for index in ((0, 0, 0), (4, 0, 0), (0, 3, 0), (4, 3, 2)):
        x, y, z = image.TransformIndexToPhysicalPoint(index)  # LPS
        assert np.allclose([-x, -y, z], (affine @ [*index, 1])[:3], atol=1e-4)
    assert np.allclose(image.GetSpacing(), [2, 2.5, 3])
    assert json.loads((tmp_path / "T1map.json").read_text()) == {"Units": "s"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["T1map.json", name]


def test_the_header_of_a_map_field_by_field(tmp_path):
    qform = rotation_and_zoom(0.3, [2, 2, 3])
    write_map(tmp_path / "a.nii", T1, Placement(OBLIQUE, (3, 4), qform), description="T1 [s]")
    header, data = fields(tmp_path / "a.nii")
    assert np.array_equal(data, T1)
    assert (header["sizeof_hdr"], header["magic"], header["vox_offset"]) == (348, b"n+1\0", 352)
    assert header["dim"][:4] == (3, 5, 4, 3) and header["datatype"] == 16 and header["bitpix"] == 32
    assert (header["qform_code"], header["sform_code"]) == (3, 4)
    assert header["xyzt_units"] & 7 == 2  # mm
    assert (header["scl_slope"], header["scl_inter"]) in ((1, 0), (0, 0))
    assert header["descrip"].rstrip(b"\0") == b"T1 [s]"
    assert np.allclose(header["srow"], OBLIQUE[:3].ravel(), rtol=1e-6)
    assert np.allclose(header["qoffset"], [-80, 12, 31]) and np.allclose(
        header["pixdim"][1:4], [2, 2, 3]
    )
    assert np.allclose(header["quatern"], [0, 0, np.sin(0.15)], atol=1e-6)


def test_the_place_of_the_input_is_the_place_of_the_output(tmp_path):
    qform = rotation_and_zoom(0.3, [2, 2, 3])
    for codes, second in (((0, 0), None), ((1, 0), None), ((0, 2), None), ((1, 4), qform)):
        affine = np.diag([2, 2.5, 3, 1]) if codes == (0, 0) else rotation_and_zoom(0.7, [2, 2.5, 3])
        write_series(
            tmp_path / "a.nii",
            SHAPE,
            Placement(affine, codes, second),
            90,
            series_from_array(SERIES).blocks(),
        )
        series = open_series(tmp_path / "a.nii")
        assert np.allclose(series.affine, affine, atol=1e-5) and series.placement.codes == codes
        write_map(tmp_path / "m.nii", T1, series.placement)
        before, after = fields(tmp_path / "a.nii")[0], fields(tmp_path / "m.nii")[0]
        for name in ("qform_code", "sform_code", "quatern", "qoffset", "srow"):
            assert np.allclose(before[name], after[name], atol=1e-6)
        assert np.allclose(before["pixdim"][:4], after["pixdim"][:4])


def test_flags_stay_bytes_and_complex_maps_become_moduli(tmp_path):
    write_map(tmp_path / "flags.nii", np.full(SHAPE, 17, np.uint8), Placement(AFFINE))
    write_map(tmp_path / "m0.nii", np.full(SHAPE, 3 - 4j), Placement(AFFINE))
    flags, m0 = fields(tmp_path / "flags.nii"), fields(tmp_path / "m0.nii")
    assert flags[0]["datatype"] == 2 and (flags[1] == 17).all()
    assert m0[0]["datatype"] == 16 and (m0[1] == 5).all()


def test_the_same_map_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_map(tmp_path / name / "t.nii.gz", T1, Placement(AFFINE))
    assert (tmp_path / "a/t.nii.gz").read_bytes() == (tmp_path / "b/t.nii.gz").read_bytes()


@pytest.mark.parametrize("name", ["s.nii", "s.nii.gz"])
def test_a_series_for_simpleitk(tmp_path, name):
    blocks = series_from_array(SERIES).blocks(max_bytes=8 * 90 * 7)
    paths = write_series(
        tmp_path / name, SHAPE, Placement(AFFINE), 90, blocks, sidecar={"sequence_id": "abc"}
    )
    assert paths == (tmp_path / name,)
    image = SimpleITK.ReadImage(str(tmp_path / name))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image).T, SERIES)
    header, data = fields(tmp_path / name)
    assert header["datatype"] == 32 and np.array_equal(data, SERIES)
    assert open_series(tmp_path / name).sequence_id == "abc"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.json", name]


def test_blocks_of_a_series_may_come_in_any_order_and_leave_voxels_out(tmp_path):
    mask = RNG.random(SHAPE) < 0.5
    blocks = list(series_from_array(SERIES).blocks(mask, max_bytes=8 * 90 * 7))
    shuffled = [(v[p], s[p]) for v, s in reversed(blocks) for p in [RNG.permutation(len(v))]]
    write_series(tmp_path / "s.nii", SHAPE, Placement(AFFINE), 90, shuffled)
    assert np.array_equal(fields(tmp_path / "s.nii")[1], np.where(mask[..., None], SERIES, 0))


def test_neighbours_in_another_order_within_a_block(tmp_path):
    (voxels, signal), *_ = series_from_array(SERIES).blocks()
    order = np.r_[0, 2, 1, 3 : len(voxels)]  # begins and ends like a run
    write_series(tmp_path / "s.nii", SHAPE, Placement(AFFINE), 90, [(voxels[order], signal[order])])
    assert np.array_equal(fields(tmp_path / "s.nii")[1], SERIES)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("s.nii", ["s_imag.nii", "s_real.nii"]),
        (
            "sub-1_run-2_MRF.nii.gz",
            ["sub-1_run-2_part-imag_MRF.nii.gz", "sub-1_run-2_part-real_MRF.nii.gz"],
        ),
    ],
)
def test_real_and_imaginary_part_in_two_files(tmp_path, name, names):
    blocks = series_from_array(SERIES).blocks()
    real, imag = write_series(tmp_path / name, SHAPE, Placement(AFFINE), 90, blocks, split=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert np.array_equal(fields(real)[1] + 1j * fields(imag)[1], SERIES)
    (_, signal), *_ = open_series(real, imag=imag).blocks()
    assert np.array_equal(signal, SERIES.reshape(-1, 90, order="F"))


def test_a_magnitude_series(tmp_path):
    write_series(
        tmp_path / "s.nii",
        SHAPE,
        Placement(AFFINE),
        90,
        series_from_array(SERIES).blocks(),
        form="magnitude",
    )
    header, data = fields(tmp_path / "s.nii")
    assert header["datatype"] == 16 and np.array_equal(data, np.abs(SERIES))


def test_a_long_series_needs_nifti_2(tmp_path):
    long = RNG.random((2, 1, 1, 40_000)).astype("f4")
    blocks = series_from_array(long).blocks()
    write_series(tmp_path / "s.nii", (2, 1, 1), Placement(AFFINE), 40_000, blocks, form="magnitude")
    header, data = fields(tmp_path / "s.nii")
    assert (header["sizeof_hdr"], header["magic"], header["vox_offset"]) == (
        540,
        b"n+2\0\r\n\x1a\n",
        544,
    )
    assert np.array_equal(data, long)


def test_nothing_is_left_when_writing_fails(tmp_path):
    def blocks():
        yield from series_from_array(SERIES).blocks(max_bytes=8 * 90 * 7)
        raise KeyboardInterrupt

    for name in ("s.nii", "s.nii.gz"):
        with pytest.raises(KeyboardInterrupt):
            write_series(tmp_path / name, SHAPE, Placement(AFFINE), 90, blocks(), sidecar={})
        with pytest.raises(
            MismatchError, match=r"a block has shape \(60, 90\), expected \(60, 91\)"
        ):
            write_series(
                tmp_path / name, SHAPE, Placement(AFFINE), 91, series_from_array(SERIES).blocks()
            )
    with pytest.raises(InputError, match="not named like a NIfTI file"):
        write_series(tmp_path / "s.mgz", SHAPE, Placement(AFFINE), 90, [])
    with pytest.raises(InputError, match="not named like a NIfTI file"):
        write_maps(
            [(tmp_path / "new/a.nii", T1, "", {}), (tmp_path / "new/b.txt", T1, "", None)],
            Placement(AFFINE),
        )
    with pytest.raises(UsageError, match="no imaginary part"):
        write_series(
            tmp_path / "s.nii", SHAPE, Placement(AFFINE), 90, [], form="magnitude", split=True
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["s.nii", "s.nii.gz"])
def test_a_series_larger_than_the_disk_is_refused_at_once(tmp_path, name):
    shape = (30_000, 30_000, 30_000)
    with pytest.raises(InputError, match=r"GB free, expected 1\.94e\+06 GB to write"):
        write_series(
            tmp_path / name,
            shape,
            Placement(AFFINE),
            9,
            iter(lambda: pytest.fail("must not begin"), None),
        )
    assert list(tmp_path.iterdir()) == []
