"""Several processes that train together, as torchrun starts them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from mrftool.errors import UsageError  # noqa: E402
from mrftool.learning import parallel  # noqa: E402
from mrftool.learning.batches import Batch  # noqa: E402

OPTIONS = ("--steps", "6", "--batch", "32", "--encoder", "fc", "--optimiser", "adam")


def train(
    folder: Path, seq: Path, processes: int, *options: str
) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m"]
    if processes > 1:
        start += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    command = [*start, "mrftool", "train", "--seq", str(seq), *OPTIONS, *options, "-o", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["bloch", "fc"])
def test_two_processes_give_what_one_gives_but_for_rounding(
    decoder: str, shelf: Path, tmp_path: Path
) -> None:
    weights = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        outcome = train(folder, shelf / "short.yaml", processes, "--decoder", decoder)
        assert outcome.returncode == 0, outcome.stderr
        assert outcome.stdout.count("best.safetensors") == 1  # one of them speaks
        weights.append(load_file(folder / "last.safetensors"))
    one, two = weights
    assert one.keys() == two.keys()
    for name, value in one.items():
        if name.startswith(("encoder.", "decoder.")):
            np.testing.assert_allclose(
                two[name].numpy(), value.numpy(), rtol=2e-3, atol=2e-5, err_msg=name
            )
    rows = [
        (tmp_path / str(n) / "curve.csv").read_text().splitlines()[-1].split(",") for n in (1, 2)
    ]
    np.testing.assert_allclose(*(np.array(row[-4:], float) for row in rows), rtol=1e-3)


def test_one_process_is_the_first_and_keeps_the_whole_batch() -> None:
    batch = Batch(*(torch.arange(6.0).reshape(6, 1) for _ in range(6)))
    assert (
        parallel.world(),
        parallel.is_first(),
        parallel.any_of(True),
        parallel.any_of(False),
    ) == (
        1,
        True,
        True,
        False,
    )
    assert parallel.share(batch) is batch


def test_shares_are_equal_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch(*(torch.arange(6.0).reshape(6, 1) for _ in range(6)))
    monkeypatch.setattr(parallel.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(parallel.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(parallel.dist, "get_rank", lambda: 1)
    assert parallel.share(batch).rows.flatten().tolist() == [1, 3, 5]
    monkeypatch.setattr(parallel.dist, "get_world_size", lambda: 4)
    with pytest.raises(UsageError, match="6 voxels of a sequence for 4 processes"):
        parallel.share(batch)
