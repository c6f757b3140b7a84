"""qform and sform: where one is malformed, where they disagree, and what lies beside a scan."""

import json

import numpy as np
import pytest
from front_door import save
from nifti_bytes import AFFINE, nifti

from mrftool.errors import InputError
from mrftool.formats.nifti.read import open_series
from mrftool.formats.nifti.write import write_map
from mrftool.formats.open_scan import open_scan

IMAGE = np.arange(3 * 4 * 1 * 6, dtype="f4").reshape(3, 4, 1, 6)
TURNED = {"qform_code": 1, "quatern": [0.1, -0.2, 0.3], "qoffset": [1.0, -2, 3]}


def opened(path, **fields):
    path.write_bytes(nifti(IMAGE, **fields))
    return open_series(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"pixdim": [1, 2, 2, 0, 1, 1, 1, 1], "quatern": [2.0, 0, 0]},
        {"pixdim": [1, np.nan, 2, 2, 1, 1, 1, 1]},
        {"pixdim": [1, -2, 2, 2, 1, 1, 1, 1]},
        {"quatern": [0.9, 0.9, 0.9]},
        {"quatern": [np.nan, 0, 0]},
        {"qoffset": [np.inf, 0, 0]},
    ],
)
def test_a_sound_sform_counts_beside_a_malformed_qform(tmp_path, fields):
    series = opened(tmp_path / "a.nii", **(TURNED | fields))
    np.testing.assert_array_equal(series.affine, AFFINE)
    assert any("a form is malformed and left out (qform: " in said for said in series.assumptions)
    write_map(tmp_path / "map.nii", IMAGE[..., 0], series.placement)
    np.testing.assert_allclose(open_scan(tmp_path / "a.nii").affine, AFFINE)


@pytest.mark.parametrize("srow", [[0.0] * 12, [np.nan] * 12, [1.0, 0, 0, 0] * 3])
def test_a_sound_qform_counts_beside_a_malformed_sform(tmp_path, srow):
    alone = opened(tmp_path / "q.nii", **TURNED, sform_code=0)
    series = opened(tmp_path / "a.nii", **TURNED, srow=srow)
    np.testing.assert_array_equal(series.affine, alone.affine)
    assert series.placement.codes == (1, 0)
    assert any("(sform: " in said for said in series.assumptions)


def test_two_malformed_forms_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"malformed: sform: .*singular.*; qform: its quaternion"):
        opened(tmp_path / "a.nii", qform_code=1, quatern=[2.0, 0, 0], srow=[0.0] * 12)


def test_a_quaternion_a_little_too_long_is_a_rotation(tmp_path):
    series = opened(tmp_path / "a.nii", qform_code=1, sform_code=0, quatern=[0, 0, 1.0000003])
    np.testing.assert_allclose(series.affine[:3, :3], np.diag([-2, -2.5, 3]), atol=1e-5)


def test_the_qform_is_that_of_nibabel(tmp_path):
    import nibabel

    for pixdim in ([1, 2, 2.5, 3], [-1, 2, 2.5, 3], [0, 2, 2.5, 3]):
        fields = TURNED | {"pixdim": [*pixdim, 1, 1, 1, 1], "sform_code": 0}
        series = opened(tmp_path / "a.nii", **fields)
        if pixdim[0]:
            expected = nibabel.load(tmp_path / "a.nii").affine
            np.testing.assert_allclose(series.affine, expected, atol=1e-6)
    assert not np.allclose(series.affine, np.eye(4))


@pytest.mark.parametrize("codes", [{}, {"qform_code": 1}])
def test_a_single_slice_without_thickness_is_1_mm_thick(tmp_path, codes):
    fields = {"sform_code": 0, "pixdim": [1, 2, 2.5, 0, 1, 1, 1, 1]} | codes
    series = opened(tmp_path / "a.nii", **fields)
    np.testing.assert_allclose(series.affine[:3, :3], np.diag([2, 2.5, 1]))
    assert any("states no thickness" in said for said in series.assumptions)


