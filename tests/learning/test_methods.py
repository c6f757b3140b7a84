"""Every method of the paper, from training to maps, through the front door."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from front_door import works

pytest.importorskip("torch")

METHODS = {
    "FC": ("fc", "none"),
    "RNN": ("rnn-whole", "none"),
    "RNN over time": ("rnn", "none"),
    "HYDRA": ("hydra", "none"),
    "HYDRA, a quarter of time": ("hydra-fast", "none"),
    "FC-FC": ("fc", "fc"),
    "RNN-RNN": ("rnn-whole", "rnn"),
    "BlochNet": ("fc", "bloch"),
}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_from_training_to_maps(method: str, shelf: Path, tmp_path: Path) -> None:
    """Hardly trained, so its own guess is poor; two polish steps on the table bring it nearer to
    the reference.
    """
    encoder, decoder = METHODS[method]
    size = ("--steps", 40, "--batch", 64, "--t1-ms", 200, 5000, "--t2-ms", 20, 2500)
    kind = ("--encoder", encoder, "--decoder", decoder)
    works("train", "--seq", shelf / "short.yaml", *kind, *size, "-o", tmp_path / "run")
    reference = np.asarray(nibabel.load(shelf / "brain_truth_T1map.nii.gz").dataobj)
    inside = reference > 0
    errors = []
    for polish in (0, 2):
        model, maps = tmp_path / f"{polish}.onnx", tmp_path / f"maps{polish}"
        works("export", tmp_path / "run", "--polish", polish, "--allow-inaccurate", "-o", model)
        scan = shelf / "brain.nii.gz"
        works("quantify", scan, "--model", model, "--mask", "none", "-o", maps)
        t1, t2 = (
            np.asarray(nibabel.load(maps / f"{name}map.nii.gz").dataobj)[inside]
            for name in ("T1", "T2")
        )
        assert np.isfinite(t1).all() and (t2 > 0).all()
        errors.append(np.median(abs(np.log(t1 / reference[inside]))))
        if polish == 0:
            assert (t2 <= t1 * 1.0001).all()
    assert errors[1] < errors[0] < 1.5
