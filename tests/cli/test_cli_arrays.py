"""Array files through the front door: the same maps as from NIfTI."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from front_door import refuses, works

SEQUENCE = """mrftool_sequence: 1
name: tiny
flip_angle_deg: {rule: lobes, peaks: [35, 60], lengths: [12, 12], minimum: 5}
tr_ms: 12
te_ms: 2.5
inversion: {efficiency: 0.98, time_ms: 20}
spoiling: gradient
"""


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan (NIfTI) beside its model."""
    folder = tmp_path_factory.mktemp("arrays")
    sequence = folder / "tiny.yaml"
    sequence.write_text(SEQUENCE)
    path = folder / "scan.nii"
    brain = ("--phantom", "brain", "--matrix", 8, "--snr", 100)
    works("simulate", "--seq", sequence, *brain, "-o", path)
    works("export", "--seq", sequence, "--encoder", "none", "-o", folder / "m.onnx")
    return path


def t1_of(scan: Path, source: Path, into: Path, *options: object) -> np.ndarray:
    works("quantify", source, "--model", scan.parent / "m.onnx", "-o", into, *options)
    image = nibabel.load(into / "T1map.nii.gz")
    np.testing.assert_allclose(image.affine, nibabel.load(scan).affine, atol=1e-4)
    return np.asarray(image.dataobj)


@pytest.mark.slow
def test_arrays_give_the_maps_of_the_image(tmp_path: Path, scan: Path) -> None:
    image = np.asarray(nibabel.load(scan).dataobj)
    np.savez(tmp_path / "scan.npz", first=image.T, second=2 * image.T)
    expected = t1_of(scan, scan, tmp_path / "a")
    options = ("--axes", "tzyx", "--like", scan, "--variable", "first")
    found = t1_of(scan, tmp_path / "scan.npz", tmp_path / "b", *options)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_a_mask_of_numpy_chooses_voxels(tmp_path: Path, scan: Path) -> None:
    image = np.asarray(nibabel.load(scan).dataobj)
    np.save(tmp_path / "scan.npy", image)
    inside = np.zeros(image.shape[:3], bool)
    inside[3:5, 3:5] = True
    np.save(tmp_path / "mask.npy", inside)
    options = ("--axes", "xyzt", "--like", scan, "--mask", tmp_path / "mask.npy")
    found = t1_of(scan, tmp_path / "scan.npy", tmp_path / "b", *options)
    assert (found[~inside] == 0).all() and (found[inside] > 0).any()


@pytest.mark.parametrize(
    ("code", "options", "says"),
    [
        (3, (), ("does not say which of its axes",)),
        (2, ("--axes", "abc"), ("expected letters of",)),
        (3, ("--axes", "xyt"), ("expected 3 axes (xyt)",)),
        (3, ("--axes", "xyzt", "--like", "none.nii"), ("none.nii",)),
        (2, ("--axes", "xyzt", "--variable", "a"), ("holds one array",)),
        (2, ("--axes", "xyzt", "--series", "1"), ("do not go with array files",)),
    ],
)
def test_refusals(
    tmp_path: Path, scan: Path, code: int, options: tuple[str, ...], says: tuple[str, ...]
) -> None:
    image = np.asarray(nibabel.load(scan).dataobj)
    np.save(tmp_path / "scan.npy", image)
    refuses(
        code,
        "quantify",
        tmp_path / "scan.npy",
        "--model",
        scan.parent / "m.onnx",
        "-o",
        tmp_path / "maps",
        *options,
        says=says,
    )
    assert not (tmp_path / "maps").exists()


def test_options_of_array_files_are_refused_for_nifti(scan: Path) -> None:
    model = scan.parent / "m.onnx"
    for option in (("--axes", "xyzt"), ("--like", scan), ("--variable", "a")):
        refuses(2, "quantify", scan, "--model", model, *option, says=("go with array files",))