def test_forms_that_disagree_are_told(tmp_path):
    agreeing = {"qform_code": 1, "quatern": [0, 1.0, 0], "qoffset": [90.0, -126, -72]}
    agreeing["pixdim"] = [-1, 2, 2.5, 3, 1, 1, 1, 1]
    said = opened(tmp_path / "a.nii", **agreeing).assumptions
    assert not any("qform" in text for text in said)
    shifted = agreeing | {"qoffset": [95.0, -126, -72]}
    said = opened(tmp_path / "a.nii", **shifted).assumptions
    assert any("put its voxels up to 5 mm apart: the sform is taken" in text for text in said)
    mirrored = agreeing | {"pixdim": [1, 2, 2.5, 3, 1, 1, 1, 1], "sform_code": 4}
    said = opened(tmp_path / "a.nii", **mirrored).assumptions
    assert any("its qform and sform mirror each other" in text for text in said)


def test_three_dimensions_are_one_slice_over_time(tmp_path):
    path = save(tmp_path / "a.nii", IMAGE[:, :, 0])
    series = open_series(path)
    assert (series.shape, series.n_time) == ((3, 4, 1), 6)
    ((voxels, signal),) = series.blocks()
    np.testing.assert_array_equal(signal, IMAGE.reshape(12, 6)[voxels])
    assert any("taken as one slice over time, (x, y, time)" in said for said in series.assumptions)
    imag = save(tmp_path / "b.nii", IMAGE[:, :, 0])
    assert open_series(path, imag=imag).form == "complex"


@pytest.fixture
def dataset(tmp_path):
    """A BIDS data set with a scan in two parts, and sidecars on every level."""
    folder = tmp_path / "sub-01" / "ses-a" / "anat"
    folder.mkdir(parents=True)
    (tmp_path / "dataset_description.json").write_text("{}")
    angles = np.linspace(-3, 3, IMAGE.size).reshape(IMAGE.shape).astype("f4")
    save(folder / "sub-01_ses-a_part-mag_MRF.nii.gz", IMAGE)
    save(folder / "sub-01_ses-a_part-phase_MRF.nii.gz", angles)
    for place, content in {
        "MRF.json": {"a": 0, "sequence_id": "top"},
        "task-x_MRF.json": {"a": "of another scan"},
        "T1map.json": {"a": "of another kind"},
        "sub-01/sub-01_MRF.json": {"a": 1, "b": 1},
        "sub-01/ses-a/anat/sub-01_ses-a_MRF.json": {"b": 2, "c": 2},
        "sub-01/ses-a/anat/sub-01_ses-a_part-phase_MRF.json": {"Units": "rad"},
    }.items():
        (tmp_path / place).write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    return folder


def test_sidecars_are_inherited_and_may_have_a_byte_order_mark(dataset):
    series = open_scan(dataset / "sub-01_ses-a_part-mag_MRF.nii.gz")
    assert series.sidecar == {"a": 1, "b": 2, "c": 2, "sequence_id": "top"}
    assert series.sequence_id == "top"


def test_outside_of_a_data_set_nothing_is_inherited_from_above(dataset):
    (dataset.parents[2] / "dataset_description.json").unlink()
    series = open_scan(dataset / "sub-01_ses-a_part-mag_MRF.nii.gz")
    assert series.sidecar == {"b": 2, "c": 2}


def test_the_phase_beside_a_magnitude_is_its_phase(dataset):
    path = dataset / "sub-01_ses-a_part-mag_MRF.nii.gz"
    series = open_scan(path)
    assert series.form == "complex"
    ((voxels, signal),) = series.blocks()
    angles = np.linspace(-3, 3, IMAGE.size).reshape(12, 6)[voxels]
    expected = IMAGE.reshape(12, 6)[voxels] * np.exp(1j * angles)
    np.testing.assert_allclose(signal, expected, rtol=1e-5, atol=1e-5)
    assert any("is taken as its phase" in said for said in series.assumptions)
    assert open_scan(path, form="magnitude").form == "magnitude"


def test_the_imaginary_part_beside_a_real_part_is_its_imaginary_part(tmp_path):
    save(tmp_path / "sub-1_part-real_MRF.nii", IMAGE)
    save(tmp_path / "sub-1_part-imag_MRF.nii", -IMAGE)
    ((_, signal),) = open_scan(tmp_path / "sub-1_part-real_MRF.nii").blocks()
    np.testing.assert_array_equal(signal.imag, -signal.real)
