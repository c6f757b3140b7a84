import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.formats.bids import (
    Provenance,
    dataset_texts,
    is_bids,
    map_description,
    map_path,
    map_sidecar,
    part_path,
    read_sidecar,
    sidecar_path,
)
from mrftool.formats.nifti.write import write_maps
from mrftool.grid import Placement

PROVENANCE = Provenance(
    ("bids:raw:sub-01/anat/sub-01_MRF.nii.gz",),
    "neural network",
    "FISP",
    details={"sequence_id": "abc"},
)
NAMES = ("t1", "t2", "m0", "sd_t1", "sd_t2", "residual", "flags")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("scan.nii.gz", "T1map.nii.gz"),
        ("/raw/sub-01/anat/sub-01_MRF.nii.gz", "sub-01/anat/sub-01_T1map.nii.gz"),
        (
            "sub-01_ses-a_acq-x_run-1_part-real_MRF.nii",
            "sub-01/ses-a/anat/sub-01_ses-a_acq-x_run-1_T1map.nii.gz",
        ),
        ("sub-01.nii", "T1map.nii.gz"),
        ("sub-01_../../x_MRF.nii", "T1map.nii.gz"),
    ],
)
def test_where_maps_go(source, expected):
    assert map_path("out", source, "t1") == Path("out", expected)


def test_other_maps_lie_outside_the_globs_of_t1_and_t2():
    for source in ("scan.nii", "sub-01_MRF.nii"):
        paths = [map_path("out", source, name) for name in NAMES]
        assert len(set(paths)) == len(NAMES)
        for glob in ("*T1map*", "*T2map*"):
            assert sum(path.match(glob) for path in paths) == 1


@pytest.mark.parametrize(
    ("image", "sidecar", "real"),
    [
        ("a/scan.nii.gz", "a/scan.json", "a/scan_real.nii.gz"),
        ("scan.b.nii", "scan.b.json", "scan.b_real.nii"),
        ("x.img.gz", "x.json", "x_real.img.gz"),
        ("sub-1_MRF.nii", "sub-1_MRF.json", "sub-1_part-real_MRF.nii"),
    ],
)
def test_names_beside_an_image(image, sidecar, real):
    assert sidecar_path(Path(image)) == Path(sidecar)
    assert part_path(Path(image), "real") == Path(real)


def test_a_map_says_its_unit():
    content = map_sidecar("t2", PROVENANCE)
    assert content["Units"] == "s" and map_description("t2").endswith("[s]")
    assert (
        content["EstimationAlgorithm"] == "neural network"
        and content["PulseSequenceType"] == "FISP"
    )
    assert content["Sources"] == list(PROVENANCE.sources) and content["SkullStripped"] is False
    assert content["mrftool"]["sequence_id"] == "abc" and set(content["mrftool"]["versions"]) >= {
        "mrftool",
        "numpy",
    }
    assert map_sidecar("m0", PROVENANCE)["Units"] == "arbitrary"


def test_a_sidecar_that_is_a_device_is_refused(tmp_path):
    (tmp_path / "scan.json").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="no regular file"):
        read_sidecar(tmp_path / "scan.nii")


def test_no_sidecar_is_none(tmp_path):
    assert read_sidecar(tmp_path / "a.nii") is None
    (tmp_path / "a.json").mkdir()
    assert read_sidecar(tmp_path / "a.nii") is None


def write_derivative(folder):
    source = "sub-01_MRF.nii.gz"
    maps = [
        (
            map_path(folder, source, name),
            np.ones((4, 4, 4), "u1" if name == "flags" else "f4"),
            map_description(name),
            map_sidecar(name, PROVENANCE),
        )
        for name in NAMES
    ]
    write_maps(maps, Placement(np.eye(4)), others=dataset_texts(folder))


def test_a_derivative_data_set_describes_itself_and_keeps_what_is_there(tmp_path):
    assert is_bids("sub-01_MRF.nii") and not is_bids("scan.nii")
    write_derivative(tmp_path / "maps")
    description = json.loads((tmp_path / "maps/dataset_description.json").read_text())
    assert (
        description["DatasetType"] == "derivative"
        and description["GeneratedBy"][0]["Name"] == "mrftool"
    )
    assert (tmp_path / "maps/sub-01/anat/sub-01_T1map.nii.gz").is_file()
    assert "in seconds" in (tmp_path / "maps/README.md").read_text()
    (tmp_path / "maps/dataset_description.json").write_text("mine")
    write_derivative(tmp_path / "maps")
    assert (tmp_path / "maps/dataset_description.json").read_text() == "mine"


@pytest.mark.peers
def test_the_bids_validator_finds_no_error(tmp_path):
    tool = shutil.which("bids-validator-deno") or shutil.which(
        "bids-validator-deno", path=Path(sys.executable).parent
    )
    if tool is None:
        pytest.skip("bids-validator-deno is not installed: pip install '.[bench]'")
    write_derivative(tmp_path)
    (tmp_path / "overview.png").write_bytes(b"x")
    (tmp_path / "report.html").write_text("x")
    (tmp_path / "report.json").write_text("{}")
    report = tmp_path / "sub-01/anat/sub-01_MRF_report"
    report.mkdir()
    (report / "done.json").write_text("{}")
    for table in ("status.tsv", "group.tsv"):
        (tmp_path / table).write_text("scan\nsub-01_MRF\n")
    done = subprocess.run(
        [tool, "--json", str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert done.returncode == 0
