"""The shipped model for magnitudes, and how it is chosen."""

import json
from pathlib import Path

import numpy as np
import pytest
from front_door import load, save, works

from mrftool.environment.shipped import find_file
from mrftool.exporting.accuracy import require_near_bound
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.session import load_model
from mrftool.physics.noise import add_noise, level_of
from mrftool.physics.simulate import simulate
from mrftool.tissue import Tissue


def test_the_shipped_model_of_magnitudes_reaches_the_bound() -> None:
    model = load_model(find_file("models", "fisp_magnitude", ".onnx"))
    assert model.form == "magnitude"
    assert model.sequence_id == read_sequence("fisp").sequence_id
    require_near_bound(model.manifest.scores)
    for snr in ("snr_5", "snr_20", "snr_100"):
        for parameter in ("t1", "t2"):
            assert model.manifest.scores[snr][parameter]["rmse_over_bound"] < 1.03
    assert model.path.stat().st_size < 1_000_000


@pytest.mark.slow
def test_it_is_taken_where_the_scan_holds_magnitudes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tissue = Tissue(np.full(64, 1.0), np.full(64, 0.08))
    signal = simulate(read_sequence("fisp"), tissue).signal
    noisy = add_noise(signal, level_of(signal) / 10, np.random.default_rng(0))
    save(Path("scan.nii"), np.abs(noisy).reshape(8, 8, 1, -1))
    said = works("quantify", "scan.nii", "-o", "maps")
    assert "quantified with fisp_magnitude" in said.err
    assert json.loads(Path("maps/report.json").read_text())["status"] == "good"
    assert abs(np.mean(load(Path("maps/T1map.nii.gz"))) - 1.0) < 0.01
    assert abs(np.mean(load(Path("maps/T2map.nii.gz"))) - 0.08) < 0.002
    again = works("quantify", "scan.nii", "--model", "fisp_magnitude", "-o", "named")
    assert "quantified with" not in again.err
    np.testing.assert_array_equal(load(Path("named/T1map.nii.gz")), load(Path("maps/T1map.nii.gz")))
