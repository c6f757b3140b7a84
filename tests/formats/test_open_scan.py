from pathlib import Path

import numpy as np
import pytest
from dicom_factory import Scan, phantom, write_classic
from front_door import save

from mrftool.environment.reporter import SilentReporter
from mrftool.errors import ArgumentError, InputError
from mrftool.formats.open_scan import FORMATS, file_kind, open_scan
from mrftool.scan.stream import prepare


class Watching(SilentReporter):
    """Remembers what was shown."""

    def __init__(self):
        super().__init__()
        self.tasks = []

    def progress(self, task, total):
        self.tasks.append((task, total))
        return super().progress(task, total)


@pytest.fixture
def scans(tmp_path):
    write_classic(tmp_path / "dicom", Scan(phantom(), parts=("real", "imaginary")))
    save(tmp_path / "scan.nii", phantom().astype("c8"))
    save(tmp_path / "scan.nii.gz", phantom().astype("c8"))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "task"),
    [
        ("dicom", "DICOM", "reading DICOM headers"),
        ("scan.nii", "NIfTI", None),
        ("scan.nii.gz", "NIfTI", None),
    ],
)
def test_every_format_opens_through_one_door(scans, name, kind, task):
    reporter = Watching()
    series = open_scan(scans / name, progress=reporter.progress)
    assert file_kind(scans / name) == kind and kind in FORMATS
    assert (series.shape, series.n_time, series.form) == ((7, 5, 3), 6, "complex")
    assert [shown for shown, _ in reporter.tasks] == ([task] if task else [])
    assert open_scan(scans / name, form="magnitude").form == "magnitude"


def test_a_compressed_file_is_inflated_when_its_voxels_are_asked_for(scans):
    reporter = Watching()
    series = open_scan(scans / "scan.nii.gz", progress=reporter.progress)
    for _ in range(2):
        prepare(series)
        assert [shown for shown, _ in reporter.tasks] == ["decompressing scan.nii.gz"]
    plain = open_scan(scans / "scan.nii")
    assert np.array_equal(series.read(np.arange(9)), plain.read(np.arange(9)))


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.nii: no such file or folder"):
        open_scan(tmp_path / "a.nii")


def test_what_does_not_go_with_a_format_is_refused_without_naming_flags(scans):
    for name, request in (
        ("dicom", {"imag": Path("b.nii")}),
        ("dicom", {"form": "real"}),
        ("scan.nii", {"series": "7"}),
    ):
        with pytest.raises(ArgumentError) as caught:
            open_scan(scans / name, **request)
        assert "--" not in str(caught.value)


@pytest.mark.parametrize("ending", [".img", ".hdr"])
def test_a_pair_whose_numbers_begin_like_dicom_is_nifti(tmp_path, ending):
    import nibabel

    image = np.zeros((4, 4, 2, 6), np.int16)
    image.ravel(order="F")[:] = 7
    for place, value in enumerate((8, 5, 2, 0, 1, 8, 22, 2)):
        image[place % 4, place // 4, 0, 0] = value
    nibabel.save(nibabel.Nifti1Pair(image, np.eye(4)), tmp_path / "pair.img")
    assert open_scan(tmp_path / f"pair{ending}").n_time == 6


def test_the_mark_of_an_archive_within_a_nifti_file_makes_it_none(tmp_path):
    image = np.ones((4, 4, 2, 6), np.float32)
    save(tmp_path / "a.nii", image)
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[-22:] = b"PK\5\6" + bytes(18)
    (tmp_path / "a.nii").write_bytes(content)
    assert file_kind(tmp_path / "a.nii") == "NIfTI"


def test_dicom_named_like_nifti_is_dicom(tmp_path):
    (path, *_) = write_classic(tmp_path, Scan(phantom()[:, :, :1, :1]))
    assert file_kind(path.rename(tmp_path / "a.img")) == "DICOM"
