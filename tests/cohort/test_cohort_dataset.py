import json
from pathlib import Path

import pytest

from mrftool.cohort.dataset import find_scans
from mrftool.cohort.marker import fingerprint_of, is_done, read_marker, write_marker
from mrftool.errors import InputError


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "bids"
    for name in (
        "sub-01/anat/sub-01_MRF.nii.gz",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_part-mag_MRF.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_part-phase_MRF.nii.gz",
        "sub-02/ses-b/anat/sub-02_ses-b_part-real_MRF.nii",
        "sub-02/ses-b/anat/sub-02_ses-b_part-imag_MRF.nii",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / "dataset_description.json").write_text("{}")
    return folder


def test_scans_are_found_with_their_channels(dataset: Path) -> None:
    scans = {scan.key: scan for scan in find_scans(dataset)}
    assert list(scans) == ["sub-01_MRF", "sub-02_ses-a_MRF", "sub-02_ses-b_MRF"]
    magnitude, real = scans["sub-02_ses-a_MRF"], scans["sub-02_ses-b_MRF"]
    assert magnitude.phase is not None
    assert magnitude.phase.name == "sub-02_ses-a_part-phase_MRF.nii.gz"
    assert magnitude.session == "ses-a"
    assert real.imaginary is not None
    assert real.imaginary.name == "sub-02_ses-b_part-imag_MRF.nii"
    assert scans["sub-01_MRF"].phase is None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"participants": ["01"]}, ["sub-01_MRF"]),
        ({"participants": ["sub-02"], "sessions": ["b"]}, ["sub-02_ses-b_MRF"]),
        ({"suffix": "T1w"}, ["sub-01_T1w"]),
    ],
)
def test_labels_choose_scans(dataset: Path, choice: dict[str, object], expected: list[str]) -> None:
    assert [scan.key for scan in find_scans(dataset, **choice)] == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"participants": ["07"]}, "sub-07: not in the data set"),
        ({"suffix": "bold"}, r"has no scan named sub-\*_bold"),
    ],
)
def test_what_is_not_in_the_data_set_is_an_error(
    dataset: Path, choice: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        find_scans(dataset, **choice)  # type: ignore[arg-type]


def test_a_folder_that_is_no_data_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no dataset_description.json"):
        find_scans(tmp_path)


def test_a_channel_alone_is_an_error(dataset: Path) -> None:
    (dataset / "sub-02/ses-b/anat/sub-02_ses-b_part-real_MRF.nii").unlink()
    with pytest.raises(InputError, match="a channel alone"):
        find_scans(dataset)


def test_a_marker_holds_for_the_same_input_model_and_version_only(
    dataset: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"one")
    scan = find_scans(dataset, participants=["01"])[0]
    facts, marker = fingerprint_of(scan, model), tmp_path / "done.json"
    assert not is_done(marker, facts)
    write_marker(marker, {**facts, "outputs": []})
    assert is_done(marker, facts)
    model.write_bytes(b"two")
    assert not is_done(marker, fingerprint_of(scan, model))
    model.write_bytes(b"one")
    scan.image.write_text("changed")
    assert not is_done(marker, fingerprint_of(scan, model))


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"mrftool_done": 2})])
def test_a_damaged_or_foreign_marker_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "done.json"
    path.write_text(content)
    assert read_marker(path) is None
