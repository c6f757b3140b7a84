"""The DICOM node between two Orthancs, killed while it works."""

import sys
from pathlib import Path

import pytest
from orthanc import is_installed

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import dicom_node

pytestmark = [pytest.mark.node, pytest.mark.slow]


@pytest.mark.skipif(not is_installed(), reason="Orthanc is not installed (Debian's orthanc)")
def test_every_series_arrives_once_though_the_node_is_killed(monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["dicom_node.py", "--series", "3", "--kills", "2", "--work", "fake"]
    )
    dicom_node.main()
    printed = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert printed["kills"] == "2"
    assert printed["series_sent_on"] == printed["series_sent"] == "3"
    for name in ("series_lost", "series_with_more_images", "foreign_studies"):
        assert printed[name] == "0"
