"""`mrftool quantify --uncertainty`: what is stated acts, and what cannot be read is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from front_door import load, refuses, works

from mrftool.cli.uncertainty import stated_uncertainties
from mrftool.errors import UsageError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_uncertainties_are_read_with_their_units() -> None:
    stated = stated_uncertainties("b1=2%, efficiency=0.03,ti=1.5ms,te=1e-4s,adc=200um2/s")
    assert stated == pytest.approx(
        {"b1": 0.02, "efficiency": 0.03, "ti": 1.5e-3, "te": 1e-4, "adc": 0.2e-9}
    )
    assert stated_uncertainties(None) is None
    assert stated_uncertainties("none") == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("b1", "expected NAME=VALUE"),
        ("b1=", "expected a number"),
        ("b1=2 percent", "expected a number and % or no unit"),
        ("b1=-2%", "expected a number"),
        ("b1=1.2.3", "expected a number"),
        ("b1=1e999", "expected a finite number"),
        ("b1=3", "percent?"),
        ("ti=1%", "expected a number and s or ms or us"),
        ("ti=1", "expected a number and s or ms or us"),
        ("noise=3%", "expected some of b1"),
        ("b1=2%,b1=3%", "twice"),
    ],
)
def test_what_cannot_be_an_uncertainty_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("?", r"\?")):
        stated_uncertainties(text)


@pytest.mark.slow
def test_a_stated_uncertainty_widens_the_error_bars_and_is_recorded(
    shelf: Path, model: Path
) -> None:
    scan = shelf / "brain.nii.gz"
    for folder, stated in (("none", "none"), ("one", "b1=1%"), ("three", "b1=3%")):
        works("quantify", scan, "--model", model, "--uncertainty", stated, "-o", folder)
    none, one, three = (load(f"{name}/T2systematic.nii.gz") for name in ("none", "one", "three"))
    inside = load("none/T2map.nii.gz") > 0
    assert not none.any()
    assert np.median(one[inside]) > 0
    np.testing.assert_allclose(three[inside], 3 * one[inside], rtol=1e-4)
    report = json.loads(Path("three/report.json").read_text())
    assert report["uncertainty"]["assumed"] == {"B1": "3 %"}
    assert not report["uncertainty"]["assumed_is_typical"]


def test_an_uncertainty_of_what_the_sequence_lacks_is_refused(shelf: Path, model: Path) -> None:
    scan = shelf / "brain.nii.gz"
    says = ("slice profile", "does not have")
    refuses(2, "quantify", scan, "--model", model, "--uncertainty", "slice_profile=1%", says=says)


@pytest.mark.slow
def test_a_model_keeps_the_uncertainties_of_its_sequence_file(shelf: Path) -> None:
    """They are said, and widen the systematic part; --uncertainty takes their place."""
    facts = yaml.safe_load((shelf / "short.yaml").read_text())
    facts["uncertainty"] = {"b1_percent": 6, "ti_ms": 2}
    Path("stated.yaml").write_text(yaml.safe_dump(facts))
    widths = []
    for seq in (shelf / "short.yaml", "stated.yaml"):
        works("export", "--seq", seq, "--encoder", "none", "--allow-inaccurate", "-o", "m.onnx")
        said = works(
            "quantify", shelf / "brain.nii.gz", "--model", "m.onnx", "-o", "maps", "--overwrite"
        ).err
        widths.append(load("maps/T2uncertainty.nii.gz"))
    assert "standard uncertainties assumed: B1 6 %, inversion efficiency 3 %, TI 2 ms" in said
    inside = widths[0] > 0
    assert np.median(widths[1][inside] / widths[0][inside]) > 1.5
    said = works(
        "quantify", shelf / "brain.nii.gz", "--model", "m.onnx", "-o", "maps", "--overwrite",
        "--uncertainty", "b1=1%",
    ).err  # fmt: skip
    assert "standard uncertainties assumed: B1 1 %" in said and "TI" not in said
