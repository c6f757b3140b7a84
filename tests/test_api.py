"""`import mrftool`: the nouns, and a function for each step."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from front_door import environment, load

import mrftool
from mrftool import Tissue
from mrftool.sequence import PulseSequence


def test_importing_it_loads_nothing_heavy() -> None:
    script = (
        "import sys, mrftool; mrftool.__version__; "
        "print([name for name in ('numpy', 'torch', 'onnx', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert done.stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    for name in mrftool.__all__:
        assert getattr(mrftool, name) is not None
    assert set(mrftool.__all__) <= set(dir(mrftool))
    with pytest.raises(AttributeError, match="nonsense"):
        mrftool.nonsense  # noqa: B018


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(str(mrftool.__file__)).with_name("py.typed").exists()


def test_arrays_go_through_every_step(
    short_sequence: PulseSequence, model: Path, tmp_path: Path
) -> None:
    tissue = Tissue([0.8, 1.2], [0.06, 0.11])
    scan = mrftool.simulate(short_sequence, tissue).signal.reshape(2, 1, 1, 40)
    maps = mrftool.quantify(scan, model)
    np.testing.assert_allclose(maps.t1.ravel(), tissue.t1, rtol=0.01)
    np.testing.assert_allclose(maps.t2.ravel(), tissue.t2, rtol=0.02)
    matched = mrftool.match(scan, sequence=short_sequence, tissue=tissue)
    np.testing.assert_allclose(matched.t2.ravel(), tissue.t2, rtol=1e-6)
    bound = mrftool.crlb(short_sequence, tissue, 20)
    assert bound.sd_t1.shape == (2,) and (bound.sd_t1 > 0).all()
    paths = mrftool.write_maps(maps, tmp_path / "maps", affine=np.diag([2.0, 2, 2, 1]))
    np.testing.assert_array_equal(load(paths["t1"]), maps.t1)


def test_files_go_through_every_step(shelf: Path, model: Path) -> None:
    sequence = mrftool.load_sequence(shelf / "short.yaml")
    assert len(sequence) == 40
    loaded = mrftool.load_model(model)
    scan = mrftool.load_scan(shelf / "brain.nii.gz")
    assert scan.n_time == 40
    truth = load(shelf / "brain_truth_T1map.nii.gz")
    mask = (truth > 0.2) & (truth < 2)
    maps = mrftool.quantify(scan, loaded, mask=mask)
    np.testing.assert_allclose(np.median(maps.t1[mask] / truth[mask]), 1, rtol=0.01)
    whole = mrftool.quantify(str(shelf / "brain.nii.gz"), str(model), mask=mask)
    np.testing.assert_allclose(whole.t1[mask], maps.t1[mask], rtol=1e-5)


def test_a_model_is_written_and_loaded(short_sequence: PulseSequence, tmp_path: Path) -> None:
    reporter = mrftool.SilentReporter()
    made = mrftool.export_model(
        short_sequence,
        tmp_path / "m.onnx",
        reporter=reporter,
        t1_range=(0.5, 1.5),
        t2_range=(0.04, 0.15),
        check=False,
    )
    assert made.path.exists() and made.manifest.ranges["t1"] == (0.5, 1.5)
