"""The DICOM node between two Orthancs, killed while it works; and before each step on disk."""

import subprocess
import sys
from pathlib import Path

import pytest
from orthanc import is_installed

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import dicom_node

pytestmark = pytest.mark.slow


@pytest.mark.node
@pytest.mark.skipif(not is_installed(), reason="Orthanc is not installed (Debian's orthanc)")
def test_every_series_arrives_once_though_the_node_is_killed(monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["dicom_node.py", "--series", "3", "--kills", "2", "--real-every", "3"]
    )
    dicom_node.main()
    printed = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert printed["kills"] == "2"
    assert printed["series_sent_on"] == printed["series_sent"] == "3"
    assert int(printed["images_of_a_real_series"]) > 5
    for name in (
        "series_lost",
        "series_with_the_m0_of_another",
        "series_with_more_images",
        "foreign_studies",
    ):
        assert printed[name] == "0"


def test_a_node_that_dies_before_a_step_on_disk_loses_nothing():
    command = [sys.executable, str(Path(dicom_node.__file__).with_name("dicom_crashes.py"))]
    command += ["--every", "7", "--pairs", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = dict(line.split(": ") for line in done.stdout.splitlines())
    assert int(printed["steps_in_order"]) > 150
    assert int(printed["kills"]) > 50
    for name in ("series_lost", "series_twice", "left_behind"):
        assert printed[name] == "0"
