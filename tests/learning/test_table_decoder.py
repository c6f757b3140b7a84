"""The table decoder against the engine, whose signals it tabulates."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mrftool.learning.config import TrainConfig  # noqa: E402
from mrftool.learning.networks.bloch_decoder import decode  # noqa: E402
from mrftool.learning.networks.table_decoder import TableDecoder  # noqa: E402
from mrftool.learning.step import Losses, take_step  # noqa: E402
from mrftool.learning.training import draw_batches, prepare_run, table_for  # noqa: E402
from mrftool.sequence import PulseSequence  # noqa: E402

CPU = torch.device("cpu")


def tissue(with_b1: bool) -> tuple[Any, Any]:
    random = np.random.default_rng(3)
    t1 = np.exp(random.uniform(np.log(0.1), np.log(4.0), 50))
    t2 = t1 * np.exp(random.uniform(np.log(0.05), 0, 50))
    logs = torch.tensor(np.log(np.stack([t1, t2], axis=1)), dtype=torch.float32)
    given = random.uniform(0.75, 1.2, (50, int(with_b1)))
    return logs.requires_grad_(), torch.tensor(given, dtype=torch.float32)


@pytest.mark.parametrize("increment", [0.0, 117.0])
@pytest.mark.parametrize("with_b1", [False, True])
def test_signal_and_gradient_are_those_of_the_engine(
    increment: float, with_b1: bool, short_sequence: PulseSequence
) -> None:
    n = np.arange(len(short_sequence))
    sequence = replace(short_sequence, rf_phase=np.deg2rad(increment) * n * (n + 1) / 2)
    b1_range = (0.7, 1.25) if with_b1 else None
    table = table_for(sequence, TrainConfig(b1_range=b1_range))
    logs, given = tissue(with_b1)
    found = TableDecoder(table, CPU)(logs, given)
    t1, t2 = logs.exp().unbind(dim=1)
    columns = dict(zip(["b1"][: int(with_b1)], given.unbind(dim=1), strict=True))
    expected = decode(sequence, t1, t2, basis=table.basis, **columns)
    assert found.dtype == expected.dtype
    size = torch.linalg.vector_norm(expected, dim=1)
    error = torch.linalg.vector_norm(found - expected, dim=1) / size
    assert float(error.detach().max()) < 2 * table.error + 1e-4
    weight = torch.linspace(-1, 1, found.shape[1])
    mine, theirs = (
        torch.autograd.grad((x * weight).real.sum(), logs)[0] for x in (found, expected)
    )
    torch.testing.assert_close(mine, theirs, rtol=0.02, atol=0.01 * float(theirs.abs().max()))


def test_beyond_the_table_signals_go_on_as_straight_lines(short_sequence: PulseSequence) -> None:
    decoder = TableDecoder(table_for(short_sequence, TrainConfig()), CPU)
    end = torch.tensor([[axis.stop for axis in decoder.axes]])
    steps = torch.tensor([[0.0], [0.5], [1.0]]) * torch.tensor([[1.0, 0.0]])
    near, middle, far = decoder(end + steps, torch.zeros(3, 0))
    torch.testing.assert_close(far - middle, middle - near, rtol=1e-3, atol=1e-5)
    assert float((far - near).abs().max()) > 1e-3


@pytest.mark.parametrize("labels", [True, False])
def test_a_step_with_the_table_is_one_with_the_engine(
    labels: bool, short_sequence: PulseSequence, tmp_path: Path
) -> None:
    losses = {}
    for decoder in ("table", "bloch"):
        config = TrainConfig(decoder=decoder, labels=labels, batch=64, steps=4)  # type: ignore[arg-type]
        run = prepare_run([short_sequence], config, tmp_path / decoder, CPU)
        parts = draw_batches(run.sources, config, run.spec.takes, 0)
        losses[decoder] = take_step(run, Losses(run), parts, 1.0).read()
    assert losses["table"] == pytest.approx(losses["bloch"], rel=1e-3)
